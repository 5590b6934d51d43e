"""tile-allocate-local: offsets in local memory and L2."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64
from xdsl.passes import ModulePass

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Space
from passes.support.memory import Arena, Lifetime, OutOfMemory, allocate, lifetimes
from passes.support.program import LayerError, main_function


@dataclass(frozen=True)
class TileAllocateLocalPass(ModulePass):
    """Gives every buffer in local memory its offset, and every table its place in L2.

    Before: buffers without addresses. After: no two buffers that are alive at one op overlap. With
    ``rotate`` a buffer goes behind the last one, so that the next tile's loads find memory that the
    running computations do not use.
    """

    name = "tile-allocate-local"

    rotate: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        block = main_function(op).body.block
        step = BM1684.alignment
        _place(lifetimes(block, [Space.LMEM]), Arena(0, BM1684.lane_bytes, step, self.rotate))
        _place(lifetimes(block, [Space.L2]), Arena(0, BM1684.tables.start, step))


def _place(spans: list[Lifetime], arena: Arena) -> None:
    """Places the buffers; where rotating leaves no room, the memory is filled from the bottom."""
    placed = 0
    try:
        for buffer, offset in allocate(spans, arena):
            buffer.address = IntegerAttr(offset, i64)
            placed += 1
    except OutOfMemory as error:
        where = spans[placed].buffer.location
        raise LayerError(where, f"no room in {arena.stop} bytes of memory for {error}") from None
