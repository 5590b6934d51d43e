"""npu-assign-waits: command ids, and which command of the other engine each one waits for."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects.func import FuncOp

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine
from dialects.bm1684.npu import CommandOp, InstructionAttr
from passes.base import NpuFunctionPass
from passes.memory.footprint import Footprint, History


@dataclass
class _Queue:
    """The commands of one engine in the current group; ``known``: the largest id of the other
    engine that one of them has waited for."""

    history: History = field(default_factory=History)
    known: int = 0

    @property
    def last(self) -> int:
        return len(self.history.footprints)


@dataclass(frozen=True)
class NpuAssignWaitsPass(NpuFunctionPass):
    """Numbers the commands and makes program order hold between the engines.

    Before: commands in program order. After: each engine's ids run 1..N in every group, and a
    command waits for the last command of the other engine that it conflicts with (both touch a
    byte, one writes it) unless an earlier wait already covers it. With ``serial`` it waits for
    everything before it.
    """

    name = "npu-assign-waits"
    level = "npu"

    serial: bool = False

    def apply_to(self, function: FuncOp) -> None:
        queues = {engine: _Queue() for engine in Engine}
        limit = BM1684.limits.ids_per_group
        for command in function.body.block.ops:
            if not isinstance(command, CommandOp):
                continue
            instruction = command.instruction
            if queues[instruction.engine].last >= limit:
                queues = {engine: _Queue() for engine in Engine}
            own = queues[instruction.engine]
            other = queues[Engine.GDMA if instruction.engine is Engine.TIU else Engine.TIU]
            footprint = Footprint.of(instruction)
            if self.serial:
                own.known = other.last
                wait = other.last
            else:
                wait = other.history.last_conflict(footprint, own.known)
                own.known = max(own.known, wait)
            own.history.append(footprint)
            command.command = InstructionAttr(instruction.with_ids(own.last, wait))
