"""quant-spread-rows: layers of few channels run on pieces of the image that lie side by side."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.dialects.func import FuncOp

from dialects.bm1684.cycles.gdma import PEAK_BYTES
from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.conv import ConvOp
from dialects.quant.movement import ConcatOp, SliceOp
from passes.base import NpuFunctionPass
from passes.cost.conv import convolution_of, folded_cycles
from passes.cost.layers import layer_work
from passes.spread.layers import Spread
from passes.spread.region import Entry, is_dense, regions_of

LEAST_SAVED = 500.0
"""Cycles; less is not worth the commands."""
LEAST_SHARE = 1 / 64
"""Of what the layers take: the estimate is no better."""
DMA_SHARE = 0.5
"""What a cycle of the DMA engine counts beside one of the tensor unit."""


def _saved(spread: Spread) -> float:
    """Cycles that the new layers take less; 0 where there are hardly any."""
    old = sum(map(_cycles, spread.placed.region.layers))
    saved = old - sum(_cycles(op) for ops in spread.made.values() for op in ops)
    return saved if saved > LEAST_SHARE * old else 0.0


def _cycles(op: QuantOp) -> float:
    """What a layer counts; parts of others lie in their place."""
    if isinstance(op, (ConcatOp, SliceOp)):
        return 0.0
    work, moved = layer_work(op), op.weight_bytes
    if work.leaves_lanes:
        moved += sum(4 * prod(types.shape_of(value)) for value in {*op.operands, *op.results})
    tiu = work.tiu
    if isinstance(op, ConvOp) and is_dense(op):
        images, _, rows, _ = types.shape_of(op.y)
        tiu = folded_cycles(convolution_of(op, rows, images))
    return tiu + DMA_SHARE * moved / PEAK_BYTES


def _best(entry: Entry) -> Spread | None:
    """The region behind an entry that saves most."""
    block = entry.layer.parent_block()
    assert block is not None
    most, best = LEAST_SAVED, None
    for region in regions_of(block, entry):
        placed = region.place()
        spread = None if placed is None else Spread(placed)
        if spread is None:
            continue
        saved = _saved(spread)
        if saved > most:
            spread, best, most = best, spread, saved
        if spread is not None:
            spread.drop()
    return best


@dataclass(frozen=True)
class QuantSpreadRowsPass(NpuFunctionPass):
    """Runs layers of few channels on two or four pieces of the image at once, whose channels lie
    side by side in the lanes.

    Before: layers of up to 32 channels, which leave half of the 64 lanes or more without work.
    After: a convolution a piece, each with the next channels of one tensor as its result; then
    depthwise convolutions, poolings, sums and functions on all of them at once, and convolutions
    with zeros between the weights of the pieces; then a convolution a piece again, with rows of
    the whole as its result. Pieces overlap by the rows that the windows between need.
    """

    name = "quant-spread-rows"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        block = function.body.block
        op = block.first_op
        while op is not None:
            entry = Entry.of(op)
            spread = None if entry is None else _best(entry)
            if entry is None or spread is None:
                op = op.next_op
            else:
                before = entry.layers[0].prev_op
                spread.put()
                op = block.first_op if before is None else before.next_op
