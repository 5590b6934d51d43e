"""One instruction: a kind, and the field values that differ from the kind's defaults."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from operator import index

from dialects.bm1684.isa.fields import COMMAND_BYTES, CommandLayout, Engine, IsaError, Slot

HEX_WIDTH = 32
"""Fields this wide (addresses, masks, constants) are printed in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold between several fields, and the sentence of its error."""

    holds: Callable[[Instruction], bool]
    sentence: str


class InstructionKind:
    """What all instructions of one mnemonic share.

    ``fixed`` distinguishes the kind from the others of its engine; ``defaults`` overrides the
    layout's defaults; ``uses`` names the fields :meth:`build` accepts; ``limits`` and ``rules``
    are what :meth:`Instruction.check` requires.
    """

    def __init__(
        self,
        mnemonic: str,
        layout: CommandLayout,
        fixed: Mapping[str, int],
        uses: tuple[str, ...],
        defaults: Mapping[str, int] | None = None,
        limits: Mapping[str, Container[int]] | None = None,
        rules: tuple[Rule, ...] = (),
    ):
        self.mnemonic = mnemonic
        self.layout = layout
        self.fixed = dict(fixed)
        self.uses = frozenset(uses) - frozenset(fixed)
        self.limits = dict(limits or {})
        self.rules = rules
        own = {**(defaults or {}), **fixed}
        for name in (*own, *self.uses, *self.limits):
            layout.slot(name)
        self.slots = {
            slot.name: Slot(slot.name, slot.shift, slot.width, own.get(slot.name, slot.default))
            for slot in layout.slots.values()
        }
        self._spans = [(s.name, s.shift, s.mask, s.default) for s in self.slots.values()]
        self._places = {s.name: (s.shift, s.default) for s in self.slots.values()}
        self._bounds = {s.name: (s.default, s.mask) for s in self.slots.values()}
        self._base = sum(s.default << s.shift for s in self.slots.values())
        self._fixed_mask = sum(self.slots[name].mask << self.slots[name].shift for name in fixed)
        self._fixed_bits = self._base & self._fixed_mask

    def __repr__(self) -> str:
        return f"Kind({self.mnemonic})"

    @property
    def engine(self) -> Engine:
        """The engine that executes it."""
        return self.layout.engine

    def build(self, **values: int) -> Instruction:
        """An instruction with these field values and defaults for the rest.

        Raises :class:`IsaError` for a field this kind does not use or a value that does not fit.
        A negative value of a 32-bit field is stored as two's complement.
        """
        for name in values:
            if name not in self.uses:
                self.layout.slot(name)
                raise IsaError(f"{self.mnemonic} does not use {name}")
        return Instruction(self, self.normalise(values))

    def normalise(self, values: Mapping[str, int]) -> dict[str, int]:
        """The values that differ from the defaults, each checked against its field's width."""
        kept: dict[str, int] = {}
        bounds = self._bounds
        for name, given in values.items():
            default, mask = bounds[name]
            value = index(given)
            if not 0 <= value <= mask:
                value = self._wrap(name, value)
            if value != default:
                kept[name] = value
        return kept

    def _wrap(self, name: str, value: int) -> int:
        width = self.slots[name].width
        if width == 32 and -(1 << 31) <= value < 0:
            return value & 0xFFFFFFFF
        raise IsaError(f"{self.mnemonic}: {name}={value} does not fit {width} bits")

    def matches(self, bits: int) -> bool:
        """Whether a command word is an instruction of this kind."""
        return bits & self._fixed_mask == self._fixed_bits

    def decode(self, bits: int) -> Instruction:
        """The instruction in a command word that :meth:`matches`."""
        difference = bits ^ self._base
        values: dict[str, int] = {}
        if difference:
            for name, shift, mask, default in self._spans:
                changed = (difference >> shift) & mask
                if changed:
                    values[name] = changed ^ default
        return Instruction(self, values)

    def encode(self, values: Mapping[str, int]) -> bytes:
        """The 128 command bytes of normalised values."""
        bits = self._base
        places = self._places
        for name, value in values.items():
            shift, default = places[name]
            bits ^= (value ^ default) << shift
        return bits.to_bytes(COMMAND_BYTES, "little")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One TIU or GDMA command. ``values`` holds only what differs from the kind's defaults."""

    kind: InstructionKind
    values: Mapping[str, int]

    def __hash__(self) -> int:
        return hash((self.kind.mnemonic, frozenset(self.values.items())))

    def __getitem__(self, name: str) -> int:
        value = self.values.get(name)
        if value is not None:
            return value
        try:
            return self.kind.slots[name].default
        except KeyError:
            raise IsaError(f"a {self.engine} command has no field {name}") from None

    def __str__(self) -> str:
        return self.text()

    @property
    def engine(self) -> Engine:
        """The engine that executes it."""
        return self.kind.layout.engine

    @property
    def id(self) -> int:
        """Its number in its engine's queue, from 1."""
        return self[self.kind.layout.id_field]

    @property
    def wait(self) -> int:
        """How many commands of the other engine must have finished before it starts."""
        return self[self.kind.layout.wait_field]

    def with_ids(self, own: int, wait: int) -> Instruction:
        """The same instruction numbered ``own`` that waits for ``wait``."""
        layout = self.kind.layout
        return self.replace(**{layout.id_field: own, layout.wait_field: wait})

    def replace(self, **values: int) -> Instruction:
        """A copy with some fields changed. Raises as :meth:`InstructionKind.build`."""
        for name in values:
            if name not in self.kind.uses:
                self.kind.layout.slot(name)
                raise IsaError(f"{self.kind.mnemonic} does not use {name}")
        return Instruction(self.kind, self.kind.normalise({**self.values, **values}))

    def pack(self) -> bytes:
        """The command as it stands in a command buffer, 128 bytes."""
        return self.kind.encode(self.values)

    def text(self) -> str:
        """One line: the mnemonic and the non-default fields in layout order."""
        words = [self.kind.mnemonic]
        for name, slot in self.kind.slots.items():
            value = self.values.get(name)
            if value is not None:
                words.append(f"{name}={value:#x}" if slot.width >= HEX_WIDTH else f"{name}={value}")
        return " ".join(words)

    def check(self) -> None:
        """Raise :class:`IsaError` when a value is outside what the hardware accepts."""
        for name, allowed in self.kind.limits.items():
            if self[name] not in allowed:
                raise IsaError(
                    f"{self.kind.mnemonic}: {name}={self[name]} is not in {_describe(allowed)}"
                )
        for rule in self.kind.rules:
            if not rule.holds(self):
                raise IsaError(f"{self.kind.mnemonic}: {rule.sentence}")


def _describe(allowed: Container[int]) -> str:
    if isinstance(allowed, range):
        return f"{allowed.start}..{allowed.stop - 1}"
    return str(allowed)
