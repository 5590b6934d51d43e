"""What a command touches, and whether two commands of different engines conflict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dialects.bm1684.isa import Instruction
from dialects.bm1684.model import Access, accesses
from dialects.bm1684.model.access import Space


@dataclass(frozen=True)
class Footprint:
    """The byte ranges, in ranges of lanes, that one command reads and writes."""

    touched: tuple[Access, ...]

    @staticmethod
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
    """Always outside local memory."""
    if a.space is not Space.LMEM:
        return True
    return a.first_lane < b.first_lane + b.lanes and b.first_lane < a.first_lane + a.lanes
