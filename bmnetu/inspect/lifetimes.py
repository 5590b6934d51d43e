"""When each byte of a memory is in use, from the footprints of the commands.

A byte is in use from a write on to the last read before it is written anew. Writes with no read
between them belong together, as do the lanes of local memory: parts of a tensor are written one by
one. What is written and never read is in use up to the last of these writes. Footprints are bounds:
gaps of a strided operand count as part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.bmodel import CommandGroup, Tensor
from bmnetu.errors import FaultError
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.places import observed
from bmnetu.inspect.steps import host_name, in_order, steps_of
from dialects.bm1684.cycles import ScheduleError, schedule
from dialects.bm1684.isa import Engine, Instruction
from dialects.bm1684.model import Access, ModelError, Space, accesses

HOST = "host"
"""The engine of a layer on the host."""


@dataclass(frozen=True)
class Event:
    """A command, or a layer on the host (its number is that of the subnet), what it touches, and
    when it runs by the cycle model, in cycles from the begin of the stage. No time of host layers
    is known: they take none."""

    group: int
    engine: str
    number: int
    layer: str
    touched: tuple[Access, ...]
    begin: int
    end: int


def events_of(found: Chosen) -> list[Event]:
    """What happens in a static stage, in the order in which it begins. Raises FaultError."""
    events: list[Event] = []
    now = 0
    for place, step in enumerate(steps_of(found.stage)):
        subnet = step.subnet
        if subnet.host is not None:
            touched = (*(_whole(t, False) for t in subnet.inputs),
                       *(_whole(t, True) for t in subnet.outputs))  # fmt: skip
            layer = host_name(subnet.host)
            events.append(Event(step.first, HOST, place, layer, touched, now, now))
        for group, data in enumerate(step.groups, step.first):
            events += sorted(_events(found, group, data, now), key=lambda e: (e.begin, e.end))
            now = max((event.end for event in events), default=now)
    return events


def _events(found: Chosen, group: int, data: CommandGroup, now: int) -> Iterator[Event]:
    """The commands of a group that begins at a time."""
    instructions: list[Instruction] = []
    touched: list[tuple[Access, ...]] = []
    for command in in_order(data):
        try:
            if command.instruction is None:
                raise ModelError(command.fault)
            touched.append(tuple(accesses(command.instruction)))
        except ModelError as error:
            raise FaultError(f"{found}, group {group}, {command.engine} command {command.number}:"
                             f" {error}") from None
        instructions.append(command.instruction)
    try:
        (spans,) = schedule([instructions]).spans
    except ScheduleError as error:
        raise FaultError(f"{found}: {error}; bmnetu-model check says more") from None
    counts = dict.fromkeys(Engine, 0)
    for instruction, own, span in zip(instructions, touched, spans, strict=True):
        engine = instruction.engine
        counts[engine] += 1
        layer = found.layer(group, engine, counts[engine])
        yield Event(group, engine, counts[engine], layer, own, now + span.start, now + span.end)


def _whole(tensor: Tensor, write: bool) -> Access:
    return Access(Space.DDR, 0, 0, tensor.address, tensor.address + tensor.size, write)


@dataclass(frozen=True)
class Block:
    """Bytes ``start`` .. ``stop - 1`` are in use from event ``first`` to event ``last``, which has
    ``replaced`` them where it also writes them anew: there the next block begins."""

    start: int
    stop: int
    first: int
    last: int
    name: str = ""
    replaced: bool = False


def blocks_of(
    touched: Iterable[tuple[int, Access]], edges: Sequence[int] = ()
) -> list[Block]:
    """The bytes in use, in the order of their addresses: of accesses in order, each with the number
    of its event. Blocks end at ``edges``, too."""
    given = list(touched)
    found = _Blocks(np.unique([*edges, *(e for _, a in given for e in (a.start, a.stop))]))
    for at, access in given:
        found.touch(at, access)
    return found.blocks()


class _Blocks:
    """Goes through accesses; each segment between two edges has one state."""

    def __init__(self, edges: NDArray[Any]) -> None:
        self.edges = edges
        count = max(0, len(edges) - 1)
        self.first = np.full(count, -1)
        self.last = np.full(count, -1)
        self.is_read = np.zeros(count, bool)
        self.ended: list[Block] = []

    def touch(self, at: int, access: Access) -> None:
        low, high = np.searchsorted(self.edges, (access.start, access.stop))
        own = slice(low, high)
        if access.write:
            again = np.flatnonzero(self.is_read[own]) + low
            here = self.last[again] == at
            self._end(again[here], replaced=True)
            self._end(again[~here])
            self.first[again] = -1
            self.is_read[again] = False
        else:
            self.is_read[own] = True
        self.first[own] = np.where(self.first[own] < 0, at, self.first[own])
        self.last[own] = at

    def blocks(self) -> list[Block]:
        self._end(np.flatnonzero(self.first >= 0))
        return sorted(self.ended, key=lambda block: (block.start, block.first))

    def _end(self, places: NDArray[Any], replaced: bool = False) -> None:
        """Keeps segments as blocks; neighbours of one lifetime are one."""
        begin: int | None = None
        for index, place in enumerate(places):
            begin = int(place) if begin is None else begin
            after = int(places[index + 1]) if index + 1 < len(places) else -1
            life = int(self.first[place]), int(self.last[place])
            if after != place + 1 or life != (self.first[after], self.last[after]):
                start, stop = int(self.edges[begin]), int(self.edges[place + 1])
                self.ended.append(Block(start, stop, *life, replaced=replaced))
                begin = None


def usage(blocks: Iterable[Block], events: Sequence[Event]) -> list[tuple[int, int]]:
    """Bytes in use over time: the cycle from which on, and how many; the first is 0. A block is in
    use from the begin of its first event to the end of its last one, or to its begin where that
    replaces it."""
    changes: dict[int, int] = {0: 0}
    for block in blocks:
        size = block.stop - block.start
        begin, last = events[block.first].begin, events[block.last]
        end = last.begin if block.replaced else max(last.end, begin + 1)
        for at, change in ((begin, size), (end, -size)):
            changes[at] = changes.get(at, 0) + change
    times = sorted(changes)
    return list(zip(times, accumulate(changes[at] for at in times), strict=True))


# -- names -----------------------------------------------------------------------------------------


def neurons(found: Chosen, events: Sequence[Event]) -> list[Block]:
    """What is in use of a stage's neurons, with the names that the file gives. Inputs are there at
    the first event, outputs up to the last one."""
    stage, end = found.stage, len(events) - 1
    if end < 0:
        return []
    named = list(_named(found, events))
    touched = [
        *((0, _whole(t, True)) for t in stage.inputs),
        *((at, a) for at, event in enumerate(events) for a in event.touched
          if a.space is Space.DDR and a.start >= stage.context_address),
        *((end, _whole(t, False)) for t in stage.outputs),
    ]  # fmt: skip
    return named_blocks(touched, named)


def named_blocks(
    touched: Iterable[tuple[int, Access]], named: Sequence[Block]
) -> list[Block]:
    """As :func:`blocks_of`; each of ``named`` gives its name to what lies there during its first
    event. The later ones count."""
    edges = [edge for block in named for edge in (block.start, block.stop)]
    blocks = blocks_of(touched, edges)
    starts = [block.start for block in blocks]
    for name in named:
        low, high = np.searchsorted(starts, (name.start, name.stop))
        for i in range(int(low), int(high)):
            if blocks[i].first <= name.first <= blocks[i].last - blocks[i].replaced:
                blocks[i] = replace(blocks[i], name=name.name)
    return blocks


def _named(found: Chosen, events: Sequence[Event]) -> Iterator[Block]:
    """Names; each for what lies there during one event. The later ones count."""
    stage, end = found.stage, len(events) - 1
    places = {(e.group, e.engine, e.number): at for at, e in enumerate(events)}
    for tensor in found.notes.tensors:
        at = places.get((tensor.group, tensor.engine, tensor.number))
        try:
            size = observed(tensor).nbytes
        except ModelError:
            continue
        if at is not None and tensor.address in range(stage.context_address, 1 << 40):
            yield Block(tensor.address, tensor.address + size, at, at, tensor.name)
    for at, event in enumerate(events):
        if event.engine == HOST:
            subnet = stage.subnets[event.number]
            for t in (*subnet.inputs, *subnet.outputs):
                yield Block(t.address, t.address + t.size, at, at, t.name)
    for tensors, at in ((stage.inputs, 0), (stage.outputs, end)):
        for t in tensors:
            yield Block(t.address, t.address + t.size, at, at, t.name)


def joined(blocks: Sequence[Block]) -> list[Block]:
    """Neighbours of one name that are in use at one time as one, from the first use of any to the
    last: the bands of a tensor, which come and go one by one."""
    found: list[Block] = []
    ends: dict[tuple[int, str], list[int]] = {}
    for block in blocks:
        for i in ends.get((block.start, block.name), ()):
            other = found[i]
            if other.first <= block.last and block.first <= other.last:
                ends[block.start, block.name].remove(i)
                later = max(other, block, key=lambda b: (b.last, not b.replaced))
                found[i] = replace(later, start=other.start, stop=block.stop,
                                   first=min(other.first, block.first))  # fmt: skip
                break
        else:
            i = len(found)
            found.append(block)
        ends.setdefault((block.stop, block.name), []).append(i)
    return found
