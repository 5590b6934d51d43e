"""Which bytes each engine's commands touched, to find unordered pairs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.chip import BM1684
from dialects.bm1684.model.memory.access import Access, Space

SPACES = {space: number for number, space in enumerate(Space)}
COLUMNS = 6  # space, first lane, last lane, start, stop, write


class Ledger:
    """The accesses of one engine's commands, in order of their ids."""

    def __init__(self) -> None:
        self._rows: NDArray[np.int64] = np.empty((256, COLUMNS), np.int64)
        self._owners: list[int] = []
        self._accesses: list[Access] = []

    def record(self, number: int, accesses: Sequence[Access]) -> None:
        """Add a command's accesses; ids must not decrease."""
        for access in accesses:
            for lanes in lane_ranges(access):
                row = len(self._owners)
                if row == len(self._rows):
                    self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
                self._rows[row] = _row(access, lanes)
                self._owners.append(number)
                self._accesses.append(access)

    def conflict(self, after: int, accesses: Sequence[Access]) -> tuple[int, Access, Access] | None:
        """The first command with an id above ``after`` that one of ``accesses`` conflicts with.

        Returns its id, its access and the access given.
        """
        first = bisect_right(self._owners, after)
        if first == len(self._owners):
            return None
        rows = self._rows[first : len(self._owners)]
        for access in accesses:
            for lanes in lane_ranges(access):
                space, low, high, start, stop, write = _row(access, lanes)
                hits = (
                    (rows[:, 0] == space)
                    & (rows[:, 1] <= high)
                    & (rows[:, 2] >= low)
                    & (rows[:, 3] < stop)
                    & (rows[:, 4] > start)
                )
                if not write:
                    hits &= rows[:, 5] == 1
                if hits.any():
                    index = first + int(hits.argmax())
                    return self._owners[index], self._accesses[index], access
        return None


def lane_ranges(access: Access) -> list[tuple[int, int]]:
    """Its lanes as (first, last), in two pieces when they wrap."""
    last = access.first_lane + max(access.lanes, 1) - 1
    if last < BM1684.lanes:
        return [(access.first_lane, last)]
    return [(access.first_lane, BM1684.lanes - 1), (0, last - BM1684.lanes)]


def _row(access: Access, lanes: tuple[int, int]) -> tuple[int, int, int, int, int, int]:
    return (SPACES[access.space], *lanes, access.start, access.stop, int(access.write))
