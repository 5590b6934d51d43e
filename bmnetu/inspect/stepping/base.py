"""What both forms of a stage have in common for a debugger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from bmnetu.bmodel.notes import RECORD
from bmnetu.errors import UsageError
from bmnetu.inspect.lifetimes import HOST
from bmnetu.inspect.steps import Command
from bmnetu.nearest import nearest
from dialects.bm1684.model import Space
from dialects.names import quoted

Array = NDArray[Any]
Place = tuple[int, str, int]
"""Group, engine, number: of a command from 1 on; of a record, in group 0, as ``dis`` counts it,
from 0 on."""
Break = str | Place
"""A layer by its name, or a command or record."""


@dataclass(frozen=True)
class Stop:
    """What was executed last: a command, a record, or a layer on the host, whose number is its
    subnet's."""

    group: int
    engine: str
    number: int
    layer: str = ""

    def __str__(self) -> str:
        if self.engine == HOST:
            return f"subnet {self.number}, {self.layer} on the host"
        layer = f" of layer {quoted(self.layer)}" if self.layer else ""
        if self.engine == RECORD:
            return f"record {self.number}{layer}"
        return f"group {self.group}, {self.engine} command {self.number}{layer}"


@dataclass(frozen=True)
class Wait:
    """What an engine executes next: it may start when ``needed`` of what ``other`` executes have
    ended, of which ``ended`` have. ``command`` is that of the tensor unit or the GDMA."""

    group: int
    engine: str
    number: int
    kind: str
    other: str
    needed: int
    ended: int
    command: Command | None = None

    @property
    def may_start(self) -> bool:
        """Whether it waits for nothing."""
        return self.needed <= self.ended

    def __str__(self) -> str:
        place = self.group, self.engine, self.number
        on_host = self.engine == HOST
        what = str(Stop(*place, self.kind)) if on_host else f"{Stop(*place)}, {self.kind}"
        state = "may start" if self.may_start else "waits"
        have = "has" if self.ended == 1 else "have"
        needed = counted(self.needed, self.other)
        return f"{what}: {state}, needs {needed}, {self.ended} {have} ended"


def counted(count: int, things: str) -> str:
    """A number of things, whose word is given in the plural."""
    return f"{count} {things.removesuffix('s') if count == 1 else things}"


def stop_place(stop: Stop) -> Place:
    """Where it is."""
    return stop.group, stop.engine, stop.number


class Stepper(Protocol):
    """A stage that runs step by step. All that executes raises FaultError, UnsupportedError; a look
    raises UsageError for what is not there."""

    layers: Counter[str]
    """How many commands, records and host layers of each layer are left."""
    names: list[str]
    """The tensors that can be looked at."""
    count: str
    """What there is to execute, in words."""

    def events(self) -> Iterator[tuple[Stop | None, Collection[str]]]:
        """Executes step by step: what was executed (None: nothing), and what is final then."""
        ...

    def has(self, place: Place) -> bool:
        """Whether there is such a command or record."""
        ...

    def tensor(self, name: str) -> Array:
        """What lies in a tensor's place now."""
        ...

    def memory(self, space: Space, address: int, size: int, lane: int) -> Array:
        """A copy of bytes."""
        ...

    def waits(self) -> list[Wait]:
        """What is next, engine by engine."""
        ...


def unknown_tensor(name: str, names: Collection[str]) -> UsageError:
    """Nothing is known of a tensor's place."""
    near = nearest(name, names)
    listed = ", ".join(map(quoted, [*names][:8]))
    hint = f"did you mean {quoted(near)}?" if near else f"it says it of {listed}"
    return UsageError(f"the file does not say where a tensor {quoted(name)} lies: {hint}")
