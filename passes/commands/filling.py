"""List scheduling of the tensor unit's commands: those that wait are overtaken by rows of later
ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dialects.bm1684 import isa
from dialects.bm1684.cycles import cycles_of
from dialects.bm1684.isa import Direction, Engine, Instruction
from dialects.bm1684.model import Access, Space
from dialects.bm1684.model.memory.lanes import LaneTensor
from dialects.bm1684.npu import CommandOp, Observation, command_op
from passes.commands.rows import row_step, rows_of
from passes.memory.footprint import Footprint, History

AHEAD = 24
"""Commands behind the one that waits whose rows may go first."""
LOADS_AHEAD = 96
"""Transfers behind the one that waits of which the loads may go first."""
LEAST = 32
"""Cycles of a wait that is worth filling, and of rows that are worth a command."""
TRIES = 4
"""Starts that are tried for the rows of a command: the first rows often wait for a halo."""
PARTS, LONG, NEARLY = 8, 4096, 1.005
"""Parts of a computation, its cycles from which on it is cut, and how many more all parts may
take."""
SHORT = 4
"""A load comes earlier for a computation that takes at least so many times as long."""
FEW_ROWS = 4
"""So few rows of arithmetic may lie far apart: each is looked at by itself."""

Rows = tuple[int, int]
"""The first row, and the one behind the last."""


@dataclass
class _Computation:
    """A command of the TIU. ``loads``: how many transfers stand before it up to the last one that
    it depends on; ``left``: the rows that have no place yet; ``seen``: the tensors that are
    compared when it is done."""

    op: CommandOp
    loads: int
    left: list[Rows]
    seen: Footprint

    @property
    def command(self) -> Instruction:
        return self.op.instruction

    @property
    def cycles(self) -> int:
        return cycles_of(self.command) or 0

    def part(self, rows: Rows) -> Instruction | None:
        return rows_of(self.command, rows[0], rows[1] - rows[0])

    def starts(self, rows: Rows) -> list[int]:
        """Rows where a part may begin."""
        step = row_step(self.command)
        return [rows[0], *range(_behind(rows[0], step), rows[1], step)][:TRIES]

    def footprints(self) -> Iterator[Footprint]:
        """What it still touches."""
        if self.left:
            yield self.seen
        for begin, end in self.left:
            apart = self.command.kind is isa.ARITH and end - begin <= FEW_ROWS
            step = 1 if apart else end - begin
            parts = [self.part((row, row + step)) for row in range(begin, end, step)]
            yield from (Footprint.of(p or self.command) for p in parts)

    def without(self, rows: Rows) -> list[Rows]:
        """What is left beside some of its rows."""
        found: list[Rows] = []
        for begin, end in self.left:
            inside = begin <= rows[0] and rows[1] <= end
            rest = ((begin, rows[0]), (rows[1], end)) if inside else ((begin, end),)
            found += [r for r in rest if r[0] < r[1]]
        return found


def _behind(row: int, step: int) -> int:
    """The first multiple of a step behind a row."""
    return (row // step + 1) * step


@dataclass
class _Transfer:
    """A command of the GDMA. ``computed``: how many computations stand before it up to the last
    one that it depends on; ``end``: when it has ended, None while it has no place."""

    op: CommandOp
    computed: int
    footprint: Footprint
    end: int | None = None

    @property
    def cycles(self) -> int:
        return cycles_of(self.op.instruction) or 0


def _collected(ops: Sequence[CommandOp]) -> tuple[list[_Computation], list[_Transfer]]:
    """The commands of both engines, and what they depend on."""
    computations, transfers = list[_Computation](), list[_Transfer]()
    computed, moved = History(), History()
    for op in ops:
        seen = Footprint(tuple(map(_access, op.observations)))
        footprint = Footprint((*Footprint.of(op.instruction).touched, *seen.touched))
        if op.instruction.engine is Engine.TIU:
            loads, rows = moved.last_conflict(footprint, 0), (0, op.instruction["res0_h"])
            computations.append(_Computation(op, loads, [rows], seen))
            computed.append(footprint)
        else:
            transfers.append(_Transfer(op, computed.last_conflict(footprint, 0), footprint))
            moved.append(footprint)
    return computations, transfers


def _in_parts(
    computations: Sequence[_Computation], transfers: Sequence[_Transfer], ops: Sequence[CommandOp]
) -> Iterator[CommandOp]:
    """The commands, long computations as parts of their rows where a transfer waits for some of
    these only."""
    waiting: dict[CommandOp, list[Footprint]] = {}
    for transfer in transfers:
        if transfer.computed:
            op = computations[transfer.computed - 1].op
            waiting.setdefault(op, []).append(transfer.footprint)
    for op in ops:
        parts = _parts(op.instruction) if op in waiting else []
        if not parts or all(Footprint.of(parts[-1]).conflicts(each) for each in waiting[op]):
            yield op
            continue
        for part in parts:
            made = command_op(part, op.location)
            if part is parts[-1]:
                made.observe = op.observe
            yield made


def _parts(command: Instruction) -> list[Instruction]:
    """Even parts of the rows of a long computation; none where they take longer together."""
    whole, rows, step = cycles_of(command) or 0, command["res0_h"], row_step(command)
    if whole < LONG or rows <= step:
        return []
    each = -(-rows // (PARTS * step)) * step
    found = [rows_of(command, first, min(each, rows - first)) for first in range(0, rows, each)]
    parts = [part for part in found if part is not None]
    longer = sum(cycles_of(part) or 0 for part in parts) > whole * NEARLY
    return [] if len(parts) < len(found) or longer else parts


Place = tuple[_Computation, Rows, int]
"""Rows of a computation, and when they start."""


class Filling:
    """The commands of a function, and the order that they get.

    ``now``: when the TIU has done what it has so far; ``next``: the first computation without a
    place, ``first``: the first transfer; ``done``: when the computations before each one had ended.
    ``overrun``: what fills a wait may end after it, by as long as the wait at most.
    """

    def __init__(
        self,
        computations: list[_Computation],
        transfers: list[_Transfer],
        overrun: bool,
        filled: bool,
    ) -> None:
        self.computations, self.transfers, self.overrun = computations, transfers, overrun
        self.order: list[CommandOp] = []
        self.queue: list[_Transfer] = []
        self.done = [0]
        self.now = self.next = self.first = 0
        self.filled = filled

    @staticmethod
    def both(ops: Sequence[CommandOp]) -> tuple[Filling, Filling]:
        """Without overruns, and with them."""
        computations, transfers = _collected(ops)
        parts = list(_in_parts(computations, transfers, ops))
        cut = len(parts) > len(ops)
        if cut:
            computations, transfers = _collected(parts)
        again = [replace(each, left=list(each.left)) for each in computations]
        others = [replace(each) for each in transfers]
        return Filling(computations, transfers, False, cut), Filling(again, others, True, cut)

    def run(self) -> int:
        """Puts the commands in their new ``order``; the cycles that it takes. ``filled``: whether
        it is another one."""
        while self.next < len(self.computations):
            head = self.computations[self.next]
            self._place_up_to(head.loads)
            ready = self._ready(Footprint.of(head.command))
            while ready - self.now >= LEAST and self._fill(ready):
                self.filled = True
            for rows in list(head.left):
                self._compute(head, rows, max(self.now, ready))
            self.next += 1
            self.done.append(self.now)
        self._place_up_to(len(self.transfers))
        return max(self.now, self._moved())

    # -- transfers ---------------------------------------------------------------------------------

    def _place_up_to(self, count: int) -> None:
        for number in range(self.first, count):
            if self.transfers[number].end is None:
                self._place(number)
        self.first = max(self.first, count)

    def _place(self, number: int) -> None:
        transfer = self.transfers[number]
        start = self.done[transfer.computed]
        if start - self._moved() >= LEAST:
            self._load_meanwhile(number, start)
        transfer.end = max(self._moved(), start) + transfer.cycles
        self.queue.append(transfer)
        self.order.append(transfer.op)

    def _moved(self) -> int:
        """When the DMA engine has done what it has so far."""
        return (self.queue[-1].end or 0) if self.queue else 0

    def _load_meanwhile(self, number: int, until: int) -> None:
        """Places later loads while a transfer waits for a computation."""
        for later in range(number + 1, min(number + LOADS_AHEAD, len(self.transfers))):
            transfer = self.transfers[later]
            if transfer.end is None and self._may_come_now(later):
                start = max(self._moved(), self.done[transfer.computed])
                if start + transfer.cycles <= until:
                    transfer.end = start + transfer.cycles
                    self.queue.append(transfer)
                    self.order.append(transfer.op)
                    self.filled = True

    def _ready(self, footprint: Footprint) -> int:
        """When the transfers in the queue have ended that a command depends on."""
        for transfer in reversed(self.queue):
            end = transfer.end or 0
            if end <= self.now:
                break
            if footprint.conflicts(transfer.footprint):
                return end
        return self.now

    def _missing(self, item: _Computation, footprint: Footprint) -> list[int]:
        """The transfers without a place that a command depends on."""
        return [
            number
            for number in range(self.first, item.loads)
            if self.transfers[number].end is None
            and footprint.conflicts(self.transfers[number].footprint)
        ]

    def _load_early(self, item: _Computation, blocked: Sequence[Footprint]) -> None:
        """Places the loads that alone keep some rows of a computation from starting, where they
        are short beside it and depend on nothing that is still to come."""
        missing = self._missing(item, Footprint.of(item.command))
        cost = sum(self.transfers[number].cycles for number in missing)
        if (
            missing
            and SHORT * cost <= item.cycles
            and all(map(self._may_come_now, missing))
            and self._has_operands(item, blocked)
        ):
            for number in missing:
                self._place(number)

    def _may_come_now(self, number: int) -> bool:
        """Whether a transfer is a load that depends on nothing that is still to come."""
        transfer = self.transfers[number]
        return (
            transfer.op.instruction["direction"] == Direction.SYSTEM_TO_LOCAL
            and transfer.computed <= self.next
            and not any(
                other.end is None and transfer.footprint.conflicts(other.footprint)
                for other in self.transfers[self.first : number]
            )
        )

    def _has_operands(self, item: _Computation, blocked: Sequence[Footprint]) -> bool:
        """Whether some rows of a command depend on no computation."""
        step = row_step(item.command)
        for rows in item.left:
            for start in item.starts(rows):
                part = item.part((start, min(rows[1], _behind(start, step))))
                if part is not None and _is_free(Footprint.of(part), blocked):
                    return True
        return False

    # -- computations ------------------------------------------------------------------------------

    def _compute(self, item: _Computation, rows: Rows, start: int) -> None:
        part = item.part(rows)
        assert part is not None
        item.left = item.without(rows)
        op = item.op if part is item.command else command_op(part, item.op.location)
        if not item.left:
            op.observe = item.op.observe
        self.order.append(op)
        self.now = start + (cycles_of(part) or 0)

    def _fill(self, until: int) -> bool:
        """Computes rows of a later command meanwhile; False where none can be."""
        best = self._earliest(until)
        if best is not None and best[2] - self.now >= LEAST:
            best = self._earliest(best[2]) or best
        if best is not None:
            self._compute(*best)
        return best is not None

    def _earliest(self, until: int) -> Place | None:
        """The rows of a later command that can start first and end in time: see ``overrun``."""
        best: Place | None = None
        blocked = list(self.computations[self.next].footprints())
        for item in self.computations[self.next + 1 : self.next + AHEAD]:
            self._load_early(item, blocked)
            for rows in item.left:
                found = self._most_rows(item, rows, until, blocked)
                if found is not None and (best is None or found[2] < best[2]):
                    best = found
            if best is not None and best[2] == self.now:
                break
            blocked += item.footprints()
        return best

    def _most_rows(
        self, item: _Computation, rows: Rows, until: int, blocked: Sequence[Footprint]
    ) -> Place | None:
        """As many of these rows as can be computed in time."""
        whole = self._start(item, rows, until, blocked)
        if whole is not None:
            return item, rows, whole
        step = row_step(item.command)
        for first in item.starts(rows):
            ends = range(_behind(first, step), rows[1], step)
            best: Place | None = None
            low, high = 0, len(ends)
            while low < high:
                middle = (low + high) // 2
                some = first, ends[middle]
                start = self._start(item, some, until, blocked)
                if start is None:
                    high = middle
                else:
                    best, low = (item, some, start), middle + 1
            if best is not None:
                return best
        return None

    def _start(
        self, item: _Computation, rows: Rows, until: int, blocked: Sequence[Footprint]
    ) -> int | None:
        """When these rows can start, if they end in time."""
        part = item.part(rows)
        cycles = None if part is None else cycles_of(part)
        latest = until + (until - self.now if self.overrun else 0)
        if part is None or cycles is None or self.now + cycles > latest:
            return None
        rest, footprint = item.without(rows), Footprint.of(part)
        if rows not in item.left and (
            cycles < LEAST or any(item.part(each) is None for each in rest)
        ):
            return None
        if not rest:
            footprint = Footprint((*footprint.touched, *item.seen.touched))
        start = self._ready(footprint)
        late = start + cycles > latest or self._missing(item, footprint)
        return None if late or not _is_free(footprint, blocked) else start


def _is_free(footprint: Footprint, blocked: Sequence[Footprint]) -> bool:
    return not any(footprint.conflicts(other) for other in blocked)


def _access(at: Observation) -> Access:
    """The bytes of a tensor that is compared."""
    if at.local is None:
        return Access(Space.DDR, 0, 0, at.address, at.address + at.nbytes, False)
    box = at.local
    words = LaneTensor(at.top, box.lane, at.address, 4, 1, box.extents, box.strides)
    return words.access(write=False)
