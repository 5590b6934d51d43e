"""Sliding windows, tile by tile: loads with halo, one command, stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import gcd, lcm
from typing import Any

from numpy.typing import NDArray
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import LOAD_CYCLES, PEAK_BYTES
from dialects.bm1684.cycles.tiu import STEP_PIXELS, ceil_div
from dialects.bm1684.layout import Ref, align, aligned, is_rows, lane_rows
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.input_strips.ahead import FloatStripsAhead
from passes.kernels.input_strips.source import Source, StripImage, is_input, load_box, ref_of
from passes.kernels.tiling import (
    Axis,
    CannotLower,
    Problem,
    TileSize,
    TilingError,
    channel_ranges,
    choose_tile,
    fine_weights,
    ranges,
)

BANDS, STRIP_BANDS, STRIP_HALO = 8, 4, 1.12
"""Bands of a tile whose input comes from outside the network; of one in strips, whose bytes load
slowly, and how often rows may then be loaded, on average, for the halos of bands."""
FLOAT_ROWS = 8
"""Least rows of floats in a band: fewer are loaded faster than they are quantised, a row a lane."""
STEP_WORDS = BM1684.alignment // 4
COPY_CYCLES = 1
"""Of a step of pixels that is copied inside of local memory."""

Array = NDArray[Any]
Weights = tuple[SSAValue, SSAValue | None]
Pads = tuple[int, int, int, int]
Span = tuple[int, int]


@dataclass(frozen=True)
class Region:
    """A box of the output that one kernel size serves; ``origin``: its first output row and
    column.
    """

    origin: tuple[int, int]
    height: Axis
    width: Axis


@dataclass(frozen=True)
class TileStep:
    """What computes one tile: ``weights(begin, extent, lane)`` loads those of a chunk of channels
    that begins in a lane, ``compute(dst, src, weights, pads)`` emits the command. ``gather(images,
    rows, columns, later)`` makes the input under a box of outputs where that is not simply loaded;
    ``later`` are the rows of the boxes behind it. ``cycles``: about those of the command for a step
    of pixels; 0 where they are not worth much. ``rows``: those of a band; 0 where that is open.
    ``ahead``: whether the input of a tile is made before the tile before it is computed.
    ``least``: channels down to which the last part of them is cut, again and again; 0: not at
    all. ``held``: a tensor in DDR to which the command adds what it computes."""

    compute: Callable[[SSAValue, SSAValue, Weights | None, Pads], None]
    weights: Callable[[int, int, int], Weights] | None = None
    relu: bool = False
    gather: Callable[[Span, Span, Span, Sequence[Span]], SSAValue] | None = None
    cycles: float = 0
    rows: int = 0
    ahead: bool = True
    least: int = 0
    held: SSAValue | None = None


def tile_size(b: TileBuilder, p: Problem) -> TileSize:
    """The tile that fits the builder's budget, or else all of local memory."""
    try:
        return choose_tile(p, b.options.budget)
    except TilingError:
        return choose_tile(p, BM1684.lane_bytes)


def boxes(p: Problem, size: TileSize) -> Iterator[tuple[Span, Span, Span]]:
    """The tiles of one chunk of channels: (begin, extent) of images, output rows and columns."""
    for batch in ranges(p.batch, size.n):
        for rows in ranges(p.height.out, size.h):
            for columns in ranges(p.width.out, size.w):
                yield batch, rows, columns


def run_window(
    b: TileBuilder, p: Problem, region: Region, source: Source, dest: SSAValue, step: TileStep
) -> None:
    """Emits all tiles of one region: loads, computes, stores. ``source`` and ``dest`` lie in
    DDR.
    """
    size = tile_size(b, p)
    if b.options.whole:
        size = fine_weights(p, size)
        if is_rows(Ref.of(dest)) and len(list(boxes(p, size))) == 1:
            size = replace(size, c=min(size.c, BM1684.lanes))
        size = rows_in_place(p, size)
    band = _band(b, p, size, source, dest, step)
    loaded: dict[object, SSAValue] = {}

    def input_of(
        channels: Span, batch: Span, rows: Span, columns: Span, later: Sequence[Span]
    ) -> SSAValue:
        """The input under a box of outputs; the last one is kept."""
        key = channels, batch, rows, columns
        if key not in loaded:
            loaded.clear()
            if step.gather is None:
                loaded[key] = _load(b, p, source, batch, channels, rows, columns)
            else:
                loaded[key] = step.gather(batch, rows, columns, later)
        return loaded[key]

    for c0, cn in channel_ranges(p, size.c, step.least):
        lane = p.lane if c0 == 0 else 0
        parts = [(0, cn)] if band == size.h else list(_lane_rows(cn, lane))
        weights = [
            None if step.weights is None else step.weights(c0 + first, count, 0 if first else lane)
            for first, count in parts
        ]
        channels = (0, p.channels_in) if p.dense else (c0, cn)
        apart = b.options.whole and step.gather is None and _is_part(dest, cn)
        together = p.pack if apart else size.n
        for batch, (first_image, images), rows, columns in _pieces(p, size, together):
            shape = (images, cn, rows[1], columns[1])
            origin = region.origin[0] + rows[0], region.origin[1] + columns[0]
            begin = (batch[0] + first_image, c0, *origin)
            dst = b.local(Ref.of(dest).element, shape, 4, p.pack, lane)
            if step.held is not None:
                b.load(dst, b.window(step.held, begin, shape))
            spans = [(rows[0] + first, count) for first, count in ranges(rows[1], band)]
            inputs = (
                (span, input_of(channels, batch, span, columns, spans[i + 1 :]))
                for i, span in enumerate(spans)
            )
            for span, src in _one_ahead(inputs) if step.ahead else inputs:
                if images < batch[1]:
                    extent = (images, *Ref.of(src).shape[1:])
                    src = b.window(src, (first_image, 0, 0, 0), extent)
                for (first, count), loaded_weights in zip(parts, weights, strict=True):
                    part = b.window(dst, (0, first, 0, 0), (images, count, *shape[2:]))
                    here = span[0] - rows[0], span[1]
                    into = _place_of(b, part, here)
                    step.compute(into, src, loaded_weights, _pads(p, span, columns))
                    _finish(b, part, here, into, step.relu)
            b.store(b.window(dest, begin, shape), dst)


def _pieces(
    p: Problem, size: TileSize, together: int
) -> Iterator[tuple[Span, Span, Span, Span]]:
    """The tiles of one chunk of channels, so many images ``together``: (begin, extent) of the
    images whose input is loaded, of those that are computed out of these, of rows and columns."""
    for batch, rows, columns in boxes(p, size):
        for images in ranges(batch[1], together):
            yield batch, images, rows, columns


def rows_in_place(p: Problem, size: TileSize) -> TileSize:
    """The tile with somewhat fewer rows, where the next ones then lie where the engine takes a
    tensor: so all of them can stay in local memory, unless they take more than half of it."""
    step, rows = _rows_together(p, size), p.height.out
    cut = size.h < rows and size.w == p.width.out and lane_rows(size.c) == 1
    most = BM1684.lane_bytes // 2
    if not cut or size.h < step or 4 * lane_rows(p.channels_out) * rows * size.w > most:
        return size
    return replace(size, h=size.h // step * step)


def _is_part(dest: SSAValue, channels: int) -> bool:
    """Whether so many channels are a part of a tensor's: its images lie further apart than those of
    the part, which is a tensor of its own for one of them alone."""
    strides = Ref.of(dest).layout.strides
    return strides[0] > channels * strides[1]


def _band(
    b: TileBuilder, p: Problem, size: TileSize, source: Source, dest: SSAValue, step: TileStep
) -> int:
    """Output rows that are computed while the input of the next ones comes: all of a tile, but for
    what reads a network input. A tile whose result is there already comes whole."""
    if step.held is not None:
        return size.h
    if step.rows:
        return rows_at_most(p, size, step.rows)
    if not b.options.whole or not is_input(b, source):
        return size.h
    plain = isinstance(source, SSAValue)
    bands = _bands(b, source, dest) if plain else _strip_bands(p, size, source)
    steps = -(-size.h * size.w // STEP_PIXELS)  # a band of fewer pixels takes as long as one
    return band_rows(p, size, _worth(p, size, min(bands, steps), step.cycles), step.cycles)


def _lane_rows(channels: int, lane: int) -> Iterator[Span]:
    """(begin, extent) of the channels in each row of lanes."""
    first = min(channels, BM1684.lanes - lane)
    yield 0, first
    for begin, extent in ranges(channels - first, BM1684.lanes):
        yield first + begin, extent


def _one_ahead(items: Iterator[tuple[Span, SSAValue]]) -> Iterator[tuple[Span, SSAValue]]:
    """Every item after the next one has been made: the engine that makes it runs ahead."""
    held = next(items)
    for item in items:
        yield held
        held = item
    yield held


def band_rows(p: Problem, size: TileSize, bands: int, cycles: float = 0) -> int:
    """Output rows of a band, computed while the input of the next one is loaded.

    A band is a tensor of its own inside of the tile's, or one of each row of lanes: one group of
    images. It starts where the engine takes a tensor, or is computed elsewhere and copied: where
    there are twice as many bands then, and the copy, and a load for each, cost less than what the
    last of fewer bands takes longer, with so many ``cycles`` a step of pixels.
    """
    if (lane_rows(size.c) > 1 and not p.dense) or size.n > p.pack:
        return size.h
    least, step = -(-size.h // bands), _rows_together(p, size)
    placed, copied = (min(size.h, align(least, rows)) for rows in (step, p.multiple))
    few, many = (-(-size.h // rows) for rows in (placed, copied))
    steps = -(-size.h * size.w // STEP_PIXELS) * lane_rows(size.c)
    costs = COPY_CYCLES * steps + LOAD_CYCLES * (many - few)
    pays = many >= 2 * few and cycles * steps * (1 / few - 1 / many) > costs
    return copied if pays else placed


def _worth(p: Problem, size: TileSize, most: int, cycles: float) -> int:
    """So many bands, at most, as end first, with so many ``cycles`` a step of pixels: the last step
    of each band may be one of few pixels."""
    rows, columns = p.height.source(0, size.h)[1], p.width.source(0, size.w)[1]
    load = 4 * (p.channels_in if p.dense else size.c) * rows * columns / PEAK_BYTES

    def end(bands: int) -> float:
        each = band_rows(p, size, bands, cycles)
        full, rest = divmod(size.h, each)
        steps = full * ceil_div(each * size.w, STEP_PIXELS) + ceil_div(rest * size.w, STEP_PIXELS)
        work, count = cycles * steps * lane_rows(size.c), ceil_div(size.h, each)
        return max(load / count + work, load + work / count)

    return min(range(most, 0, -1), key=end) if cycles else most


def rows_at_most(p: Problem, size: TileSize, rows: int) -> int:
    """About so many output rows for a band: some more where the engine takes a tensor behind them;
    where those would be twice as many, bands are computed elsewhere and copied."""
    placed, copied = (align(rows, step) for step in (_rows_together(p, size), p.multiple))
    return min(size.h, placed if placed < 2 * rows else copied)


def _rows_together(p: Problem, size: TileSize) -> int:
    """Rows of a result behind which the engine takes a tensor."""
    return lcm(p.multiple, STEP_WORDS // gcd(size.w, STEP_WORDS))


def _bands(b: TileBuilder, source: SSAValue, dest: SSAValue) -> int:
    """Bands of a tile that reads the rows of an image, or some of them. A piece of an image beside
    which others lie has its share: they are computed right behind it."""
    ref = Ref.of(source)
    rows, plane = ref.shape[2], ref.layout.strides[1] // ref.layout.strides[2]
    return -(-BANDS * rows // plane) if b.is_beside_others(dest) and plane > rows else BANDS


def _strip_bands(p: Problem, size: TileSize, source: StripImage | FloatStripsAhead) -> int:
    """Bands of a tile that reads strips of plain bytes, or of floats."""
    most = STRIP_HALO * p.height.span(size.h)
    rows = source.ref.shape[2] * size.h // p.height.out
    least = FLOAT_ROWS if isinstance(source, FloatStripsAhead) else 1
    counts = range(min(STRIP_BANDS, rows // least), 1, -1)
    return next((n for n in counts if n * p.height.span(-(-size.h // n)) <= most), 1)


def _place_of(b: TileBuilder, tensor: SSAValue, rows: Span) -> SSAValue:
    """Where some rows (begin, extent) of a local tensor are computed: in their place, or, where the
    engine takes no tensor there, in a buffer of their own."""
    ref = Ref.of(tensor)
    n, c, _, w = ref.shape
    if rows[0] * w % STEP_WORDS == 0:
        return _rows_of(b, tensor, *rows)
    return b.local(ref.element, (n, c, rows[1], w), 4, ref.layout.pack, ref.place.lane)


def _finish(b: TileBuilder, tensor: SSAValue, rows: Span, made: SSAValue, relu: bool) -> None:
    """Rows of a local tensor out of what was computed; see :func:`_place_of`."""
    n, c, _, w = Ref.of(tensor).shape
    into, in_place = made, rows[0] * w % STEP_WORDS == 0
    if not in_place:
        into = b.window(tensor, (0, 0, rows[0], 0), (n, c, rows[1], w))
    if relu:
        b.arith("max", into, made, float_bits(0.0))
    elif not in_place:
        b.arith("copy", b.words(into), b.words(made))


def _rows_of(b: TileBuilder, tensor: SSAValue, first: int, count: int) -> SSAValue:
    """Rows of a local tensor, as a tensor of their own."""
    ref = Ref.of(tensor)
    n, c, _, w = ref.shape
    layout = aligned((n, c, count, w), ref.layout.unit, ref.layout.pack, ref.place.lane)
    part = ref.with_(shape=(n, c, count, w), layout=layout)
    return b.view(tensor, part, first * w * ref.layout.unit)


def _pads(p: Problem, rows: Span, columns: Span) -> Pads:
    """Padding that is left to the command: top, bottom, left, right."""
    if p.fill is not None:
        return (0, 0, 0, 0)
    _, _, up, down = p.height.source(*rows)
    _, _, left, right = p.width.source(*columns)
    return (up, down, left, right)


def _load(
    b: TileBuilder,
    p: Problem,
    source: Source,
    batch: Span,
    channels: Span,
    rows: Span,
    columns: Span,
) -> SSAValue:
    """Loads the input box under a box of outputs."""
    element = ref_of(source).element
    (n0, nn), (c0, cn) = batch, channels
    if p.fill is None:
        y0, yn, _, _ = p.height.source(*rows)
        x0, xn, _, _ = p.width.source(*columns)
        src = b.local(element, (nn, cn, yn, xn), 4, p.pack, p.lane_in)
        load_box(b, src, source, (n0, c0, y0, x0), (nn, cn, yn, xn))
        return src
    size = p.height.span(rows[1]), p.width.span(columns[1])
    y, x = (axis.first(span[0]) for axis, span in ((p.height, rows), (p.width, columns)))
    src = b.local(element, (nn, cn, *size), 4, p.pack, p.lane_in)
    b.fill(b.words(src), p.fill)
    y0, y1 = max(y, 0), min(y + size[0], p.height.size)
    x0, x1 = max(x, 0), min(x + size[1], p.width.size)
    if y0 < y1 and x0 < x1:
        extent = (nn, cn, y1 - y0, x1 - x0)
        inside = b.window(src, (0, 0, y0 - y, x0 - x), extent)
        load_box(b, inside, source, (n0, c0, y0, x0), extent)
    return src


def padded(p: Problem, fill: int) -> Problem:
    """The problem with padding written into local memory where a command could not express it: a
    pad above the field's limit, or a tile whose first window begins behind the input."""
    axes = (p.height, p.width)
    wide = max(pad for axis in axes for pad in (axis.pad, axis.pad_after)) > BM1684.limits.pad
    behind = any(axis.first(axis.out - 1) >= axis.size for axis in axes)
    return replace(p, fill=fill) if wide or behind else p


def check_fields(stride: tuple[int, ...], dilation: tuple[int, ...]) -> None:
    limits = BM1684.limits
    if max(stride) > limits.stride:
        raise CannotLower(f"a stride of {max(stride)} is above the chip's {limits.stride}")
    if max(dilation) > limits.dilation:
        raise CannotLower(f"a dilation of {max(dilation)} is above the chip's {limits.dilation}")


def whole(height: Axis, width: Axis) -> Region:
    return Region((0, 0), height, width)
