"""Lifetimes of buffers, and arenas that hand out address ranges."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import itemgetter
from typing import Self

import numpy as np
from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, Space, align

TRANSFERS = (tile.TransferOp, tile.FillOp)
"""What the DMA engine does; all else is the tensor unit's."""


@dataclass(frozen=True)
class Lifetime:
    """A buffer and the first and last position of an op that touches it. ``loaded``: a transfer
    writes it first; ``stored``: a transfer reads it last; ``mates``: the buffers that a computation
    touches together with it; ``end_by``: the first byte of a lane that it must not reach."""

    buffer: tile.AllocOp
    first: int
    last: int
    loaded: bool = False
    stored: bool = False
    mates: frozenset[tile.AllocOp] = frozenset()
    end_by: int = sys.maxsize


def lifetimes(block: Block, spaces: Iterable[Space]) -> list[Lifetime]:
    """The lifetimes of all scratch buffers in these memories, in the order of their first use."""
    base: dict[SSAValue, tile.AllocOp] = {}
    spans: dict[tile.AllocOp, Lifetime] = {}
    chosen = set(spaces)
    for position, op in enumerate(block.ops):
        if isinstance(op, tile.AllocOp):
            if Ref.of(op.ref).place.space in chosen:
                base[op.ref] = op
        elif isinstance(op, tile.ViewOp):
            if op.source in base:
                base[op.ref] = base[op.source]
        else:
            _touch(op, position, base, spans)
    return sorted(spans.values(), key=lambda t: t.first)


def _touch(
    op: Operation,
    position: int,
    base: dict[SSAValue, tile.AllocOp],
    spans: dict[tile.AllocOp, Lifetime],
) -> None:
    moved = isinstance(op, TRANSFERS)
    touched = dict.fromkeys(base[value] for value in op.operands if value in base)
    for buffer in touched:
        old = spans.get(buffer, Lifetime(buffer, position, position, moved))
        mates = old.mates if moved else old.mates | touched.keys() - {buffer}
        spans[buffer] = replace(old, last=position, stored=moved, mates=mates)
    if isinstance(op, tile.WeightedSumOp):
        for buffer in (base[value] for value in (op.a, op.b) if value in base):
            spans[buffer] = replace(spans[buffer], end_by=BM1684.lane_bytes - op.BEHIND)


def overlaps(spans: Sequence[Lifetime]) -> Iterator[tuple[Lifetime, Lifetime]]:
    """The pairs of buffers with addresses, in the order of their first use, that are alive at one
    op and share memory; a sound allocation has none."""
    live: list[Lifetime] = []
    for span in spans:
        live = [each for each in live if each.last >= span.first]
        yield from ((each, span) for each in live if _bytes_shared(each.buffer, span.buffer))
        live.append(span)


def _bytes_shared(one: tile.AllocOp, other: tile.AllocOp) -> bool:
    starts = one.located, other.located
    ends = [x.located + x.bytes.value.data for x in (one, other)]
    return max(starts) < min(ends)


class OutOfMemory(ValueError):
    """No free range is large enough."""


@dataclass
class Arena:
    """Address ranges [start, stop) of one memory, each taken from the lowest gap it fits."""

    start: int
    stop: int
    step: int
    live: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    top: int = 0

    def take(self, span: Lifetime) -> int:
        """The start of a free range for a buffer. Raises OutOfMemory."""
        size = self.size_of(span)
        at = self._choose(span, size)
        insort(self.live, (at, at + size))
        self.top = max(self.top, at + size)
        return at

    def release(self, at: int, span: Lifetime) -> None:
        """Gives back the range that starts at ``at``, after its buffer's last use."""
        self.live = [r for r in self.live if r[0] != at]

    def copy(self) -> Self:
        """An arena with the same ranges taken."""
        new = copy(self)
        new.live = list(self.live)
        return new

    def size_of(self, span: Lifetime) -> int:
        return align(max(span.buffer.bytes.value.data, 1), self.step)

    def _choose(self, span: Lifetime, size: int) -> int:
        for begin, end in self._gaps():
            if min(end, span.end_by) - begin >= size:
                return begin
        raise OutOfMemory(f"{size} bytes")

    def _gaps(self) -> Iterator[tuple[int, int]]:
        low = self.start
        for begin, end in self.live:
            if begin > low:
                yield low, begin
            low = end
        if low < self.stop:
            yield low, self.stop


HORIZON = 1024
"""Ops after which it does not matter any more when memory became free."""
Price = tuple[int, ...]
"""What is compared between places for a buffer; the least wins."""


@dataclass(frozen=True, slots=True)
class _Freed:
    """A free range and when it became free: the position of its last use."""

    begin: int
    end: int
    at: int
    stored: bool


@dataclass
class OverlapArena(Arena):
    """An arena that lets transfers run ahead of computations.

    A buffer that is loaded goes where memory has been free for longest, so that its load can start
    early. One that is computed takes what became free last and leaves the rest to loads; only
    where nothing else is left does it take what a store still reads. One that is of the kind
    ``apart`` ("loaded", "computed", or "all") takes, of places that are as good, one in other banks
    than those of the buffers that commands touch together with it. Those that are to lie ``low``
    take the lowest gap.
    """

    apart: str = ""
    low: frozenset[tile.AllocOp] = frozenset()
    freed: list[_Freed] = field(default_factory=list[_Freed])
    banks: dict[tile.AllocOp, set[int]] = field(default_factory=dict[tile.AllocOp, set[int]])
    """Those of each buffer so far."""

    def __post_init__(self) -> None:
        self.freed = [_Freed(self.start, self.stop, -1, False)]

    def release(self, at: int, span: Lifetime) -> None:
        super().release(at, span)
        new = _Freed(at, at + self.size_of(span), span.last, span.stored)
        insort(self.freed, new, key=lambda f: f.begin)
        self.freed = list(_merged(self.freed, span.last - HORIZON))

    def copy(self) -> Self:
        new = super().copy()
        new.freed, new.banks = list(self.freed), dict(self.banks)
        return new

    def _choose(self, span: Lifetime, size: int) -> int:
        places = [
            place
            for run in _runs(self.freed if span.end_by >= self.stop else self._below(span.end_by))
            if run[-1].end - run[0].begin >= size
            for place in _places(run, size, span.loaded)
        ]
        if not places:
            raise OutOfMemory(f"{size} bytes")
        if span.buffer in self.low:
            at = super()._choose(span, size)
            self._cut(at, at + size)
            return at
        taken = set[int]()
        if self.apart in ("all", "loaded" if span.loaded else "computed"):
            taken.update(*(self.banks.get(mate, ()) for mate in span.mates))
        if taken:
            _, at = min(places, key=lambda place: (place[0], len(banks_of(place[1], size) & taken)))
        else:
            _, at = min(places, key=itemgetter(0))
        if self.apart:
            self.banks[span.buffer] = banks_of(at, size)
        self._cut(at, at + size)
        return at

    def _below(self, stop: int) -> list[_Freed]:
        """Free ranges up to an address."""
        return [replace(f, end=min(f.end, stop)) for f in self.freed if f.begin < stop]

    def _cut(self, begin: int, end: int) -> None:
        kept: list[_Freed] = []
        for f in self.freed:
            if f.end <= begin or f.begin >= end:
                kept.append(f)
                continue
            if f.begin < begin:
                kept.append(_Freed(f.begin, begin, f.at, f.stored))
            if f.end > end:
                kept.append(_Freed(end, f.end, f.at, f.stored))
        self.freed = kept


def _runs(freed: list[_Freed]) -> Iterator[list[_Freed]]:
    """Free ranges that touch each other, run by run."""
    run = freed[:1]
    for before, after in pairwise(freed):
        if before.end != after.begin:
            yield run
            run = []
        run.append(after)
    if run:
        yield run


def banks_of(at: int, size: int) -> set[int]:
    """The banks of local memory under a range."""
    return set(range(at // BM1684.bank_bytes, (at + size - 1) // BM1684.bank_bytes + 1))


def _merged(freed: Iterable[_Freed], old: int) -> Iterator[_Freed]:
    """The ranges, neighbours as one when both became free before ``old``."""
    held: _Freed | None = None
    for f in freed:
        if held is not None and held.end == f.begin and held.at < old and f.at < old:
            held = _Freed(held.begin, f.end, max(held.at, f.at), held.stored or f.stored)
            continue
        if held is not None:
            yield held
        held = f
    if held is not None:
        yield held


def _places(run: list[_Freed], size: int, loaded: bool) -> list[tuple[Price, int]]:
    """Prices of places worth trying in a run of ranges, each from a border on or up to one, and
    where they begin."""
    begins = [f.begin for f in run]
    ends = [f.end for f in run]
    under = [
        (at, i, bisect_left(ends, at + size) + 1)
        for i, at in enumerate(begins)
        if at + size <= ends[-1]
    ]
    under += [
        (at - size, bisect_right(begins, at - size) - 1, i + 1)
        for i, at in enumerate(ends)
        if at - size >= begins[0]
    ]
    freed = [f.at for f in run]
    if loaded:
        return [((max(freed[i:j]),), at) for at, i, j in under]
    stored = [f.at if f.stored else -1 for f in run]
    return [((max(stored[i:j]), -min(freed[i:j])), at) for at, i, j in under]


def place_longest_first(
    spans: Sequence[Lifetime], arena: Arena, apart: bool = False, down: bool = False,
    by_size: bool = False,
) -> dict[Lifetime, int]:
    """Places for all buffers, known beforehand: those that live longest first, or the largest
    (``by_size``), each in the lowest gap between those that are alive with it, or in the highest
    (``down``). Leaves fewer gaps than the order of use. With ``apart`` it is the lowest of those
    places that share fewest banks with the buffers that commands touch together with it. Raises
    OutOfMemory."""
    known = np.zeros((0, 4), np.int64)
    places: dict[Lifetime, int] = {}
    banks: dict[tile.AllocOp, set[int]] = {}
    whole = arena.stop - arena.start
    sizes = {span: arena.size_of(span) if by_size else 0 for span in spans}
    for span in sorted(spans, key=lambda s: (-sizes[s], s.first - s.last, s.first)):
        size = arena.size_of(span)
        behind = max(arena.stop - span.end_by, 0)
        low, high = (behind, whole) if down else (0, whole - behind)
        together = known[(known[:, 0] <= span.last) & (known[:, 1] >= span.first)]
        edges = [*together[np.argsort(together[:, 2]), 2:].tolist(), [whole, whole]]
        at = _first_place(edges, low, size)
        if apart:
            taken = {bank for mate in span.mates for bank in banks.get(mate, set[int]())}
            starts = (_first_place(edges, max(low, begin), size)
                      for begin in range(0, whole, BM1684.bank_bytes))  # fmt: skip
            prices = ((begin > high - size, len(banks_of(begin, size) & taken), begin)
                      for begin in (at, *starts))  # fmt: skip
            at = min(prices)[2]
            banks[span.buffer] = banks_of(at, size)
        if at + size > high:
            raise OutOfMemory(f"{size} bytes")
        places[span] = arena.stop - at - size if down else arena.start + at
        known = np.vstack([known, [[span.first, span.last, at, at + size]]])
    return places


def _first_place(taken: Iterable[Sequence[int]], at: int, size: int) -> int:
    """The lowest place from ``at`` on between ranges in the order of their begins."""
    for begin, end in taken:
        if begin - at >= size:
            break
        at = max(at, end)
    return at


def allocate(spans: Iterable[Lifetime], arena: Arena) -> Iterator[tuple[tile.AllocOp, int]]:
    """Places buffers in the order of their first use; a range is free again after the last use.

    Raises OutOfMemory, without a name: the caller has the buffer's layer.
    """
    allocation = Allocation(arena)
    for span in spans:
        yield span.buffer, allocation.place(span)


@dataclass
class Allocation:
    """An arena, and the buffers that are alive in it."""

    arena: Arena
    alive: list[tuple[Lifetime, int]] = field(default_factory=list[tuple[Lifetime, int]])

    def place(self, span: Lifetime) -> int:
        """The place of the next buffer, of those in the order of their first use. Raises
        OutOfMemory."""
        for ended, at in [a for a in self.alive if a[0].last < span.first]:
            self.arena.release(at, ended)
            self.alive.remove((ended, at))
        at = self.arena.take(span)
        self.alive.append((span, at))
        return at

    def copy(self) -> Allocation:
        """The same, to go on from once more."""
        return Allocation(self.arena.copy(), list(self.alive))


MOST_TRIES = 16
"""After so many the buffers are placed in another way."""


def place_ahead(spans: Sequence[Lifetime], apart: str = "") -> dict[tile.AllocOp, int]:
    """Places in local memory that let loads run ahead. Where a buffer finds none, those beside it
    lie low when all is placed once more. Raises OutOfMemory."""
    low = frozenset[tile.AllocOp]()
    for _ in range(MOST_TRIES):
        arena = OverlapArena(0, BM1684.lane_bytes, BM1684.alignment, apart=apart, low=low)
        allocation, places = Allocation(arena), dict[tile.AllocOp, int]()
        try:
            for span in spans:
                places[span.buffer] = allocation.place(span)
        except OutOfMemory:
            beside = {held.buffer for held, _ in allocation.alive}
            if beside <= low:
                raise
            low |= beside
        else:
            return places
    raise OutOfMemory(f"{MOST_TRIES} tries")


SAVED_EVERY = 64
"""Buffers from one saved allocation to the next."""


class Trial:
    """Tries whether buffers, in the order of their first use, fit local memory up to a limit. What
    is placed before those that changed since the last time is not placed again."""

    def __init__(self, limit: int) -> None:
        self.saved = [(0, Allocation(OverlapArena(0, limit, BM1684.alignment)))]

    def overflow(self, spans: Sequence[Lifetime], unchanged: int = 0) -> Lifetime | None:
        """The first buffer that does not fit; so many are ``unchanged``."""
        while self.saved[-1][0] > unchanged:
            self.saved.pop()
        begin, allocation = self.saved[-1]
        allocation = allocation.copy()
        for number, span in enumerate(spans[begin:], begin):
            if number >= self.saved[-1][0] + SAVED_EVERY:
                self.saved.append((number, allocation.copy()))
            try:
                allocation.place(span)
            except OutOfMemory:
                return span
        return None
