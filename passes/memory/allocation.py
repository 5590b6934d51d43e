"""Allocation: the places of all buffers of a function, by their lifetimes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from passes.memory.arenas import Arena, OutOfMemory, OverlapArena, banks_of
from passes.memory.lifetimes import Lifetime


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
