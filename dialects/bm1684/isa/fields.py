"""Bit fields of a command, and where each sits in the 128 bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

COMMAND_BYTES = 128


class IsaError(ValueError):
    """A field that does not exist, a value that does not fit or is illegal, an unknown encoding."""


class Engine(StrEnum):
    """The two engines that read command streams: the tensor unit and the DMA engine."""

    TIU = "tiu"
    GDMA = "gdma"


@dataclass(frozen=True, slots=True)
class Field:
    """``width`` bits named ``name``; ``default`` is what a command holds when nothing is said."""

    name: str
    width: int
    default: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """A field in its place: bits ``shift`` .. ``shift + width - 1``, least significant first."""

    name: str
    shift: int
    width: int
    default: int

    @property
    def mask(self) -> int:
        """The largest value that fits."""
        return (1 << self.width) - 1


class Layout:
    """The fields of one engine's command, packed one after the other from bit 0.

    ``id_field`` holds the command's own number, ``wait_field`` the number of the other engine's
    command that must have finished before this one starts.
    """

    def __init__(self, engine: Engine, fields: Sequence[Field], id_field: str, wait_field: str):
        self.engine = engine
        self.id_field = id_field
        self.wait_field = wait_field
        self.slots: dict[str, Slot] = {}
        shift = 0
        for field in fields:
            if field.name in self.slots:
                raise IsaError(f"{engine}: field {field.name} is declared twice")
            self.slots[field.name] = Slot(field.name, shift, field.width, field.default)
            shift += field.width
        if shift > COMMAND_BYTES * 8:
            raise IsaError(f"{engine}: {shift} bits do not fit {COMMAND_BYTES} bytes")
        self.bits = shift

    def slot(self, name: str) -> Slot:
        """The place of a field. Raises :class:`IsaError` for a name the engine does not have."""
        try:
            return self.slots[name]
        except KeyError:
            raise IsaError(f"a {self.engine} command has no field {name}") from None
