"""From command bytes and from text to instructions."""

from __future__ import annotations

from dialects.bm1684.isa.fields import COMMAND_BYTES, Engine, IsaError
from dialects.bm1684.isa.gdma import GDMA_KINDS
from dialects.bm1684.isa.instruction import Instruction, InstructionKind
from dialects.bm1684.isa.tiu import TIU_KINDS

KINDS: dict[str, InstructionKind] = {kind.mnemonic: kind for kind in (*TIU_KINDS, *GDMA_KINDS)}
BY_ENGINE = {Engine.TIU: TIU_KINDS, Engine.GDMA: GDMA_KINDS}


def unpack(engine: Engine, data: bytes) -> Instruction:
    """The instruction in 128 command bytes.

    Every bit is kept, so ``unpack(engine, data).pack() == data``. Raises :class:`IsaError` when
    the length is wrong, a bit beyond the layout is set, or no kind has these identifying fields.
    """
    if len(data) != COMMAND_BYTES:
        raise IsaError(f"a {engine} command has {COMMAND_BYTES} bytes, not {len(data)}")
    bits = int.from_bytes(data, "little")
    kinds = BY_ENGINE[engine]
    for kind in kinds:
        if kind.matches(bits):
            layout = kind.layout
            if bits >> layout.bits:
                raise IsaError(f"{kind.mnemonic}: bits from {layout.bits} on must be zero")
            return kind.decode(bits)
    slots = kinds[0].layout.slots
    names = dict.fromkeys(name for kind in kinds for name in kind.fixed)
    found = (f"{name}={bits >> slots[name].shift & slots[name].mask}" for name in names)
    raise IsaError(f"no {engine} instruction has {', '.join(found)}")


def parse(text: str) -> Instruction:
    """The instruction in one line as :meth:`Instruction.text` writes it.

    Raises :class:`IsaError` for an unknown mnemonic or field, a value that is not a number, or a
    field given twice or fixed by the mnemonic.
    """
    words = text.split()
    kind = KINDS.get(words[0]) if words else None
    if kind is None:
        raise IsaError(f"no instruction is called {words[0] if words else text!r}")
    values: dict[str, int] = {}
    for word in words[1:]:
        name, _, number = word.partition("=")
        kind.layout.slot(name)
        if name in values or name in kind.fixed:
            raise IsaError(f"{kind.mnemonic}: {name} may not be given again")
        try:
            values[name] = int(number, 0)
        except ValueError:
            raise IsaError(f"{kind.mnemonic}: {name}={number} is not a number") from None
    return Instruction(kind, kind.normalise(values))
