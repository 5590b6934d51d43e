"""Strips of an image: rows move between images, and between the bytes of words, by shifts.

Strip k is byte k of the words, so what one strip needs of its neighbour lies in the next byte of
the same word of another row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import (
    DDR,
    Layout,
    Ref,
    align,
    i32,
    is_rows,
    lane_rows,
)
from dialects.quant import types
from dialects.quant.strips import (
    STRIPS,
    ExchangeHaloOp,
    JoinStripsOp,
    QuantizeStripsOp,
    SplitStripsOp,
)
from passes.kernels.builder import TileBuilder
from passes.kernels.input_strips.float_strips import FloatStrips
from passes.kernels.input_strips.source import StripImage
from passes.kernels.tiling import TilingError, ranges

BYTE = 8
"""Bits from one strip to the next."""

Span = tuple[int, int]


@dataclass(frozen=True)
class _Part:
    """Channels and rows of strips, (begin, extent) each, that fit local memory together."""

    channels: Span
    rows: Span


def _parts(
    b: TileBuilder,
    channels: int,
    rows: int,
    width: int,
    images: int,
    most: int = BM1684.limits.channels,
) -> Iterator[_Part]:
    """Cuts strips into parts of ``most`` channels; ``images``: how many buffers of the part's size
    are alive."""
    limit = most // BM1684.lanes * BM1684.lanes

    def fits(c: int, r: int) -> bool:
        one = lane_rows(c) * align(r * width * 4, BM1684.alignment)
        return images * one <= b.options.budget and c <= limit

    c, r = channels, rows
    while not fits(c, r) and c > BM1684.lanes:
        c = align(-(-c // 2), BM1684.lanes)
    while not fits(c, r) and r > 1:
        r = -(-r // 2)
    if not fits(c, r):
        raise TilingError(f"a row of {width} pixels is too long for local memory")
    for channel_part in ranges(channels, c):
        for row_part in ranges(rows, r):
            yield _Part(channel_part, row_part)


def _words(b: TileBuilder, channels: int, rows: int, width: int) -> SSAValue:
    """A local buffer of words [1, channels, rows, width]."""
    return b.local(i32, (1, channels, rows, width))


def _rows_of(b: TileBuilder, buffer: SSAValue, begin: int, count: int) -> SSAValue:
    """Rows of a buffer of words."""
    _, channels, _, width = Ref.of(buffer).shape
    return b.window(buffer, (0, 0, begin, 0), (1, channels, count, width))


def _box(b: TileBuilder, tensor: SSAValue, part: _Part, begin: int, count: int) -> SSAValue:
    """The words of rows ``begin``... of a part's channels of a DDR tensor of one word group."""
    words = b.words(tensor)
    words = b.view(words, Ref.of(words).with_(element=i32))
    width = Ref.of(tensor).shape[3]
    return b.window(words, (0, part.channels[0], begin, 0), (1, part.channels[1], count, width))


def _present(height: int, rows: int, part: _Part) -> list[int]:
    """For each strip, how many of the part's rows the image has."""
    begin, count = part.rows
    return [min(max(height - k * rows - begin, 0), count) for k in range(STRIPS)]


# -- split -----------------------------------------------------------------------------------------


def lower_split_strips(
    b: TileBuilder, op: SplitStripsOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """From plain bytes one load a strip; from words, byte 0 of each strip's rows goes into a word.
    """
    (source,) = sources
    _, channels, height, width = types.shape_of(op.x)
    rows = types.shape_of(op.y)[2]
    if Ref.of(source).layout.pack == 1:
        image = StripImage.of(op, source)
        for part in _parts(b, channels, rows, width, 1):
            (c0, cn), (begin, count) = part.channels, part.rows
            target = b.local(image.ref.element, (STRIPS, cn, count, width), 4, STRIPS)
            image.load(b, target, (0, c0, begin, 0), (STRIPS, cn, count, width))
            b.store(_box(b, dest, part, begin, count), target)
        return
    whole = next(_parts(b, channels, height, width, 2))
    loaded = None
    if whole == _Part((0, channels), (0, height)):
        loaded = _words(b, channels, height, width)
        b.load(loaded, _box(b, source, whole, 0, height))
    for part in _parts(b, channels, rows, width, 8):
        _split_words(b, source, loaded, dest, part, rows)


def _split_words(
    b: TileBuilder,
    source: SSAValue,
    loaded: SSAValue | None,
    dest: SSAValue,
    part: _Part,
    rows: int,
) -> None:
    """Shifts byte 0 of each strip to the top of the word, and all before it down by one."""
    (_, cn), (begin, count) = part.channels, part.rows
    height, width = Ref.of(source).shape[2:]
    result, moved = _words(b, cn, count, width), _words(b, cn, count, width)
    present = _present(height, rows, part)
    for k, size in enumerate(present):
        if k:
            b.arith("shift", result, result, -BYTE)
        if not size:
            continue
        if loaded is not None:
            strip = b.window(
                loaded, (0, part.channels[0], k * rows + begin, 0), (1, cn, size, width)
            )
        else:
            strip = _words(b, cn, size, width)
            b.load(strip, _box(b, source, part, k * rows + begin, size))
        if k:
            top = _rows_of(b, moved, 0, size)
            b.arith("shift", top, strip, 3 * BYTE)
            into = _rows_of(b, result, 0, size)
            b.arith("or", into, into, top)
        else:
            b.arith("shift", _rows_of(b, result, 0, size), strip, 3 * BYTE)
    b.store(_box(b, dest, part, begin, count), result)


# -- quantize --------------------------------------------------------------------------------------


def lower_quantize_strips(
    b: TileBuilder, op: QuantizeStripsOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Quantises strip by strip with the rows in the lanes, so that images of few channels keep
    many lanes busy; the transfers turn rows and channels."""
    _, channels, rows, width = types.shape_of(op.y)
    strips = FloatStrips(op, sources[0])
    for part in _parts(b, rows, channels, width, STRIPS + 1):
        (begin, count), (c0, cn) = part.channels, part.rows
        result = strips.make(b, (begin, count), (c0, cn))
        near = Layout(4, 1, (0, width, rows * width, 1))
        at = 4 * (c0 * rows + begin) * width
        words = b.words(dest)
        b.store(b.view(words, Ref(i32, (1, count, cn, width), near, DDR), at), result)


# -- join ------------------------------------------------------------------------------------------


def lower_join_strips(
    b: TileBuilder, op: JoinStripsOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Shifts each strip down to byte 0, where the one image of a word lies; rows of a larger tensor
    by rows of lanes, as they may lie in local memory."""
    (source,) = sources
    _, channels, rows, width = types.shape_of(op.x)
    height = types.shape_of(op.y)[2]
    most = BM1684.lanes if is_rows(Ref.of(dest)) else BM1684.limits.channels
    for part in _parts(b, channels, rows, width, 6, most):
        (_, cn), (begin, count) = part.channels, part.rows
        strips = _words(b, cn, count, width)
        b.load(strips, _box(b, source, part, begin, count))
        present = _present(height, rows, part)
        whole = _words(b, cn, height, width) if count == rows else None
        for k, size in enumerate(present):
            if not size:
                continue
            at = k * rows + begin
            image = _words(b, cn, size, width) if whole is None else _rows_of(b, whole, at, size)
            strip = _rows_of(b, strips, 0, size)
            if k:
                b.arith("shift", image, strip, -BYTE * k)
            else:
                b.arith("copy", image, strip)
            if whole is None:
                b.store(_box(b, dest, part, at, size), image)
        if whole is not None:
            b.store(_box(b, dest, part, 0, height), whole)


# -- halo ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Segment:
    """Result rows that are operand rows, each byte from the strip ``above`` (-1), the same strip
    or the one below (1). ``begin``: first result row, ``count``, ``source``: first operand row."""

    begin: int
    count: int
    source: int
    neighbour: int

    def cut(self, begin: int, count: int) -> _Segment | None:
        """What of it lies in a run of result rows."""
        low, high = max(self.begin, begin), min(self.begin + self.count, begin + count)
        if low >= high:
            return None
        return _Segment(low, high - low, self.source + low - self.begin, self.neighbour)


def lower_exchange_halo(
    b: TileBuilder, op: ExchangeHaloOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A copy of the strip, and its neighbours' rows, which a shift by one byte brings over."""
    (source,) = sources
    _, channels, rows, width = types.shape_of(op.x)
    total = types.shape_of(op.y)[2]
    top, bottom = op.above.value.data, op.below.value.data
    segments = [
        _Segment(0, top, rows - top, -1),
        _Segment(top, rows, 0, 0),
        _Segment(top + rows, bottom, 0, 1),
    ]
    for part in _parts(b, channels, total, width, 3):
        (_, cn), (begin, count) = part.channels, part.rows
        result = _words(b, cn, count, width)
        loaded = None
        if count == total:
            loaded = _words(b, cn, rows, width)
            b.load(loaded, _box(b, source, part, 0, rows))
        for segment in segments:
            piece = segment.cut(begin, count)
            if piece is None:
                continue
            into = _rows_of(b, result, piece.begin - begin, piece.count)
            if loaded is not None:
                rows_in = _rows_of(b, loaded, piece.source, piece.count)
            else:
                rows_in = _words(b, cn, piece.count, width)
                b.load(rows_in, _box(b, source, part, piece.source, piece.count))
            if piece.neighbour:
                b.arith("shift", into, rows_in, -BYTE * piece.neighbour)
            else:
                b.arith("copy", into, rows_in)
        _fill_outside(b, op, result, part)
        b.store(_box(b, dest, part, begin, count), result)


def _fill_outside(b: TileBuilder, op: ExchangeHaloOp, result: SSAValue, part: _Part) -> None:
    """Gives the rows above and below the image their value. A shift has left zeros in the halo of
    the first strip and of the last."""
    rows, top, height = types.shape_of(op.x)[2], op.above.value.data, op.height.value.data
    fill = op.fill.value.data & 255
    begin, count = part.rows

    def bytes_of(row: int) -> tuple[int, int]:
        """Masks of the bytes outside the image, and of those of them that may hold anything."""
        outside = loose = 0
        for k in range(STRIPS):
            at = k * rows + row - top
            if 0 <= at < height:
                continue
            mask = 255 << BYTE * k
            outside |= mask
            zero = (k == 0 and row < top) or (k == STRIPS - 1 and row >= top + rows)
            loose |= 0 if zero else mask
        return outside, loose

    at = begin
    while at < begin + count:
        outside, loose = bytes_of(at)
        stop = at + 1
        while stop < begin + count and bytes_of(stop) == (outside, loose):
            stop += 1
        run = _rows_of(b, result, at - begin, stop - at)
        if loose:
            b.arith("and", run, run, ~loose & 0xFFFFFFFF)
        if outside and fill:
            b.arith("or", run, run, outside & fill * 0x01010101)
        at = stop
