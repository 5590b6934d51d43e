"""quant-merge-groups: narrow groups of a convolution become wider ones, with zeros between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from xdsl.dialects.func import FuncOp

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import START_CYCLES
from dialects.bm1684.isa import Direction
from dialects.constant import Array, ConstantAttr
from dialects.quant import types
from dialects.quant.base import int_attr
from dialects.quant.compute import ConvOp
from passes.base import NpuFunctionPass
from passes.cost.conv import on_strips


def best_merge(op: ConvOp) -> int:
    """How many neighbouring groups to compute as one: a divisor of their number."""
    groups, most = op.group.value.data, BM1684.limits.channels // op.weight.shape[1]
    merges = [m for m in range(1, min(groups, most) + 1) if groups % m == 0]
    return min(merges, key=lambda m: cycles(op, m), default=1)


def cycles(op: ConvOp, merge: int) -> float:
    """Of the engine that takes longer, with ``merge`` groups at a time."""
    one = replace(on_strips(op), groups=1)
    part = replace(one, outputs=one.outputs * merge, channels=one.channels * merge)
    load = part.load_cycles() + START_CYCLES[Direction.SYSTEM_TO_LOCAL]
    return op.group.value.data // merge * max(part.cycles(), load)


def merged(weight: Array, groups: int, merge: int) -> Array:
    """The weights [O, C, kh, kw] of ``groups`` groups as [O, C * merge, kh, kw]: those of a group's
    own channels, zeros for the others'."""
    outputs, channels, *kernel = weight.shape
    rows = weight.reshape(groups // merge, merge, outputs // groups, channels, *kernel)
    shape = (groups // merge, merge, outputs // groups, merge, channels, *kernel)
    found = np.zeros(shape, weight.dtype)
    for i in range(merge):
        found[:, i, :, i] = rows[:, i]
    return found.reshape(outputs, channels * merge, *kernel)


@dataclass(frozen=True)
class QuantMergeGroupsPass(NpuFunctionPass):
    """Merges groups of convolutions where fewer, wider commands take fewer cycles.

    A command of one group keeps few lanes busy: 8-bit, 32 groups of 4 channels take 7 times as long
    as 2 of 64, 15 of 16 weights being zero. Floats are the same, unless one is infinite: times zero
    it makes the groups beside its own undefined. Depthwise convolutions, which have a command of
    their own, stay as they are.
    """

    name = "quant-merge-groups"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        for conv in function.body.block.ops:
            if not isinstance(conv, ConvOp):
                continue
            groups = conv.group.value.data
            depthwise = groups == types.shape_of(conv.x)[1] == types.shape_of(conv.y)[1]
            if groups == 1 or depthwise:
                continue
            merge = best_merge(conv)
            if merge > 1:
                conv.weight = ConstantAttr.of(merged(conv.weight.array, groups, merge))
                conv.group = int_attr(groups // merge)
