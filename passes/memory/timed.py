"""Places in local memory by an estimate of when commands run."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import align
from passes.memory.allocation import place_longest_first
from passes.memory.arenas import Arena, OutOfMemory, banks_of
from passes.memory.lifetimes import Lifetime

Array = NDArray[Any]

LINGER = 40
"""Ops for which computed results leave the memory alone that a store reads: it is behind loads."""
SETTLED = 1 << 14
"""Cycles for which memory has been free that is as good as any other."""
STEP = BM1684.alignment
STEPS = BM1684.lane_bytes // STEP


@dataclass(frozen=True)
class Step:
    """An op, its position in the block, the buffers that it touches and the cycles that it takes;
    ``moved``: it is the DMA engine's; ``stores``: loads overtake it."""

    position: int
    touched: tuple[SSAValue, ...]
    cycles: int
    moved: bool
    stores: bool = False


def place_by_time(
    spans: Sequence[Lifetime], steps: Sequence[Step], apart: str = ""
) -> dict[Lifetime, int]:
    """Places for all buffers, by an estimate of when each op runs; raises OutOfMemory.

    Those that are computed are known beforehand and lie close together at the end of memory. Each
    one that is loaded then takes, in the order of the loads, the place that lets its load start
    first, the lowest of several: so weights run through the rest of memory as through a ring, with
    hardly a gap. Those of the kind ``apart`` ("loaded", "computed", or "all") take, of several
    places, one in other banks than what commands touch together with them; computed ones of all
    that are free.
    """
    return _Placing(spans, apart).run(steps)


class _Placing:
    """``used``: the last op that touches what lies in each STEP of memory, of the loads so far and
    the first ``reached`` computed buffers; ``ready``: when the ops so far that touch a buffer have
    ended, ``ended``: when each op has; ``tiu``, ``loads``, ``stores``: when the tensor unit, and
    the DMA engine with its loads and stores, have."""

    def __init__(self, spans: Sequence[Lifetime], apart: str) -> None:
        self.apart = apart in ("all", "loaded")
        computed = [span for span in spans if not span.loaded]
        self.places = _computed_places(computed, apart in ("all", "computed"))
        self.computed = sorted(self.places, key=lambda span: span.first)
        self.first = [span.first for span in self.computed]
        self.reached = 0
        self.loaded: dict[int, list[Lifetime]] = defaultdict(list)
        for span in spans:
            if span.loaded:
                self.loaded[span.first].append(span)
        self.used = np.full(STEPS, -1, np.int64)
        self.ended = np.zeros(max((span.last for span in spans), default=0) + 1, np.int64)
        self.ready: dict[SSAValue, int] = defaultdict(int)
        self.banks = {s.buffer: banks_of(at, _size(s)) for s, at in self.places.items()}
        self.tiu = self.loads = self.stores = 0

    def run(self, steps: Sequence[Step]) -> dict[Lifetime, int]:
        """The places of all buffers."""
        for step in steps:
            free = [self._place(span) for span in self.loaded[step.position]]
            start = max([0, *free, *(self.ready[value] for value in step.touched)])
            if not step.moved:
                self.tiu = end = max(self.tiu, start) + step.cycles
            elif step.stores:
                self.stores = end = max(self.stores, start) + step.cycles
            else:
                self.loads = end = max(self.loads, start) + step.cycles
            self.ready.update(dict.fromkeys(step.touched, end))
            if step.position < len(self.ended):
                self.ended[step.position] = end
        return self.places

    def _place(self, span: Lifetime) -> int:
        """Gives a buffer that is loaded its place; returns when that is free."""
        size = _size(span) // STEP
        if size > min(span.end_by // STEP, STEPS):
            raise OutOfMemory(f"{size * STEP} bytes")
        self._reach(span.first)
        used = self.used.copy()
        soon = bisect_right(self.first, span.last)
        for other in self.computed[self.reached : soon]:
            used[_range(self.places[other], other)] = span.last
        begins = _begins(used, size, min(span.end_by // STEP, STEPS))
        windows = np.lib.stride_tricks.sliding_window_view(used, size)
        latest = windows[begins].max(axis=1)
        begins, latest = begins[latest < span.first], latest[latest < span.first]
        if not len(begins):
            raise OutOfMemory(f"{size * STEP} bytes")
        free = np.where(latest < 0, -SETTLED, self.ended[latest])
        ready = np.maximum(free + SETTLED, self.loads)
        best = np.flatnonzero(ready == ready.min())
        taken = set[int]().union(*(self.banks.get(mate, ()) for mate in span.mates))
        chosen = min(
            (int(i) for i in best),
            key=lambda i: (
                len(banks_of(int(begins[i]) * STEP, size * STEP) & taken) if self.apart else 0,
                begins[i],
            ),
        )
        at = int(begins[chosen]) * STEP
        self.places[span] = at
        self.banks[span.buffer] = banks_of(at, size * STEP)
        self.used[_range(at, span)] = span.last
        return max(int(free[chosen]), 0)

    def _reach(self, position: int) -> None:
        """Notes the computed buffers that begin up to a position."""
        while self.reached < len(self.first) and self.first[self.reached] <= position:
            span = self.computed[self.reached]
            self.used[_range(self.places[span], span)] = span.last
            self.reached += 1


def _computed_places(spans: Sequence[Lifetime], apart: bool) -> dict[Lifetime, int]:
    """Those of buffers that are computed, from the end of memory on."""
    longer = {replace(s, last=s.last + LINGER) if s.stored else s: s for s in spans}
    found = place_longest_first(list(longer), Arena(0, BM1684.lane_bytes, STEP), apart, down=True)
    return {longer[s]: at for s, at in found.items()}


def _size(span: Lifetime) -> int:
    return align(max(span.buffer.bytes.value.data, 1), STEP)


def _range(at: int, span: Lifetime) -> slice:
    return slice(at // STEP, (at + _size(span)) // STEP)


def _begins(used: Array, size: int, stop: int) -> Array:
    """Places worth trying for so many steps below ``stop``: from, or up to, where the last use
    changes."""
    borders = np.flatnonzero(np.diff(used)) + 1
    found = np.unique(np.concatenate([borders, borders - size, [0, stop - size]]))
    return found[(found >= 0) & (found <= stop - size)]
