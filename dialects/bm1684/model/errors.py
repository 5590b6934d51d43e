"""What the NPU model refuses, with the place in the command stream."""

from __future__ import annotations

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


class DeadlockError(ModelError):
    """Both queues wait for commands that can no longer finish."""


class RaceError(ModelError):
    """Two commands of different engines touch the same bytes and nothing orders them."""
