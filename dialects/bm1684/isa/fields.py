"""Bit fields of a command, and where each sits in the 128 bytes."""

from __future__ import annotations

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
class Bits:
    """Bits ``shift`` .. ``shift + width - 1`` of a command, least significant first; ``default`` is
    what it holds when nothing is said."""

    shift: int
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


class CommandLayout:
    """The fields of one engine's command, one after the other from bit 0.

    ``fields`` names them, in ascending bit order: a TypedDict whose values are annotated with
    :class:`Bits`. ``id_field`` holds the command's own number, ``wait_field`` the number of the
    other engine's command that must have finished before this one starts. Raises IsaError where a
    field does not begin behind the one before.
    """

    def __init__(self, engine: Engine, fields: type, id_field: str, wait_field: str):
        self.engine = engine
        self.id_field = id_field
        self.wait_field = wait_field
        self.slots: dict[str, Slot] = {}
        end = 0
        for name, annotated in fields.__annotations__.items():
            bits: Bits = annotated.__metadata__[0]
            if bits.shift != end:
                raise IsaError(f"{engine}: field {name} begins at bit {bits.shift}, not {end}")
            self.slots[name] = Slot(name, bits.shift, bits.width, bits.default)
            end += bits.width
        if end > COMMAND_BYTES * 8:
            raise IsaError(f"{engine}: {end} bits do not fit {COMMAND_BYTES} bytes")
        self.bits = end

    def slot(self, name: str) -> Slot:
        """The place of a field. Raises :class:`IsaError` for a name the engine does not have."""
        try:
            return self.slots[name]
        except KeyError:
            raise IsaError(f"a {self.engine} command has no field {name}") from None


def names_of(*groups: type) -> tuple[str, ...]:
    """The names of the fields that TypedDicts declare, in their order."""
    return tuple(name for group in groups for name in group.__annotations__)
