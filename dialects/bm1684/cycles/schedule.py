"""When each command runs: two in-order engines that wait for each other's commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dialects.bm1684.cycles.price import cycles_of
from dialects.bm1684.isa import Engine, Instruction


class ScheduleError(ValueError):
    """The waits of a group let neither engine go on, or its ids do not count from 1."""


@dataclass(frozen=True, slots=True)
class Span:
    """Cycles from the start of the network at which a command starts and ends."""

    start: int
    end: int

    @property
    def cycles(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Schedule:
    """``spans``: one for each command, in the order and grouping that they were given in.

    ``total``: the cycle at which the last command ends. ``busy``: each engine's cycles at work.
    ``unknown``: the commands that no formula prices, counted as 0 cycles: with any, the total is
    no more than a lower bound.
    """

    spans: tuple[tuple[Span, ...], ...]
    total: int
    busy: dict[Engine, int]
    unknown: tuple[Instruction, ...]


def schedule(
    groups: Iterable[Sequence[Instruction]],
    price: Callable[[Instruction], int | None] = cycles_of,
) -> Schedule:
    """Runs groups of commands one after the other, each as soon as its engine is free and the
    command of the other engine that it waits for has ended.

    A group holds both engines' commands, each engine's in the order of its ids (1, 2, 3, ...);
    how the two are mixed does not matter. Raises :class:`ScheduleError`.
    """
    spans: list[tuple[Span, ...]] = []
    busy = dict.fromkeys(Engine, 0)
    unknown: list[Instruction] = []
    now = 0
    for commands in groups:
        costs: list[int] = []
        for command in commands:
            cycles = price(command)
            if cycles is None:
                unknown.append(command)
            costs.append(cycles or 0)
            busy[command.engine] += costs[-1]
        spans.append(_run_group(commands, costs, now))
        now = max((span.end for span in spans[-1]), default=now)
    return Schedule(tuple(spans), now, busy, tuple(unknown))


def _run_group(commands: Sequence[Instruction], costs: list[int], begin: int) -> tuple[Span, ...]:
    """The spans of one group's commands."""
    queues = {engine: _queue(commands, engine) for engine in Engine}
    ends = {engine: [begin] for engine in Engine}
    spans: list[Span | None] = [None] * len(commands)
    moved = True
    while moved:
        moved = False
        for own, other in ((Engine.TIU, Engine.GDMA), (Engine.GDMA, Engine.TIU)):
            queue, done, awaited = queues[own], ends[own], ends[other]
            while len(done) <= len(queue):
                index = queue[len(done) - 1]
                wait = commands[index].wait
                if wait >= len(awaited):
                    break
                start = max(done[-1], awaited[wait])
                done.append(start + costs[index])
                spans[index] = Span(start, done[-1])
                moved = True
    finished = tuple(span for span in spans if span is not None)
    if len(finished) < len(commands):
        stuck = next(c for c, span in zip(commands, spans, strict=True) if span is None)
        raise ScheduleError(f"deadlock: {stuck.engine} command {stuck.id} waits for {stuck.wait}")
    return finished


def _queue(commands: Sequence[Instruction], engine: Engine) -> list[int]:
    """Positions of one engine's commands."""
    found = [i for i, command in enumerate(commands) if command.engine is engine]
    for number, index in enumerate(found, 1):
        if commands[index].id != number:
            raise ScheduleError(f"{engine} command {number} of a group has id {commands[index].id}")
    return found
