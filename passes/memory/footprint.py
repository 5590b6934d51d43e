"""What a command touches, and whether two commands of different engines conflict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Instruction
from dialects.bm1684.model import Access, accesses
from dialects.bm1684.model.memory.access import Space

GRANULE = BM1684.alignment
"""Bytes of local memory that :class:`History` keeps as one."""
REMEMBERED = 1 << 14
"""Commands whose footprints are kept: two passes ask, and candidates have most in common."""


@dataclass(frozen=True)
class Footprint:
    """The byte ranges, in ranges of lanes, that one command reads and writes."""

    touched: tuple[Access, ...]

    @staticmethod
    @lru_cache(REMEMBERED)
    def of(instruction: Instruction) -> Footprint:
        return Footprint(tuple(accesses(instruction)))

    def conflicts(self, other: Footprint) -> bool:
        """True when both touch one byte and at least one of them writes it."""
        return any(
            (a.write or b.write)
            and a.space == b.space
            and a.start < b.stop
            and b.start < a.stop
            and _share_lanes(a, b)
            for a in self.touched
            for b in other.touched
        )

    def last_conflict(self, others: Sequence[Footprint], beyond: int) -> int:
        """The largest id (position + 1) above ``beyond`` of a conflicting command, 0 for none."""
        for position in range(len(others) - 1, beyond - 1, -1):
            if self.conflicts(others[position]):
                return position + 1
        return 0


def _share_lanes(a: Access, b: Access) -> bool:
    """Always outside local memory. Lanes wrap behind the last one."""
    if a.space is not Space.LMEM:
        return True
    behind = (b.first_lane - a.first_lane) % BM1684.lanes
    return behind < a.lanes or -behind % BM1684.lanes < b.lanes


class History:
    """The footprints of an engine's commands in order, and the last command (its position + 1)
    that touched each granule of local memory, and each other memory at all."""

    def __init__(self) -> None:
        self.footprints: list[Footprint] = []
        granules = BM1684.lane_bytes // GRANULE
        self._last = {space: np.zeros(granules if space is Space.LMEM else 1, np.int64)
                      for space in Space}  # fmt: skip

    def append(self, footprint: Footprint) -> None:
        """One more command."""
        self.footprints.append(footprint)
        for access in footprint.touched:
            self._last[access.space][_granules(access)] = len(self.footprints)

    def last_conflict(self, footprint: Footprint, beyond: int) -> int:
        """As :meth:`Footprint.last_conflict` of all commands so far; quick where none touched the
        same memory lately."""
        touched = (int(self._last[a.space][_granules(a)].max(initial=0)) for a in footprint.touched)
        latest = max(touched, default=0)
        return footprint.last_conflict(self.footprints[:latest], beyond) if latest > beyond else 0


def _granules(access: Access) -> slice:
    if access.space is not Space.LMEM:
        return slice(0, 1)
    return slice(access.start // GRANULE, (access.stop - 1) // GRANULE + 1)
