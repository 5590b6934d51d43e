"""Arenas: they hand out address ranges of one memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import itemgetter
from typing import Self

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import align
from passes.memory.lifetimes import Lifetime


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
