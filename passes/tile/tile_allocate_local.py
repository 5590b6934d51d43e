"""tile-allocate-local: offsets in local memory and L2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles import cycles_of
from dialects.bm1684.layout import Space, align
from passes.base import NpuFunctionPass
from passes.commands import lower_compute, lower_transfer
from passes.commands.place import Addresses
from passes.memory.allocation import allocate, place_ahead, place_longest_first
from passes.memory.arenas import Arena, OutOfMemory
from passes.memory.lifetimes import TRANSFERS, Lifetime, lifetimes
from passes.memory.timed import Step, place_by_time
from passes.module.locations import LayerError


@dataclass(frozen=True)
class TileAllocateLocalPass(NpuFunctionPass):
    """Gives every buffer in local memory its offset, and every table its place in L2.

    Before: buffers without addresses. After: no two buffers that are alive at one op overlap. With
    ``overlap`` loaded buffers take the memory that has been free for longest, so that loads run
    ahead of the computations; where they do not fit that way, every buffer takes the lowest gap;
    where they do not fit so either, those that live longest are placed first, then the largest.
    With ``overlap``, buffers of the kind ``apart`` ("loaded", "computed", or "all") lie in other
    banks than what commands touch together with them, where such a place is as good. With
    ``timed``, where they fit so, computed buffers lie close together, and each loaded one where its
    load can start first by an estimate of when the commands run.
    """

    name = "tile-allocate-local"
    level = "tile"

    overlap: bool = False
    apart: str = ""
    timed: bool = False

    def apply_to(self, function: FuncOp) -> None:
        block = function.body.block
        local = lifetimes(block, [Space.LMEM])
        fits = self.overlap and _place_ahead(local, self.apart)
        if fits and self.timed:
            _place_by_time(local, list(_steps(block)), self.apart)
        for spans, size in (
            (lifetimes(block, [Space.L2]), BM1684.tables.start),
            *([] if fits else [(local, BM1684.lane_bytes)]),
        ):
            failed = _place(spans, Arena(0, size, BM1684.alignment))
            if failed is None or any(_place_known(spans, size, way) for way in (False, True)):
                continue
            needed = align(failed.buffer.bytes.value.data, BM1684.alignment)
            sentence = f"{needed} bytes do not fit what is left of {size} bytes of memory"
            raise LayerError(failed.buffer.location, sentence)


def _steps(block: Block) -> Iterator[Step]:
    """What each op of a block touches, and what it takes; the buffers have addresses."""
    addresses, base = Addresses(), dict[SSAValue, SSAValue]()
    for position, op in enumerate(block.ops):
        if isinstance(op, tile.BufferOp):
            addresses.found[op.ref] = 0 if op.address is None else op.located
            base[op.ref] = op.ref
        elif isinstance(op, tile.ViewOp):
            addresses.define_view(op)
            base[op.ref] = base[op.source]
        elif not isinstance(op, (tile.ObserveOp, ReturnOp)):
            moved = isinstance(op, TRANSFERS)
            commands = (lower_transfer if moved else lower_compute)(op, addresses)
            cycles = sum(cycles_of(command) or 0 for command in commands)
            touched = tuple(dict.fromkeys(base[value] for value in op.operands))
            yield Step(position, touched, cycles, moved, isinstance(op, tile.StoreOp))


def _place_ahead(spans: list[Lifetime], apart: str) -> bool:
    """Gives the buffers places that let loads run ahead, if they fit so."""
    try:
        places = place_ahead(spans, apart)
    except OutOfMemory:
        return False
    for buffer, offset in places.items():
        buffer.address = IntegerAttr(offset, i64)
    return True


def _place_by_time(spans: list[Lifetime], steps: list[Step], apart: str) -> None:
    """Gives the buffers places by time, if they fit so."""
    with suppress(OutOfMemory):
        for span, offset in place_by_time(spans, steps, apart).items():
            span.buffer.address = IntegerAttr(offset, i64)


def _place_known(spans: list[Lifetime], size: int, by_size: bool) -> bool:
    """Gives the buffers places, the longest or the largest ones first, if they fit so."""
    try:
        places = place_longest_first(spans, Arena(0, size, BM1684.alignment), by_size=by_size)
    except OutOfMemory:
        return False
    for span, offset in places.items():
        span.buffer.address = IntegerAttr(offset, i64)
    return True


def _place(spans: list[Lifetime], arena: Arena) -> Lifetime | None:
    """Gives the buffers their addresses; returns the first that does not fit, or None."""
    placed = 0
    try:
        for buffer, offset in allocate(spans, arena):
            buffer.address = IntegerAttr(offset, i64)
            placed += 1
    except OutOfMemory:
        return spans[placed]
    return None
