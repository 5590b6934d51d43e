"""Tiling of sliding-window layers: pure arithmetic, no IR.

A tile is a box of the output (n, c, h, w); its input box follows from the window. The search takes
the tiling that moves the fewest bytes, every transfer charged with a fixed start-up cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import align, lane_rows

TRANSFER_COST = 8192
"""Bytes that DDR could have moved while one transfer starts (about 140 cycles)."""

WEIGHT_PIECE = BM1684.lane_bytes // 32
"""Bytes of each lane above which weights are cut, so that a piece's load can begin as soon as so
much memory is free."""


class CannotLower(ValueError):
    """A layer that the commands cannot express, in one sentence."""


class TilingError(CannotLower):
    """No tile fits local memory or the command's fields."""


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a window: input extent, output extent, kernel, stride, dilation, and the
    pad before the first input element."""

    size: int
    out: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0

    def span(self, outputs: int) -> int:
        """Input elements under a run of outputs, padding included."""
        return (outputs - 1) * self.stride + (self.kernel - 1) * self.dilation + 1

    def first(self, begin: int) -> int:
        """The input position where the window of an output begins; negative inside the padding."""
        return begin * self.stride - self.pad

    @property
    def pad_after(self) -> int:
        """Padding behind the last input element, as far as a window reaches it."""
        return max(0, self.span(self.out) - self.pad - self.size)

    def source(self, begin: int, outputs: int) -> tuple[int, int, int, int]:
        """(input begin, input extent, pad before, pad after) of a run of outputs (halo included).

        A run of all outputs takes all of the input, also what a stride leaves over at the end, so
        that a tensor that lies in local memory fits. A run that lies in the padding before the
        input gets one input element behind it; one whose first window begins behind the input has
        no such box.
        """
        start = begin * self.stride - self.pad
        stop = start + self.span(outputs)
        if outputs == self.out and start <= 0:
            return 0, self.size, -start, max(0, stop - self.size)
        first = min(max(start, 0), self.size - 1)
        last = max(min(stop, self.size), first + 1)
        return first, last - first, max(0, -start), max(0, stop - self.size)


@dataclass(frozen=True)
class Problem:
    """What the tiler must know of a layer. Byte counts are per lane.

    ``dense``: every output channel reads all ``channels_in``; otherwise channel o reads channel o
    alone. ``pack`` images share a word. ``weight_row``: bytes of weights and bias of a row of 64
    output channels. ``fill``: the word that stands for padding in local memory, None where the
    command pads. ``copies_out``: tiles of output size that are alive at a time. ``scratch``: more
    bytes for every group of images. ``multiple``: of which a tile's rows and columns must be one,
    unless it has all. ``lane``: where the result begins, ``lane_in`` where the input does.
    """

    batch: int
    channels_in: int
    channels_out: int
    height: Axis
    width: Axis
    pack: int
    dense: bool
    weight_row: int = 0
    fill: int | None = None
    copies_out: int = 1
    scratch: int = 0
    multiple: int = 1
    lane: int = 0
    lane_in: int = 0


@dataclass(frozen=True)
class TileSize:
    """Extent of a tile of the output."""

    n: int
    c: int
    h: int
    w: int


def tile_bytes(p: Problem, t: TileSize) -> int:
    """Bytes per lane of one tile's buffers."""
    groups = -(-t.n // p.pack)
    channels = p.channels_in if p.dense else t.c
    rows_h, rows_w = p.height.span(t.h), p.width.span(t.w)
    if p.fill is None:
        rows_h = p.height.size if t.h == p.height.out else min(rows_h, p.height.size)
        rows_w = p.width.size if t.w == p.width.out else min(rows_w, p.width.size)
    source = groups * lane_rows(channels, p.lane_in) * align(rows_h * rows_w * 4, BM1684.alignment)
    result = groups * lane_rows(t.c, p.lane) * align(t.h * t.w * 4, BM1684.alignment)
    weights = align(lane_rows(t.c, p.lane) * p.weight_row, BM1684.alignment)
    return source + p.copies_out * result + weights + groups * p.scratch


def _steps(total: int, step: int, limit: int) -> list[int]:
    """Extents worth trying: the whole, then about halves, in multiples of ``step``."""
    found: list[int] = []
    value = min(total, limit)
    while value > step:
        found.append(value)
        value = max(step, (value + 1) // 2 // step * step)
    return [*found, min(total, step)]


def _cost(p: Problem, t: TileSize) -> int:
    """Bytes that a tiling moves, start-up cost included."""
    ns, cs = -(-p.batch // t.n), -(-p.channels_out // t.c)
    hs, ws = -(-p.height.out // t.h), -(-p.width.out // t.w)
    groups = -(-t.n // p.pack)
    rows_h = min(p.height.span(t.h), p.height.size)
    rows_w = min(p.width.span(t.w), p.width.size)
    channels = p.channels_in if p.dense else t.c
    loads = ns * hs * ws * (1 if p.dense and ns * hs * ws == 1 else cs)
    return loads * (groups * channels * rows_h * rows_w * 4 + TRANSFER_COST) + (
        ns * cs * hs * ws * TRANSFER_COST
    )


def _fit(p: Problem, t: TileSize, budget: int) -> TileSize | None:
    """The tile with h (then w) cut until it fits, or None."""
    for h in _extents(p.height.out, p.multiple):
        if tile_bytes(p, replace(t, h=h)) <= budget:
            return replace(t, h=h)
    h = min(p.multiple, p.height.out)
    for w in _extents(p.width.out, p.multiple):
        if tile_bytes(p, replace(t, h=h, w=w)) <= budget:
            return replace(t, h=h, w=w)
    return None


def _extents(total: int, multiple: int) -> Iterator[int]:
    """Extents of even parts: total, ceil(total/2), ceil(total/3), ... down to 1, in multiples."""
    yield total
    steps = -(-total // multiple)
    parts = 2
    while steps > 1:
        extent = -(-steps // parts)
        yield extent * multiple
        if extent == 1:
            return
        parts = max(parts + 1, -(-steps // (extent - 1)))


def choose_tile(p: Problem, budget: int) -> TileSize:
    """The cheapest tile that fits ``budget`` bytes per lane. Raises TilingError when none does."""
    limits = BM1684.limits
    batches = _steps(p.batch, p.pack, limits.batch // p.pack * p.pack)
    best: tuple[int, TileSize] | None = None
    for c in _steps(p.channels_out, BM1684.lanes, limits.channels // BM1684.lanes * BM1684.lanes):
        for n in batches:
            whole = TileSize(min(n, p.batch), c, p.height.out, min(p.width.out, limits.width))
            found = _fit(p, whole, budget)
            if found is not None and (best is None or _cost(p, found) < best[0]):
                best = (_cost(p, found), found)
    if best is None:
        smallest = TileSize(1, min(p.channels_out, BM1684.lanes), 1, 1)
        need = tile_bytes(p, smallest)
        raise TilingError(
            f"one output pixel needs {need} bytes of each lane's local memory, {budget} are there"
        )
    return best[1]


def fine_weights(p: Problem, t: TileSize) -> TileSize:
    """The tile with fewer output channels where its weights are large. Only a tile of all pixels is
    cut, whose input stays for the other channels; its rows of 64 channels cost the same apart."""
    if (t.n, t.h, t.w) != (p.batch, p.height.out, p.width.out):
        return t
    rows, most = lane_rows(t.c), max(1, WEIGHT_PIECE // max(p.weight_row, 1))
    parts = -(-rows // most)
    return replace(t, c=min(t.c, -(-rows // parts) * BM1684.lanes))


def channel_ranges(p: Problem, step: int, least: int = 0) -> Iterator[tuple[int, int]]:
    """(begin, extent) of the parts of the output's channels; all but the first begin in lane 0.

    With ``least`` channels the last part is cut in two, the rest again, down to so many.
    """
    first = p.channels_out if p.channels_out <= step else step - p.lane
    parts = [(0, first)]
    parts += [(first + begin, extent) for begin, extent in ranges(p.channels_out - first, step)]
    begin, extent = parts.pop()
    lane = p.lane if begin == 0 else 0
    while least and extent > least:
        half = align(-(-extent // 2) + lane, BM1684.lanes) - lane
        half -= BM1684.lanes * (half >= extent)
        if half <= 0:
            break
        parts.append((begin, half))
        begin, extent, lane = begin + half, extent - half, 0
    yield from (*parts, (begin, extent))


def ranges(total: int, step: int) -> Iterator[tuple[int, int]]:
    """(begin, extent) of the parts of a dimension."""
    for begin in range(0, total, step):
        yield begin, min(step, total - begin)
