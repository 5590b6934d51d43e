"""The commands of a compiled function in groups, and as bytes."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import LocationAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684.isa import Engine
from dialects.bm1684.npu import CommandOp, Observation
from passes.module.functions import npu_functions

CodedGroup = tuple[bytes, bytes]
"""The commands of one group: the TIU's, and the GDMA's."""
Site = tuple[int, Engine, int]
"""A command: group (counted over all functions), engine, id."""


@dataclass
class Group:
    """One group of commands: each engine's ids run from 1. ``commands`` are in program order."""

    commands: list[CommandOp]

    def ops(self, engine: Engine) -> list[CommandOp]:
        """The commands of one engine in id order."""
        return [c for c in self.commands if c.instruction.engine is engine]

    def encode(self) -> CodedGroup:
        """The commands of both engines, 128 bytes each."""
        tiu, gdma = (
            b"".join(c.instruction.pack() for c in self.ops(engine))
            for engine in (Engine.TIU, Engine.GDMA)
        )
        return tiu, gdma


def command_groups(function: FuncOp) -> list[Group]:
    """The groups of a function whose commands have ids. A new one begins where an id does not
    grow.
    """
    groups: list[Group] = []
    last = dict.fromkeys(Engine, 0)
    for op in function.body.block.ops:
        if not isinstance(op, CommandOp):
            continue
        instruction = op.instruction
        if not groups or instruction.id <= last[instruction.engine]:
            groups.append(Group([]))
            last = dict.fromkeys(Engine, 0)
        groups[-1].commands.append(op)
        last[instruction.engine] = instruction.id
    if not groups:
        raise PassFailedException("the function holds no commands")
    return groups


@dataclass(frozen=True)
class Sites:
    """For each command: the tensors that are final after it, and its location."""

    groups: list[Group]

    @staticmethod
    def of(module: ModuleOp) -> Sites:
        """The commands of all functions of the NPU, one after the other."""
        return Sites([group for f in npu_functions(module) for group in command_groups(f)])

    def observations(self) -> dict[Site, tuple[Observation, ...]]:
        """The tensors that are final after a command."""
        return {
            (number, op.instruction.engine, op.instruction.id): op.observations
            for number, group in enumerate(self.groups)
            for op in group.commands
            if op.observations
        }

    def place(self, site: Site) -> int:
        """The place of a command in the program order of its group; -1 when there is none."""
        group, engine, number = site
        found = (
            at for at, op in enumerate(self.groups[group].commands)
            if op.instruction.engine is engine and op.instruction.id == number
        )
        return next(found, -1)

    def location(self, group: int, engine: Engine, number: int) -> LocationAttr | None:
        """The location of a command, or None when there is no such command."""
        if group >= len(self.groups):
            return None
        ops = self.groups[group].ops(engine)
        return ops[number - 1].location if 0 < number <= len(ops) else None
