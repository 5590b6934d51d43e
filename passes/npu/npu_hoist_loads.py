"""npu-hoist-loads: loads overtake stores, so that the next tile comes in while this one is
computed.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import FuncOp

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Direction, Engine, start_of
from dialects.bm1684.npu import CommandOp
from passes.base import NpuFunctionPass
from passes.memory.footprint import Footprint, History


@dataclass(frozen=True)
class _Transfer:
    """A GDMA command; ``after``: the TIU command (1-based position) it depends on at the latest."""

    op: CommandOp
    footprint: Footprint
    after: int

    @property
    def direction(self) -> int:
        return self.op.instruction["direction"]

    @property
    def is_table(self) -> bool:
        """Whether it brings a table to L2."""
        i = self.op.instruction
        to_l2 = BM1684.l2_base <= start_of(i, "dst") < BM1684.l2_end
        return self.direction == Direction.SYSTEM_TO_SYSTEM and to_l2

    def may_overtake(self, store: _Transfer) -> bool:
        """True when nothing is lost: the store waits for the TIU at least as long, and shares no
        byte.
        """
        return (
            store.direction == Direction.LOCAL_TO_SYSTEM
            and self.after <= store.after
            and not self.footprint.conflicts(store.footprint)
        )


@dataclass(frozen=True)
class NpuHoistLoadsPass(NpuFunctionPass):
    """Moves loads in front of stores that they do not depend on.

    Before: commands in program order, without ids. After: the same commands in an order with the
    same meaning, in which a load stands in front of every store that waits for the TIU at least as
    long as the load does. A load overtakes no other load; a table for L2 overtakes those, too, that
    load what a store before them has written.
    """

    name = "npu-hoist-loads"
    level = "npu"

    def apply_to(self, function: FuncOp) -> None:
        computed = History()
        queue: list[_Transfer] = []
        for command in list(function.body.block.ops):
            if not isinstance(command, CommandOp):
                continue
            footprint = Footprint.of(command.instruction)
            if command.instruction.engine is Engine.TIU:
                computed.append(footprint)
                continue
            transfer = _Transfer(command, footprint, computed.last_conflict(footprint, 0))
            _insert(queue, transfer)


def _insert(queue: list[_Transfer], transfer: _Transfer) -> None:
    """Appends a transfer, a load as far forward as it may go; moves its op likewise."""
    at = len(queue)
    if transfer.direction == Direction.SYSTEM_TO_LOCAL:
        while at and transfer.may_overtake(queue[at - 1]):
            at -= 1
    elif transfer.is_table:
        at = _place_of_table(queue, transfer)
    if at < len(queue):
        block = transfer.op.parent_block()
        assert block is not None
        transfer.op.detach()
        block.insert_op_before(transfer.op, queue[at].op)
    queue.insert(at, transfer)


def _place_of_table(queue: list[_Transfer], table: _Transfer) -> int:
    """Where a table is loaded: before stores, and loads of what they write, at the end."""
    place = at = len(queue)
    behind: list[_Transfer] = []
    while at and not table.footprint.conflicts(queue[at - 1].footprint):
        at -= 1
        if table.may_overtake(queue[at]):
            behind = [x for x in behind if not x.footprint.conflicts(queue[at].footprint)]
            place = place if behind else at
        else:
            behind.append(queue[at])
    return place
