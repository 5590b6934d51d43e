"""npu-assign-waits: command ids, and which command of the other engine each one waits for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from xdsl.dialects.func import FuncOp

from dialects.bm1684.npu import CommandOp, InstructionAttr
from passes.base import NpuFunctionPass
from passes.commands.waits import numbered


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
        ops = [op for op in function.body.block.ops if isinstance(op, CommandOp)]
        groups = numbered((op.instruction for op in ops), self.serial)
        for op, command in zip(ops, chain.from_iterable(groups), strict=True):
            op.command = InstructionAttr(command)
