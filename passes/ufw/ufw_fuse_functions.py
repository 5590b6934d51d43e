"""ufw-fuse-functions: layers that work number by number on one tensor become one function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from dialects.composed import MOST_STEPS, Step, composed, text_of
from dialects.function import Parameters
from dialects.functions import ROWS
from dialects.ufw.activation import PointwiseOp
from dialects.ufw.facts import TakesReLU
from dialects.ufw.layer import LayerOp, Top, shape_of
from passes.base import NpuFunctionPass

POINTS = np.concatenate([np.linspace(-12, 12, 2401), [-1e3, -50, 50, 1e3]])
"""Where a composed function is compared with the known ones."""
NEAR = 2e-7
"""How near it must be to one of them, absolute, or relative where results are larger than 1."""


def fuse_functions(function: FuncOp) -> dict[Operation, PointwiseOp]:
    """Fuses all regions of a function; returns the op that each of their layers became part of."""
    fused: dict[Operation, PointwiseOp] = {}
    for end in reversed([op for op in function.body.block.ops if isinstance(op, LayerOp)]):
        if end in fused:
            continue
        region = _region(end)
        if region is None:
            continue
        new = region.function()
        function.body.block.insert_op_before(new, end)
        end.results[0].replace_all_uses_with(new.top)
        for op in reversed(region.ops):
            fused[op] = new
            op.detach()
            op.erase()
    return fused


@dataclass(frozen=True)
class UfwFuseFunctionsPass(NpuFunctionPass):
    """Makes one pointwise function of neighbouring layers that work number by number on one tensor:
    hard-swish out of add, clip, multiply and divide, SiLU out of x and its Sigmoid.

    Before: such layers, no result of which but the last one's is read elsewhere. After: one
    ``pointwise``, named after the last layer: a function of :mod:`dialects.functions` where it is
    equal to one, else composed of them (:mod:`dialects.composed`). A ReLU that the layer before it
    can compute stays.
    """

    name = "ufw-fuse-functions"
    level = "ufw"

    def apply_to(self, function: FuncOp) -> None:
        fuse_functions(function)


@dataclass
class Region:
    """Layers in their order, the last of which has the only result that is read elsewhere, and the
    tensor that they depend on."""

    x: SSAValue
    ops: list[LayerOp]
    steps: list[Step] = field(default_factory=list[Step])

    @property
    def end(self) -> LayerOp:
        return self.ops[-1]

    def compose(self) -> bool:
        """Sets the steps; False where there are too few to be worth a function, or too many."""
        names, count = {self.x: "x"}, 0
        for op in self.ops:
            operands = [names[value] for value in op.operands]
            found = op.steps(operands)
            assert found is not None
            if not found:
                names[op.results[0]] = operands[0]
                continue
            count += 1
            own = {step.target: f"v{len(self.steps) + i}" for i, step in enumerate(found)}
            self.steps += [step.renamed(own) for step in found]
            names[op.results[0]] = self.steps[-1].target
        is_last = bool(self.steps) and names[self.end.results[0]] == self.steps[-1].target
        return count > 1 and is_last and len(self.steps) <= MOST_STEPS

    def function(self) -> PointwiseOp:
        """The one layer."""
        top = Top.like(self.end.results[0], self.end.top_names[0])
        name, parameters = _known(self.steps) or (text_of(self.steps), {})
        new = PointwiseOp(self.x, top, name, **parameters)
        new.location = self.end.location
        new.top.name_hint = self.end.results[0].name_hint
        return new


def _known(steps: Iterable[Step]) -> tuple[str, Parameters] | None:
    """The function that the steps are, with its parameters; None where it is none of the known."""
    found = composed(list(steps)).of(POINTS, {})
    for row in ROWS:
        for parameters in (dict[str, float](), *row.samples):
            y = row.of(POINTS, {**row.defaults, **parameters})
            with np.errstate(invalid="ignore"):
                near = np.abs(found - y) <= NEAR * np.maximum(1, np.abs(y))
            if (near | (found == y) | (np.isnan(found) & np.isnan(y))).all():
                return row.name, parameters
    return None


def _member(op: Operation | object) -> bool:
    """Whether an op can be a part of a function."""
    if not isinstance(op, LayerOp) or len(op.results) != 1 or not op.operands:
        return False
    if op.steps(["x"] * len(op.operands)) is None:
        return False
    shapes = {shape_of(value) for value in (*op.operands, *op.results)}
    return len(shapes) == 1 and not _is_taken(op)


def _is_taken(op: LayerOp) -> bool:
    """Whether the layer before a ReLU computes it."""
    x = op.operands[0]
    return op.is_relu and isinstance(x.owner, Operation) and (
        x.owner.has_trait(TakesReLU) and x.has_one_use()
    )  # fmt: skip


def _region(end: LayerOp) -> Region | None:
    """The largest region that ends with a layer and is worth a function."""
    if not _member(end):
        return None
    inner = _reaching(end)
    values = dict.fromkeys(value for op in inner for value in op.operands)
    for x in sorted(values, key=lambda value: _place(value, inner)):
        ops = _between(x, end, inner)
        if ops is not None:
            region = Region(x, ops)
            if region.compose():
                return region
    return None


def _place(value: SSAValue, inner: Mapping[LayerOp, int]) -> int:
    """That of the layer that makes a value; -1 outside."""
    owner = value.owner
    return inner.get(owner, -1) if isinstance(owner, LayerOp) else -1


def _reaching(end: LayerOp) -> dict[LayerOp, int]:
    """The layers whose results are read by one another and by the end alone, and the place of each
    in their order: those before the end as far as their steps are not too many for a function."""
    found = list[LayerOp]()
    members: set[Operation] = {end}
    waiting: set[Operation | Block] = {end}
    steps = 0
    op: Operation | None = end
    while op is not None and waiting and steps <= MOST_STEPS:
        if op in waiting:
            waiting.remove(op)
            users = {use.operation for result in op.results for use in result.uses}
            if op is end or (_member(op) and users <= members):
                assert isinstance(op, LayerOp)
                members.add(op)
                found.append(op)
                steps += len(op.steps(["x"] * len(op.operands)) or ())
                waiting |= {value.owner for value in op.operands}
        op = op.prev_op
    return {op: place for place, op in enumerate(reversed(found))}


def _between(
    x: SSAValue, end: LayerOp, inner: Mapping[LayerOp, int]
) -> list[LayerOp] | None:
    """The layers that lead from x to the end, if these depend on nothing else."""
    members, waiting = set[LayerOp](), list[SSAValue](end.results)
    while waiting:
        value = waiting.pop()
        if value is x:
            continue
        owner = value.owner
        if not isinstance(owner, LayerOp) or owner not in inner:
            return None
        if owner not in members:
            members.add(owner)
            waiting.extend(owner.operands)
    return sorted(members, key=lambda op: inner[op])
