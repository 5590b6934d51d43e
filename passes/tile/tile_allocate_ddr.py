"""tile-allocate-ddr: addresses of weights, network tensors and intermediates in DDR."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Space, align
from passes.base import NpuFunctionPass
from passes.memory.allocation import Arena, allocate, lifetimes

DDR_BYTES = 1 << 34
"""Bytes that addresses may span; the runtime refuses what the board does not have."""


@dataclass(frozen=True)
class TileAllocateDdrPass(NpuFunctionPass):
    """Gives every DDR buffer its address.

    Before: buffers without addresses. After: constants lie from the start of the network's DDR on
    (equal ones once), then, from the next 4 KiB, network inputs, outputs and intermediates;
    intermediates share memory when their lifetimes do not meet. ``coeff_size``,
    ``context_address`` and ``context_size`` of the function hold the sizes.
    """

    name = "tile-allocate-ddr"
    level = "tile"

    def apply_to(self, function: FuncOp) -> None:
        block = function.body.block
        start, page = BM1684.context_start, BM1684.ddr_alignment
        weights = _place_constants(block.ops, start)
        context = start + align(max(weights, 1), page)
        at = context
        for inner in block.ops:
            if isinstance(inner, (tile.InputOp, tile.OutputOp)):
                inner.address = IntegerAttr(at, i64)
                at = align(at + inner.bytes.value.data, page)
        arena = Arena(at, at + DDR_BYTES, BM1684.alignment)
        for buffer, address in allocate(lifetimes(block, [Space.DDR]), arena):
            buffer.address = IntegerAttr(address, i64)
        top = align(max(arena.top, at, context + 1), page)
        for name, value in (
            ("coeff_size", context - start),
            ("context_address", context),
            ("context_size", top - context),
        ):
            function.attributes[name] = IntegerAttr(value, i64)


def _place_constants(ops: Iterable[Operation], start: int) -> int:
    """Places constants one after the other; returns the bytes they take."""
    used: dict[str, int] = {}
    at = start
    for op in ops:
        if isinstance(op, tile.ConstantOp):
            blob = op.blob.data
            if blob.digest not in used:
                used[blob.digest] = at
                at += align(blob.data.nbytes, BM1684.alignment)
            op.address = IntegerAttr(used[blob.digest], i64)
    return at - start
