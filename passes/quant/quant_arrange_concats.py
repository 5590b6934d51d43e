"""quant-arrange-concats: concatenations share what they begin with, and have their parts in the
order that suits the lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import lane_rows
from dialects.quant import compute, movement, types
from passes.base import NpuFunctionPass
from passes.channels.orders import Edits, apply, channels_of, collect


def best_order(parts: Sequence[SSAValue]) -> list[int]:
    """The parts' indices so that few of them fill more rows of 64 lanes than they need: the next
    one is the one that fits best behind those before, of several one of whole rows, of these the
    largest."""
    left, found, begin = list(range(len(parts))), list[int](), 0
    while left:
        counts = {i: channels_of(parts[i]) for i in left}
        best = min(
            left,
            key=lambda i: (_more_rows(parts[i], begin), counts[i] % BM1684.lanes > 0, -counts[i]),
        )
        left.remove(best)
        found.append(best)
        begin += counts[best]
    return min([list(range(len(parts))), found], key=lambda order: _cost(parts, order))


def _cost(parts: Sequence[SSAValue], order: Sequence[int]) -> int:
    begins = accumulate((channels_of(parts[i]) for i in order), initial=0)
    return sum(_more_rows(parts[i], begin) for i, begin in zip(order, begins, strict=False))


def _more_rows(value: SSAValue, begin: int) -> int:
    """Rows of lanes that a part takes more from its place on than from lane 0 on. What is no
    convolution has to be moved there."""
    lane = begin % BM1684.lanes
    channels = channels_of(value)
    moved = 0 if isinstance(value.owner, compute.ConvOp) or not lane else lane_rows(channels)
    return moved + lane_rows(channels, lane) - lane_rows(channels)


def share(function: FuncOp) -> None:
    """Makes a concatenation of ``a, b, c, d`` one of ``(a, b, c), d`` where ``a, b, c`` are
    concatenated before."""
    known: dict[tuple[int, tuple[SSAValue, ...]], SSAValue] = {}
    for op in function.body.block.ops:
        if not isinstance(op, movement.ConcatOp):
            continue
        axis, parts = op.axis.value.data, tuple(op.xs)
        for count in range(len(parts) - 1, 1, -1):
            whole = known.get((axis, parts[:count]))
            if whole is not None and _are_alike(whole, op.y):
                op.operands = [whole, *parts[count:]]
                break
        known[axis, parts] = op.y


def _are_alike(one: SSAValue, other: SSAValue) -> bool:
    """Whether the numbers of both have one scale and sign."""
    kinds = [(types.dtype_of(value), types.scale_of(value)) for value in (one, other)]
    return kinds[0] == kinds[1]


@dataclass(frozen=True)
class QuantArrangeConcatsPass(NpuFunctionPass):
    """Puts the parts of concatenations along channels into an order in which they are made in their
    place in local memory, and the weights of the convolutions that read them into the same.

    Dense blocks concatenate all that came before at every step: there a concatenation begins with
    the one before, so that what both have is made once, in its place in the last of them.

    A part that begins in the middle of a row of 64 lanes may fill one row more there, and takes the
    time of that row: 32 and 64 channels fill three rows, 64 and 32 fill two. Where a reader needs
    the channels as they are, or the network does, nothing changes. The attribute
    ``quant.channel_order`` tells the compare of the new order.
    """

    name = "quant-arrange-concats"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        share(function)
        for op in function.body.block.ops:
            if isinstance(op, movement.ConcatOp) and op.axis.value.data == 1:
                _order(op)


def _order(op: movement.ConcatOp) -> None:
    parts = list(op.xs)
    chosen = best_order(parts) if len(types.shape_of(op.y)) == 4 else []
    if chosen == sorted(chosen):
        return
    begins = list(accumulate(map(channels_of, parts), initial=0))
    order = np.concatenate([np.arange(begins[i], begins[i + 1]) for i in chosen])
    edits = Edits({}, {op: order})
    if collect(op.y, order, edits):
        op.operands = [parts[i] for i in chosen]
        apply(edits)
