"""Which bytes a command touches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dialects.bm1684.model.memory.npu import Npu


class Space(StrEnum):
    """A memory of the chip."""

    LMEM = "lmem"
    L2 = "l2"
    DDR = "ddr"


@dataclass(frozen=True, slots=True)
class Access:
    """Bytes ``start`` .. ``stop - 1`` that may be read or written; bounds, not every byte inside.

    LMEM: offsets within each of ``lanes`` lanes from ``first_lane``, wrapping behind the last
    lane. L2: offsets in L2. DDR: addresses. Outside LMEM the lanes are 0 and 0.
    """

    space: Space
    first_lane: int
    lanes: int
    start: int
    stop: int
    write: bool

    def __str__(self) -> str:
        bounds = f"{self.space} {self.start:#x}..{self.stop - 1:#x}"
        if self.space is not Space.LMEM:
            return bounds
        return f"{bounds} of lanes {self.first_lane}..{self.first_lane + self.lanes - 1}"


class Operand(Protocol):
    """An operand in some memory."""

    def access(self, write: bool) -> Access:
        """The bytes it covers."""
        ...


@dataclass(frozen=True, slots=True)
class PreparedCommand:
    """A command made ready: its operands, and what to do to the memory."""

    reads: tuple[Operand, ...]
    writes: tuple[Operand, ...]
    run: Callable[[Npu], None]

    def accesses(self) -> list[Access]:
        """The bytes it reads and writes, one interval an operand."""
        return [
            *(place.access(False) for place in self.reads),
            *(place.access(True) for place in self.writes),
        ]
