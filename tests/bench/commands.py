"""The commands in a bmodel."""

from __future__ import annotations

from bmnetu.bmodel import COMMAND_BYTES, Bmodel
from dialects.bm1684.isa import Engine, Instruction, unpack


def instructions(bmodel: Bmodel) -> list[list[Instruction]]:
    """All groups of all stages; each holds its TIU commands, then its GDMA commands."""
    return [
        [
            unpack(engine, data[at : at + COMMAND_BYTES])
            for engine, data in ((Engine.TIU, group.tiu), (Engine.GDMA, group.gdma))
            for at in range(0, len(data), COMMAND_BYTES)
        ]
        for net in bmodel.nets
        for stage in net.stages
        for group in stage.groups
    ]
