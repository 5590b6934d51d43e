"""What the layers alone decide: which blobs share one scale, and which cannot be negative."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from xdsl.ir import Operation, SSAValue

from dialects.ufw.facts import JoinsOperands, TakesReLU
from dialects.ufw.layer import LayerOp


@dataclass
class ScalePlan:
    """The scales of a net before any data is seen.

    ``unsigned`` are the values that cannot be negative. ``measured`` are those whose threshold the
    data gives; all others share the scale of one of them, see :meth:`root`. ``floats`` are the
    layers, and the inputs, that stay float whatever the data says.
    """

    floats: Set[Operation | SSAValue]
    unsigned: set[SSAValue] = field(default_factory=set[SSAValue])
    measured: list[SSAValue] = field(default_factory=list[SSAValue])
    _leaders: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])

    def root(self, value: SSAValue) -> SSAValue:
        """The one value that stands for all that share its scale."""
        while value in self._leaders:
            value = self._leaders[value]
        return value

    def add(self, op: LayerOp) -> None:
        """Plans the results of a layer; its operands are planned."""
        nonnegative = [x in self.unsigned for x in op.operands]
        if op.cannot_be_negative(nonnegative):
            self.unsigned.update(op.results)
        if op.has_trait(JoinsOperands):
            self._join(op)
        elif op.keeps_scale(nonnegative):
            self._leaders.update((result, op.operands[0]) for result in op.results)
        else:
            self.measured.extend(op.results)
            if op.is_relu:
                self._fuse(op)

    def _fuse(self, op: LayerOp) -> None:
        """The layer before a ReLU makes its result in that one's scale."""
        (bottom,), (top,) = op.operands, op.results
        producer = bottom.owner
        takes = isinstance(producer, LayerOp) and producer.has_trait(TakesReLU)
        if takes and producer not in self.floats and bottom.has_one_use():
            self.unsigned.add(bottom)
            self.measured.remove(bottom)
            self._leaders[bottom] = top

    def _join(self, op: LayerOp) -> None:
        """Operands that nobody else reads are made in the result's own scale."""
        (top,) = op.results
        if op in self.floats:
            self.measured.append(top)
            return
        for bottom in op.operands:
            root = self.root(bottom)
            same_sign = (bottom in self.unsigned) == (top in self.unsigned)
            if same_sign and self._follows(bottom) and root != top:
                self._leaders[root] = top

    def _follows(self, value: SSAValue) -> bool:
        """Whether the value may take any scale: nobody else reads it or what it is made of."""
        if not value.has_one_use():
            return False
        if value in self._leaders:
            return self._follows(self._leaders[value])
        owner = value.owner
        return isinstance(owner, LayerOp) and owner not in self.floats and not owner.is_product


def plan_scales(
    inputs: Sequence[SSAValue], layers: Sequence[LayerOp], floats: Set[Operation | SSAValue]
) -> ScalePlan:
    """The plan of a net: its inputs, its layers in order, and what of both must stay float."""
    plan = ScalePlan(floats, measured=list(inputs))
    for op in layers:
        plan.add(op)
    return plan
