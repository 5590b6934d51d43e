"""Strips of an image of floats, made as far as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Layout, Ref, contiguous, i32
from dialects.quant import types
from dialects.quant.strips import STRIPS, QuantizeStripsOp
from passes.kernels.builder import TileBuilder
from passes.kernels.input_strips.float_strips import FloatStrips
from passes.kernels.input_strips.rows import Span

FEW_CHANNELS = 8
"""Channels of an image that is quantised about as fast as it is loaded, a row a lane."""
PIECES = 5
"""Rows of words that a lane may hold at a time: those of about as many bands."""


@dataclass(eq=False)
class FloatStripsAhead:
    """Strips of an image of floats that are quantised as far as they are read, from the top down.

    ``step``: rows that are quantised at a time; the floats of the next ones are loaded before those
    are used. ``pieces``: what there is, a first row and words [1, rows, C, W] with the rows in the
    lanes. ``words``: those in DDR, [rows, C, W] row by row, so that rows under a kernel's taps are
    channels of one load; None while nobody asks for taps.
    """

    strips: FloatStrips
    pieces: list[tuple[int, SSAValue]] = field(default_factory=list[tuple[int, SSAValue]])
    words: SSAValue | None = None
    step: int = 0
    made: int = 0
    floats: SSAValue | None = None

    @staticmethod
    def pays(op: QuantizeStripsOp) -> bool:
        """Whether it costs less than to make all strips at once: of few channels, which are
        quantised faster than they are loaded, where two rows of floats and some of words fit."""
        _, channels, _, width = types.shape_of(op.y)
        space = 4 * (2 * STRIPS + PIECES) * channels * width
        return channels <= FEW_CHANNELS and space <= BM1684.lane_bytes // 4

    @property
    def ref(self) -> Ref:
        """What the op would make."""
        return self.strips.ref

    def load(
        self, b: TileBuilder, dst: SSAValue, begin: Sequence[int], extent: Sequence[int]
    ) -> None:
        """Makes a box of all four strips as words in local memory. Rows move from their lanes to
        those of the channels."""
        (_, c0, y0, x0), (_, channels, count, width) = begin, extent
        into = b.words(dst)
        self._make(b, y0 + count)
        for row, words in self.pieces:
            first, last = max(y0, row), min(y0 + count, row + Ref.of(words).shape[1])
            for c in range(channels) if first < last else ():
                box = (1, last - first, 1, width)
                source = b.window(words, (0, first - row, c0 + c, x0), box)
                b.copy(b.window(into, (0, c, first - y0, 0), (1, 1, last - first, width)), source)
        self._make(b, self.made + 1)

    def load_taps(
        self, b: TileBuilder, dst: SSAValue, corner: tuple[int, int], taps: int, step: int
    ) -> None:
        """Loads [4, taps * C, h, w] from a row and column on: for each of so many taps, which are a
        row apart, every step-th row of all channels."""
        _, channels, height, width = self.ref.shape
        _, c, h, w = Ref.of(dst).shape
        assert c == taps * channels
        if self.words is None:
            self.words = b.ddr(i32, (1, 1, 1, height * channels * width), 4)
        self._make(b, corner[0] + (h - 1) * step + taps)
        far = Layout(4, 1, (0, width, step * channels * width, 1))
        at = 4 * (corner[0] * channels * width + corner[1])
        b.load(b.words(dst), b.view(self.words, Ref(i32, (1, c, h, w), far, DDR), at))
        self._make(b, self.made + 1)

    @property
    def _halos(self) -> tuple[int, int]:
        """Rows above and below each strip."""
        return self.strips.op.above.value.data, self.strips.op.below.value.data

    def _next(self) -> Span:
        """The rows that are quantised next. Those below a strip are known from the one below it."""
        above, _ = self._halos
        return self.made, min(self.step, above + self.strips.op.rows - self.made)

    def _make(self, b: TileBuilder, end: int) -> None:
        """Quantises the rows up to ``end`` that are still missing."""
        channels = (0, self.ref.shape[1])
        if not self.step:
            self.step = -(-end // -(-end // BM1684.lanes))
            self.floats = self.strips.fetch(b, self._next(), channels)
        while self.made < end and self.floats is not None:
            rows, floats = self._next(), self.floats
            self.made += rows[1]
            self.floats = self.strips.fetch(b, self._next(), channels) if self._next()[1] else None
            words = self.strips.quantise(b, floats)
            self._keep(b, words, rows[0])
            self._keep_below(b, words, rows)

    def _keep_below(self, b: TileBuilder, words: SSAValue, rows: Span) -> None:
        """The first rows of each strip as those below the one above it."""
        above, below = self._halos
        first, last = max(rows[0], above), min(sum(rows), above + below)
        if first < last:
            lane, (_, _, channels, width) = first - rows[0], Ref.of(words).shape
            shape = (1, last - first, channels, width)
            moved = b.local(i32, shape, lane=lane)
            b.arith("shift", moved, b.window(words, (0, lane, 0, 0), shape), -8)
            self._keep(b, moved, first + self.strips.op.rows)

    def _keep(self, b: TileBuilder, words: SSAValue, row: int) -> None:
        """Words [1, rows, C, W] from a row on: in local memory, or in DDR."""
        if self.words is None:
            self.pieces.append((row, words))
            return
        shape = Ref.of(words).shape
        target = Ref(i32, shape, contiguous(shape, 4), DDR)
        b.store(b.view(self.words, target, 4 * row * shape[2] * shape[3]), words)
