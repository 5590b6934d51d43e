"""What the layers alone decide: which blobs share one scale, and which cannot be negative."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from math import prod

import numpy as np
from xdsl.ir import Block, Operation, SSAValue

from dialects.ufw import ops
from dialects.ufw.layer import LayerOp, shape_of

MOVES = (
    ops.DropoutOp,
    ops.FlattenOp,
    ops.ReshapeOp,
    ops.PermuteOp,
    ops.SliceOp,
    ops.SplitOp,
)
"""Layers that put numbers elsewhere and change none."""

MOVING = (ops.PoolingOp, *MOVES)
"""Layers whose results are as their input is: same scale, same sign, float when it is float. None
of their results can be larger than all of their input: they move data, or take a maximum or mean.
Only the mean of a whole map has a scale of its own.
"""

SLOPED = (ops.ReLUOp, ops.PReLUOp)
"""Layers that are within their input's range as far as no slope exceeds 1."""


def largest_slope(op: Operation) -> float:
    """The largest magnitude that a leaky ReLU or a PReLU multiplies a number by; else 1."""
    if isinstance(op, ops.ReLUOp):
        return max(1.0, abs(op.negative_slope.value.data))
    if isinstance(op, ops.PReLUOp):
        return float(np.abs(op.slope.array).max(initial=1.0))
    return 1.0


FUSES_RELU = (
    ops.ConvolutionOp,
    ops.InnerProductOp,
    ops.BatchNormOp,
    ops.ScaleOp,
    ops.BiasOp,
    ops.EltwiseOp,
)
"""Layers whose arithmetic a ReLU that is their only reader belongs to."""


def is_product(op: Operation) -> bool:
    """Whether the result's scale is a power of two times the product of the operands' scales."""
    if isinstance(op, ops.EltwiseOp):
        return op.operation.data == ops.EltwiseOperation.PRODUCT
    return isinstance(op, ops.ScaleOp) and op.operand is not None


def sum_factors(op: Operation) -> list[float] | None:
    """The factor of each operand where the layer is a sum of tensors, else None."""
    if isinstance(op, ops.BiasOp) and op.operand is not None:
        return [1.0, 1.0]
    if not isinstance(op, ops.EltwiseOp) or op.operation.data != ops.EltwiseOperation.SUM:
        return None
    if op.coefficients is None:
        return [1.0] * len(op.bottoms)
    return [float(value) for value in op.coefficients.get_values()]


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
        if isinstance(op, ops.ReLUOp) and op.negative_slope.value.data == 0:
            self._relu(op)
        elif averages_map(op):
            self.unsigned.update(op.results if op.operands[0] in self.unsigned else ())
            self.measured.extend(op.results)
        elif isinstance(op, MOVING) or (isinstance(op, SLOPED) and self._is_within(op)):
            self._keep(op)
        elif isinstance(op, ops.ConcatOp):
            self._concat(op)
        else:
            if self._cannot_be_negative(op):
                self.unsigned.update(op.results)
            self.measured.extend(op.results)

    def _is_within(self, op: LayerOp) -> bool:
        """Whether the results of a leaky ReLU or PReLU cannot exceed its operand's range."""
        return largest_slope(op) <= 1 or op.operands[0] in self.unsigned

    def _keep(self, op: LayerOp) -> None:
        for result in op.results:
            self._leaders[result] = op.operands[0]
            if op.operands[0] in self.unsigned:
                self.unsigned.add(result)

    def _relu(self, op: ops.ReLUOp) -> None:
        bottom, producer = op.bottom, op.bottom.owner
        self.unsigned.add(op.top)
        if bottom in self.unsigned:
            self._leaders[op.top] = bottom
            return
        self.measured.append(op.top)
        fuses = isinstance(producer, FUSES_RELU) and producer not in self.floats
        if fuses and bottom.has_one_use():
            self.unsigned.add(bottom)
            self.measured.remove(bottom)
            self._leaders[bottom] = op.top

    def _concat(self, op: ops.ConcatOp) -> None:
        """Operands that nobody else reads are made in the concatenation's own scale."""
        if all(bottom in self.unsigned for bottom in op.bottoms):
            self.unsigned.add(op.top)
        if op in self.floats:
            self.measured.append(op.top)
            return
        for bottom in op.bottoms:
            root = self.root(bottom)
            same_sign = (bottom in self.unsigned) == (op.top in self.unsigned)
            if same_sign and self._follows(bottom) and root != op.top:
                self._leaders[root] = op.top

    def _follows(self, value: SSAValue) -> bool:
        """Whether the value may take any scale: nobody else reads it or what it is made of."""
        if not value.has_one_use():
            return False
        if value in self._leaders:
            return self._follows(self._leaders[value])
        owner = value.owner
        return isinstance(owner, LayerOp) and owner not in self.floats and not is_product(owner)

    def _cannot_be_negative(self, op: LayerOp) -> bool:
        if isinstance(op, ops.SoftmaxOp) or (isinstance(op, ops.PointwiseOp) and op.row.low >= 0):
            return True
        factors = sum_factors(op)
        combines = isinstance(op, ops.EltwiseOp) or is_product(op) or factors is not None
        if not combines or (isinstance(op, ops.ScaleOp) and op.bias is not None):
            return False
        return min(factors or [0.0]) >= 0 and all(x in self.unsigned for x in op.operands)


def averages_map(op: Operation | Block) -> bool:
    """Whether a layer takes the mean of a whole map, whose range is far below the map's."""
    if not isinstance(op, ops.PoolingOp) or op.kind.data != ops.PoolingKind.AVERAGE:
        return False
    return shape_of(op.top)[2:] == (1, 1) and prod(shape_of(op.bottom)[2:]) > 1


def plan_scales(
    inputs: Sequence[SSAValue], layers: Sequence[LayerOp], floats: Set[Operation | SSAValue]
) -> ScalePlan:
    """The plan of a net: its inputs, its layers in order, and what of both must stay float."""
    plan = ScalePlan(floats, measured=list(inputs))
    for op in layers:
        plan.add(op)
    return plan
