"""npu-fill-waits: while a computation waits for its input, rows of later ones run."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import FuncOp

from dialects.bm1684.cycles import schedule
from dialects.bm1684.npu import CommandOp
from passes.base import NpuFunctionPass
from passes.commands.filling import Filling
from passes.commands.waits import numbered

WORTH = 1.002
"""Nothing is tried where the busier engine is at work all the time but for less than this."""


@dataclass(frozen=True)
class NpuFillWaitsPass(NpuFunctionPass):
    """Computations that wait for a transfer let rows of later ones go first.

    Before: commands in program order, without ids. After: commands with the same results, in fewer
    cycles: in front of a computation that waits stand others, or some of their rows, which depend
    on nothing that is still to come and end before the wait does, or soon after it: the shorter
    order of both wins. What they load comes earlier, too, and so do loads while a transfer waits;
    all others keep their order. A function that gains nothing stays as it is.
    """

    name = "npu-fill-waits"
    level = "npu"

    def apply_to(self, function: FuncOp) -> None:
        block = function.body.block
        ops = [op for op in block.ops if isinstance(op, CommandOp)]
        before = schedule(numbered([op.instruction for op in ops]))
        if before.total <= WORTH * max(before.busy.values(), default=0):
            return
        best = min(Filling.both(ops), key=Filling.run)
        commands = [op.instruction for op in best.order]
        if not best.filled or schedule(numbered(commands)).total >= before.total:
            return
        last = block.last_op
        assert last is not None
        for op in ops:
            op.detach()
        block.insert_ops_before(best.order, last)
