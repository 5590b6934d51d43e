"""What the NPU model refuses, with the place in the command stream."""

from __future__ import annotations

from math import prod

from dialects.bm1684.isa import Engine


class ModelError(ValueError):
    """A command the hardware must not be given.

    ``group``, ``engine`` and ``id`` name the command once :meth:`locate` was called; a caller can
    find the layer from them.
    """

    def __init__(self, sentence: str):
        super().__init__(sentence)
        self.sentence = sentence
        self.group: int | None = None
        self.engine: Engine | None = None
        self.id: int | None = None

    def locate(self, group: int, engine: Engine, number: int) -> None:
        """Remember which command it was."""
        self.group, self.engine, self.id = group, engine, number

    def __str__(self) -> str:
        if self.engine is None:
            return self.sentence
        return f"group {self.group}, {self.engine} command {self.id}: {self.sentence}"


MOST_ELEMENTS = 1 << 27
"""No operand or intermediate array is larger: four times what local memory holds as bytes."""


def limit_elements(name: str, *sizes: int) -> None:
    """Raise :class:`ModelError` for an array that would be unreasonably large."""
    if prod(sizes) > MOST_ELEMENTS:
        shape = " x ".join(map(str, sizes))
        raise ModelError(f"{name} of {shape} has more than {MOST_ELEMENTS} elements")


class DeadlockError(ModelError):
    """Both queues wait for commands that can no longer finish."""


class RaceError(ModelError):
    """Two commands of different engines touch the same bytes and nothing orders them. ``other``:
    the engine and the id of the one that came first."""

    def __init__(self, sentence: str, other: tuple[Engine, int]):
        super().__init__(sentence)
        self.other = other
