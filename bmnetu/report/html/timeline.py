"""When each engine works on which layer, in few spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from dialects.bm1684.cycles import Span
from dialects.bm1684.isa import Engine, Instruction

RESOLUTION = 3000
"""A network's time is shown in about so many steps."""


@dataclass(frozen=True)
class Timed:
    """A command, when it runs in cycles, and the number of its layer."""

    command: Instruction
    span: Span
    layer: int


@dataclass
class _Bar:
    """Commands that are drawn as one."""

    start: int
    end: int
    commands: int = 0
    busy: Counter[int] = field(default_factory=Counter[int])

    def add(self, each: Timed) -> None:
        self.end = max(self.end, each.span.end)
        self.commands += 1
        self.busy[each.layer] += each.span.cycles

    def record(self) -> list[int]:
        """Start, length, the layer that takes most of it, cycles at work, commands."""
        layer = max(self.busy, key=lambda each: self.busy[each])
        return [self.start, self.end - self.start, layer, self.busy.total(), self.commands]


def timeline(commands: Iterable[Timed], total: int) -> dict[str, list[list[int]]]:
    """For each engine its bars, see :meth:`_Bar.record`.

    Commands of one layer that follow each other closely are one bar, and so are those of several
    layers that together take less than a step of the time.
    """
    step = max(1, total // RESOLUTION)
    bars: dict[str, list[_Bar]] = {str(engine): [] for engine in Engine}
    for each in commands:
        if not each.span.cycles:
            continue
        row = bars[str(each.command.engine)]
        last = row[-1] if row else None
        joins = last is not None and (
            (set(last.busy) == {each.layer} and each.span.start - last.end <= step)
            or each.span.end - last.start <= step
        )
        if not joins:
            row.append(_Bar(each.span.start, each.span.end))
        row[-1].add(each)
    return {engine: [bar.record() for bar in row] for engine, row in bars.items()}
