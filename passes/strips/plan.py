"""The choice: walks the layers in order and puts each where it costs least.

Layers that share strips form a group: the rows of their tensors' strips are in fixed proportions
(a layer of stride 2 halves them), so that one number, the unit, sets them all. It is the least that
covers every image of the group. Between groups an image is joined and split again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm

from xdsl.ir import Block, Operation, SSAValue

from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.strips import STRIPS
from dialects.quant.windows import RowWindow
from passes.cost.layers import layer_cycles, rows_cycles
from passes.cost.rows import cut_window
from passes.cost.strips import exchange_cycles, join_cycles, split_cycles
from passes.cost.tensors import transfer_cycles


def _height(value: SSAValue) -> int:
    return types.shape_of(value)[2]


@dataclass(eq=False)
class StripGroup:
    """Layers on common strips. ``shares``: the rows of each tensor's strips, in units. ``step``: of
    which the unit is a multiple, so that all rows are whole numbers."""

    shares: dict[SSAValue, Fraction] = field(default_factory=dict[SSAValue, Fraction])
    layers: list[tuple[QuantOp, RowWindow]] = field(
        default_factory=list[tuple[QuantOp, RowWindow]]
    )
    step: int = 1
    unit: int = 1

    def rows(self, value: SSAValue) -> int:
        """Rows of a tensor's strips."""
        return int(self.shares[value] * self.unit)

    def step_with(self, more: dict[SSAValue, Fraction], whole: Fraction) -> int:
        """The step that also serves these tensors, and makes ``whole`` whole."""
        return lcm(self.step, *(number.denominator for number in (*more.values(), whole)))

    def unit_with(self, more: dict[SSAValue, Fraction], whole: Fraction) -> int:
        """The least unit that also serves these tensors, and makes ``whole`` whole."""
        step = self.step_with(more, whole)
        need = max(-(-_height(v) // STRIPS) / share for v, share in more.items())
        least = max(Fraction(self.unit), need)
        return -(-least // step) * step

    def cycles(self, unit: int) -> float:
        """Cycles of the group's layers under a unit."""
        return sum(
            _on_strips(op, window, int(self.shares[op.results[0]] * unit))
            for op, window in self.layers
        )


def _strip_window(op: Operation) -> RowWindow | None:
    """The window of a layer that strips can serve: of a single 8-bit image, made row by row."""
    window = cut_window(op)
    values = (*op.operands, *op.results)
    if any(types.is_float(value) or types.shape_of(value)[0] != 1 for value in values):
        return None
    return window if window is not None and window.out > 1 else None


def _serves(op: Operation) -> bool:
    """Whether strips can serve a layer."""
    return _strip_window(op) is not None


def _on_strips(op: QuantOp, window: RowWindow, rows: int) -> float:
    cycles = rows_cycles(op, window, rows, STRIPS)
    cycles += exchange_cycles(op, window, rows * window.stride)
    return cycles + transfer_cycles(op, in_strips=True)


@dataclass(frozen=True)
class _Offer:
    """A place for a layer: its group (None: the whole image), the group's unit and the shares of
    the layer's tensors in it, and the cycles that it adds."""

    cycles: float
    group: StripGroup | None
    unit: int = 1
    shares: dict[SSAValue, Fraction] = field(default_factory=dict[SSAValue, Fraction])


@dataclass
class StripPlan:
    """``placed``: the group of every layer that runs on strips. ``margin``: percent of the cycles
    on strips below which the whole image must stay."""

    margin: int = 100
    placed: dict[Operation, StripGroup] = field(default_factory=dict[Operation, StripGroup])
    _groups: dict[SSAValue, list[StripGroup]] = field(
        default_factory=dict[SSAValue, list[StripGroup]]
    )
    _whole: set[SSAValue] = field(default_factory=set[SSAValue])

    def place(self, op: QuantOp) -> None:
        """Finds the layer's place."""
        window = _strip_window(op)
        if window is None:
            self._whole.update((*op.operands, *op.results))
            return
        offers = [self._stay_whole(op), self._join_group(op, window, StripGroup())]
        offers += [self._join_group(op, window, group) for group in self._near(op)]
        best = min((o for o in offers if o is not None), key=lambda offer: offer.cycles)
        if best.group is None:
            self._whole.update((*op.operands, *op.results))
            return
        group = best.group
        whole = best.shares[op.results[0]] / window.multiple
        group.unit, group.step = best.unit, group.step_with(best.shares, whole)
        group.shares |= best.shares
        group.layers.append((op, window))
        self.placed[op] = group
        for value in best.shares:
            known = self._groups.setdefault(value, [])
            if group not in known:
                known.append(group)

    def _near(self, op: QuantOp) -> list[StripGroup]:
        """The groups that hold one of the operands."""
        return list(dict.fromkeys(g for x in op.operands for g in self._groups.get(x, ())))

    def _joins(self, values: Iterable[SSAValue]) -> float:
        """Cycles of making images whole that only strips hold yet."""
        total = 0.0
        for value in dict.fromkeys(values):
            if value not in self._whole and value in self._groups:
                total += join_cycles(value, self._groups[value][0].rows(value))
        return total

    def _stay_whole(self, op: QuantOp) -> _Offer:
        """The layer on the whole image; to leave strips between layers that run on them is to split
        again."""
        cycles = layer_cycles(op) + transfer_cycles(op, in_strips=False)
        cycles += self._joins(op.operands)
        (result,) = op.results
        followed = any(_serves(use.operation) for use in result.uses)
        if followed and any(x not in self._whole for x in op.operands):
            cycles += split_cycles(result, -(-_height(result) // STRIPS))
        return _Offer(cycles * 100 / self.margin, None)

    def _join_group(self, op: QuantOp, window: RowWindow, group: StripGroup) -> _Offer | None:
        """The layer in a group, or (an empty one) in a group of its own."""
        held = {group.shares[x] for x in op.operands if x in group.shares}
        if len(held) > 1:
            return None
        share = held.pop() if held else Fraction(window.stride)
        shares = dict.fromkeys(op.operands, share)
        shares[op.results[0]] = share / window.stride
        unit = group.unit_with(shares, shares[op.results[0]] / window.multiple)
        rows = int(shares[op.results[0]] * unit)
        if max(window.top, window.bottom) > rows * window.stride:
            return None
        missing = [x for x in dict.fromkeys(op.operands) if x not in group.shares]
        cycles = _on_strips(op, window, rows) + self._joins(missing)
        cycles += sum(split_cycles(x, rows * window.stride) for x in missing)
        if not group.layers:
            cycles += join_cycles(op.results[0], rows)
        elif unit != group.unit:
            cycles += group.cycles(unit) - group.cycles(group.unit)
        return _Offer(cycles, group, unit, shares)


def plan_strips(block: Block, margin: int = 100) -> StripPlan:
    """Where the layers of a network run."""
    plan = StripPlan(margin)
    ops = [op for op in block.ops if isinstance(op, QuantOp)]
    for op in ops:
        plan.place(op)
    return plan
