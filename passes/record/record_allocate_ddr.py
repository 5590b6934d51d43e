"""record-allocate-ddr: addresses of coefficients and intermediates of a dynamic network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import align
from dialects.bm1684.record.base import NO_BUFFER, RecordOp, is_float, is_shape, room, shape_of
from passes.module.functions import main_function


@dataclass(frozen=True)
class RecordAllocateDdrPass(ModulePass):
    """Gives every coefficient and every intermediate its address.

    Before: records without addresses. After: coefficients lie from the start of the network's DDR
    on (equal ones once), intermediates behind them from the next 4 KiB on, each with the room of
    its largest shape; those that are not needed at the same time share it. ``coeff_size``,
    ``context_address`` and ``context_size`` of the function hold the network's sizes.
    """

    name = "record-allocate-ddr"
    level = "record"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = main_function(op)
        records = [each for each in function.body.block.ops if isinstance(each, RecordOp)]
        start, page = BM1684.context_start, BM1684.ddr_alignment
        end = start
        used: dict[str, int] = {}
        for record in records:
            places: list[int] = []
            for constant in record.constants:
                if constant.data.digest not in used:
                    used[constant.data.digest] = end
                    end += align(constant.data.data.nbytes, page)
                places.append(used[constant.data.digest])
            if places:
                record.place_coefficients(places)
        context = start + align(max(end - start, 1), page)
        top = _Buffers(context).place(function, records)
        for name, value in (
            ("coeff_size", context - start),
            ("context_address", context),
            ("context_size", max(align(top - context, page), page)),
        ):
            function.attributes[name] = IntegerAttr(value, i64)


@dataclass
class _Buffers:
    """Ranges of memory from ``start`` on, each taken from the lowest gap that it fits."""

    start: int
    live: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    top: int = 0

    def place(self, function: FuncOp, records: list[RecordOp]) -> int:
        """Places all intermediates; the end of the memory in use."""
        self.top = self.start
        returned = function.body.block.last_op
        assert isinstance(returned, ReturnOp)
        outputs = set(returned.operands)
        places: dict[SSAValue, tuple[int, int]] = {}
        for dying, record in zip(_last_reads(records), records, strict=True):
            own: list[int] = []
            for y in record.ys:
                if y not in outputs and not is_shape(y):
                    places[y] = self._take(room(shape_of(y), is_float(y)))
                own.append(places[y][0] if y in places else NO_BUFFER)
            record.place_results(own)
            scratch = self._scratch(record)
            if scratch:
                values = record.values | {name: at for name, (at, _) in scratch.items()}
                record.parameters = record.RECORD.struct.attribute(values)
            unread = [y for y in record.ys if not y.uses]
            for value in (*dying, *unread):
                if value in places:
                    self.live.remove(places[value])
            for taken in scratch.values():
                self.live.remove(taken)
        return self.top

    def _scratch(self, record: RecordOp) -> dict[str, tuple[int, int]]:
        """The ranges of a record's scratch memory by parameter."""
        shapes = [[shape_of(value) for value in some] for some in (record.xs, record.ys)]
        sizes = {
            name: nbytes(shapes[0], shapes[1], is_float(record.ys[0]))
            for name, nbytes in record.RECORD.scratch.items()
        }
        return {name: self._take(size) for name, size in sizes.items() if size}

    def _take(self, size: int) -> tuple[int, int]:
        size, at = align(max(size, 1), BM1684.ddr_alignment), self.start
        for begin, end in sorted(self.live):
            if begin - at >= size:
                break
            at = max(at, end)
        self.live.append((at, at + size))
        self.top = max(self.top, at + size)
        return at, at + size


def _last_reads(records: list[RecordOp]) -> Iterator[list[SSAValue]]:
    """For each record the results of others that none behind it reads."""
    last: dict[SSAValue, Operation] = {}
    for record in records:
        last |= dict.fromkeys(record.xs, record)
    for record in records:
        yield [x for x in dict.fromkeys(record.xs) if last[x] is record]
