"""Compiled networks, and programs that differ from the right one in a weight or a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from xdsl.dialects.builtin import ModuleOp, NameLoc

from bmnetu.frontend import load_network
from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import COMMAND_BYTES, Engine, Instruction, unpack
from passes.image.groups import Sites
from passes.image.program import Program
from passes.module.functions import main_function
from passes.verification.findings import Findings
from passes.verify_layers import verify_program
from tests.compiled import compiled
from tests.lit_inputs import PIPELINE

ENGINES = (Engine.TIU, Engine.GDMA)
FILES = {"FP32": ("fp32.prototxt", "fp32.fp32umodel"), "INT8": ("int8.prototxt", "int8.int8umodel")}
Change = Callable[[list[Instruction], list[Instruction]], None]
"""Changes the commands of the TIU and of the GDMA in place."""


@dataclass(frozen=True)
class Compiled:
    """A network of lit_tests/pipeline at the npu level, and what the chip gets."""

    module: ModuleOp
    program: Program

    def verify(self, program: Program | None = None) -> Findings:
        """What the compare finds in a program."""
        findings = Findings()
        verify_program(self.module, program or self.program, findings)
        return findings

    def layer(self, engine: Engine, number: int) -> str:
        """The layer that a command of the first group belongs to."""
        sites = Sites.of(self.module)
        location = sites.location(0, engine, number)
        assert isinstance(location, NameLoc)
        return location.desc.data

    def commands(self) -> tuple[list[Instruction], list[Instruction]]:
        """The commands of the TIU and of the GDMA."""
        (group,) = self.program.groups
        tiu, gdma = (
            [
                unpack(engine, data[at : at + COMMAND_BYTES])
                for at in range(0, len(data), COMMAND_BYTES)
            ]
            for engine, data in zip(ENGINES, group, strict=True)
        )
        return tiu, gdma

    def changed(self, change: Change) -> Program:
        """The program with other commands."""
        tiu, gdma = self.commands()
        change(tiu, gdma)
        return self.program.with_groups([(packed(tiu), packed(gdma))])

    def weights(self) -> dict[str, list[tile.ConstantOp]]:
        """The constants of each layer."""
        found: dict[str, list[tile.ConstantOp]] = {}
        for op in main_function(self.module).body.block.ops:
            if isinstance(op, tile.ConstantOp) and isinstance(op.location, NameLoc):
                found.setdefault(op.location.desc.data, []).append(op)
        return found

    def flipped(self, constant: tile.ConstantOp, byte: int, bit: int) -> Program:
        """The program with one bit of a constant inverted."""
        coeff = bytearray(self.program.coeff)
        coeff[constant.located - BM1684.context_start + byte] ^= 1 << bit
        return replace(self.program, coeff=bytes(coeff))


def packed(commands: Sequence[Instruction]) -> bytes:
    """Commands as they stand in a command buffer."""
    return b"".join(inst.pack() for inst in commands)


@cache
def small(precision: str, opt: int) -> Compiled:
    """The small network of a precision; it passes the compare."""
    model, weight = FILES[precision]
    module = load_network(PIPELINE / model, PIPELINE / "Inputs" / weight).module
    findings = compiled(module, opt, precision)
    assert findings.ok, findings.verdict()
    return Compiled(module, Program.of(module))
