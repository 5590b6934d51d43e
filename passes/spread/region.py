"""Which layers run on pieces that lie side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from xdsl.ir import Block, BlockArgument, Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.quant import types
from dialects.quant.base import PIECES, QuantOp, ints
from dialects.quant.compute import (
    AveragePoolOp,
    ConvOp,
    EltwiseOp,
    LookupOp,
    MaxPoolOp,
    PointwiseFunctionOp,
    PReluOp,
    RequantizeOp,
)
from dialects.quant.eltwise import BinaryOp
from dialects.quant.movement import ConcatOp, SliceOp
from dialects.quant.windows import ROWS
from passes.kernels.convolution.stacked import is_one_dense
from passes.spread.pieces import Pieces, rows_together

COUNTS = (2, 4)
"""How many pieces an image can have."""
MOST_LINKS = 16
"""Layers between the convolutions at both ends."""
SAME_IN_EVERY_CHANNEL = (
    AveragePoolOp, EltwiseOp, LookupOp, MaxPoolOp, PointwiseFunctionOp, RequantizeOp,
)  # fmt: skip


def is_dense(op: Operation) -> bool:
    """Whether an op is a convolution that can begin in any lane, and with any row of its input."""
    return (
        isinstance(op, ConvOp)
        and is_one_dense(op)
        and not op.winograd.value.data
        and op.row_window() is not None
    )


def is_depthwise(op: Operation) -> bool:
    """Whether an op is a convolution whose outputs each read a channel of their own."""
    if not isinstance(op, ConvOp) or op.weight.shape[1] > 1:
        return False
    return op.group.value.data == op.weight.shape[0] > 1


def is_mean(op: Operation) -> bool:
    """Whether an op is the mean of each map of floats."""
    if not isinstance(op, AveragePoolOp) or not types.is_float(op.x) or any(ints(op.pad)):
        return False
    return types.shape_of(op.y)[2:] == (1, 1) and ints(op.kernel) == types.shape_of(op.x)[2:]


def repeats(value: SSAValue) -> bool:
    """Whether an operand is the same for all pixels of an image."""
    shape = types.shape_of(value)
    return len(shape) == 4 and shape[2:] == (1, 1)


@dataclass(frozen=True)
class Entry:
    """Convolutions that make the rows of a tensor, each from row ``first`` on, and with several
    the concatenation of what they make."""

    convs: tuple[ConvOp, ...]
    firsts: tuple[int, ...]
    y: SSAValue

    @staticmethod
    def of(op: Operation) -> Entry | None:
        """That of a convolution or a concatenation; None where it is none that can make pieces, or
        makes some already."""
        if PIECES in op.attributes:
            return None
        if isinstance(op, ConvOp) and is_dense(op):
            return Entry((op,), (0,), op.y)
        if not isinstance(op, ConcatOp) or op.axis.value.data != ROWS:
            return None
        convs, firsts, row = list[ConvOp](), list[int](), 0
        for x in op.xs:
            conv = x.owner
            if not isinstance(conv, ConvOp) or not is_dense(conv) or not x.has_one_use():
                return None
            convs.append(conv)
            firsts.append(row)
            row += types.shape_of(x)[ROWS]
        alike = len({(conv.relu.value.data, conv.top) for conv in convs}) == 1
        return Entry(tuple(convs), tuple(firsts), op.y) if alike and not convs[0].top else None

    @property
    def layer(self) -> QuantOp:
        """The op that makes all of it."""
        return _owner(self.y)

    @property
    def layers(self) -> tuple[QuantOp, ...]:
        return tuple(dict.fromkeys((*self.convs, self.layer)))

    def parts(self, first: int, count: int) -> Iterator[tuple[ConvOp, int, int]]:
        """The convolutions that make some rows, of each the first of its rows, and how many."""
        for conv, begin in zip(self.convs, self.firsts, strict=True):
            low = max(first, begin)
            high = min(first + count, begin + types.shape_of(conv.y)[ROWS])
            if low < high:
                yield conv, low - begin, high - low

    def can_begin(self, first: int, count: int) -> bool:
        """Whether all convolutions can make their part of some rows, each in its place."""
        step, row = rows_together(types.shape_of(self.y)[3]), 0
        for conv, low, rows in self.parts(first, count):
            window, (buffer_row, x_step) = conv.row_window(), _buffer_row(conv.x)
            assert window is not None
            begin = max(0, low * window.stride - window.pad)
            if row % step or (buffer_row + begin) % x_step:
                return False
            row += rows
        return True


@dataclass(frozen=True)
class Region:
    """``entry``: what makes ``count`` pieces. ``links``: layers that compute all of them at once.
    ``exits``: convolutions that read them and make whole tensors again, and means of them."""

    entry: Entry
    count: int
    links: tuple[QuantOp, ...]
    exits: tuple[QuantOp, ...]

    @property
    def layers(self) -> tuple[QuantOp, ...]:
        """In their order, the exits last."""
        return (*self.entry.layers, *self.links, *self.exits)

    def place(self) -> Placed | None:
        """The region with the least overlap that is enough; None where none is."""
        height = types.shape_of(self.entry.y)[ROWS]
        for shift in range(height // self.count, 0, -1):
            placed = self._placed(shift)
            if placed is not None:
                return placed
        return None

    def _placed(self, shift: int) -> Placed | None:
        height = types.shape_of(self.entry.y)[ROWS]
        made = Pieces.of(height, self.count, shift)
        if not all(self.entry.can_begin(i * shift, made.rows) for i in range(self.count)):
            return None
        pieces = {self.entry.y: made}
        for op in self.links:
            held = _merged([pieces[x] for x in op.operands if x in pieces])
            window = op.row_window() or op.rows_alike()
            made = None if held is None else held.through(window)
            if made is None:
                return None
            pieces[op.results[0]] = made
        cuts: dict[QuantOp, tuple[int, ...]] = {}
        for op in self.exits:
            held, found = pieces[op.operands[0]], None
            if isinstance(op, ConvOp):
                window = op.row_window()
                assert window is not None
                widths = (rows_together(types.shape_of(value)[3]) for value in (op.x, op.y))
                found = held.cuts(window, *widths)
            else:
                found = held.shares(types.shape_of(op.operands[0])[ROWS])
            if found is None:
                return None
            cuts[op] = found
        return Placed(self, pieces, cuts)


@dataclass(frozen=True)
class Placed:
    """A region, the pieces of each tensor inside, and for each exit the first rows of the parts
    that it computes on a piece each, and the end."""

    region: Region
    pieces: Mapping[SSAValue, Pieces]
    cuts: Mapping[QuantOp, tuple[int, ...]]


def _merged(pieces: list[Pieces]) -> Pieces | None:
    held: Pieces | None = pieces[0]
    for other in pieces[1:]:
        held = held and held.merged(other)
    return held


def _buffer_row(value: SSAValue) -> tuple[int, int]:
    """The row of a larger tensor where a tensor begins, and at which multiples the engine can
    begin: a network input lies in DDR, where it can anywhere."""
    row = 0
    while isinstance(value.owner, SliceOp) and value.owner.axis.value.data == ROWS:
        row += value.owner.begin.value.data
        value = value.owner.x
    anywhere = isinstance(value, BlockArgument)
    return row, 1 if anywhere else rows_together(types.shape_of(value)[3])


@dataclass
class Growth:
    """Finds the layers behind an entry that can run on its pieces. ``barred``: layers that do not
    compute all pieces at once, though they could."""

    entry: Entry
    count: int
    order: Mapping[Operation, int]
    barred: set[Operation] = field(default_factory=set[Operation])

    def regions(self) -> Iterator[Region]:
        """The largest region, then those that end earlier, at one of its convolutions."""
        if not _holds(self.entry.y, self.count):
            return
        region = self._grown()
        if region is None:
            return
        yield region
        for op in region.links:
            if is_dense(op):
                self.barred = {op}
                shorter = self._grown()
                if shorter is not None:
                    yield shorter

    def _grown(self) -> Region | None:
        """The region; a layer is barred where what reads it needs it whole."""
        while True:
            found = self._tried()
            if isinstance(found, Region):
                return found
            if found is self.entry.layer:
                return None
            self.barred.add(found)

    def _tried(self) -> Region | Operation:
        """The region, or the layer whose result cannot be in pieces."""
        inside: set[SSAValue] = {self.entry.y}
        links, exits = list[QuantOp](), list[QuantOp]()
        ahead, seen = list[tuple[int, Operation]](), set[Operation]()

        def follow(value: SSAValue) -> None:
            for use in value.uses:
                if use.operation not in seen:
                    seen.add(use.operation)
                    heappush(ahead, (self.order[use.operation], use.operation))

        follow(self.entry.y)
        while ahead:
            _, op = heappop(ahead)
            able = op not in self.barred and len(links) < MOST_LINKS
            if able and isinstance(op, QuantOp) and self._is_link(op, inside):
                links.append(op)
                inside.add(op.results[0])
                follow(op.results[0])
            elif isinstance(op, QuantOp) and (is_dense(op) or is_mean(op)):
                exits.append(op)
            else:
                return next(_owner(x) for x in op.operands if x in inside)
        return Region(self.entry, self.count, tuple(links), tuple(exits))

    def _is_link(self, op: QuantOp, inside: set[SSAValue]) -> bool:
        if PIECES in op.attributes or not _holds(op.results[0], self.count):
            return False
        others = [x for x in op.operands if x not in inside]
        if isinstance(op, BinaryOp):
            like = types.shape_of(op.y)
            whole = (types.shape_of(x) == like for x in op.operands if x in inside)
            return all(whole) and all(map(repeats, others))
        window = op.row_window()
        if others or window is None or window.out < 2 * self.count:
            return False
        return isinstance(op, (*SAME_IN_EVERY_CHANNEL, PReluOp)) or is_dense(op) or is_depthwise(op)


def _owner(value: SSAValue) -> QuantOp:
    assert isinstance(value.owner, QuantOp)
    return value.owner


def _holds(value: SSAValue, count: int) -> bool:
    """Whether the lanes hold so many pieces of a tensor, and a word all its images. A single 8-bit
    image is cut into strips instead."""
    shape, floats = types.shape_of(value), types.is_float(value)
    images = shape[0] == 1 if floats else 1 < shape[0] <= BM1684.int8_images_per_word
    return len(shape) == 4 and images and count * shape[1] <= BM1684.lanes


def regions_of(block: Block, entry: Entry) -> Iterator[Region]:
    """The regions that begin with an entry."""
    order = {op: i for i, op in enumerate(block.ops)}
    for count in COUNTS:
        yield from Growth(entry, count, order).regions()
