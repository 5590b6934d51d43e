"""Ids of commands, and which command of the other engine each one waits for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine, Instruction
from passes.memory.footprint import Footprint, History


@dataclass
class _Queue:
    """The commands of one engine in the current group; ``known``: the largest id of the other
    engine that one of them has waited for."""

    history: History = field(default_factory=History)
    known: int = 0

    @property
    def last(self) -> int:
        return len(self.history.footprints)


def numbered(commands: Iterable[Instruction], serial: bool = False) -> list[list[Instruction]]:
    """Commands in program order with ids and waits, in groups.

    Each engine's ids run 1..N in every group. A command waits for the last command of the other
    engine that it conflicts with (both touch a byte, one writes it) unless an earlier wait already
    covers it; with ``serial`` for everything before it.
    """
    groups: list[list[Instruction]] = [[]]
    queues = {engine: _Queue() for engine in Engine}
    for command in commands:
        if queues[command.engine].last >= BM1684.limits.ids_per_group:
            queues = {engine: _Queue() for engine in Engine}
            groups.append([])
        own = queues[command.engine]
        other = queues[Engine.GDMA if command.engine is Engine.TIU else Engine.TIU]
        footprint = Footprint.of(command)
        wait = other.last if serial else other.history.last_conflict(footprint, own.known)
        own.known = max(own.known, wait)
        own.history.append(footprint)
        groups[-1].append(command.with_ids(own.last, wait))
    return groups
