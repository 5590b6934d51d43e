"""Strips of an image of floats, made as far as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Layout, Ref, contiguous, i32
from dialects.quant import types
from dialects.quant.strips import STRIPS, QuantizeStripsOp
from passes.kernels.builder import TileBuilder
from passes.kernels.quantised.float_strips import FloatStrips
from passes.kernels.quantised.rows import Span


@dataclass(eq=False)
class FloatStripsAhead:
    """Strips of an image of floats that are quantised as far as they are read, from the top down.

    ``words``: those in DDR, [rows, C, W] row by row, so that rows under a kernel's taps are
    channels of one load. ``step``: rows that are quantised at a time; the floats of the next ones
    are loaded before those are stored.
    """

    strips: FloatStrips
    words: SSAValue
    step: int = 0
    made: int = 0
    floats: SSAValue | None = None

    @staticmethod
    def of(b: TileBuilder, op: QuantizeStripsOp, image: SSAValue) -> FloatStripsAhead:
        """What the op would make of an image."""
        _, c, h, w = types.shape_of(op.y)
        return FloatStripsAhead(FloatStrips(op, image), b.ddr(i32, (1, 1, 1, c * h * w), 4))

    @staticmethod
    def fits(op: QuantizeStripsOp, budget: int) -> bool:
        """Whether two rows of floats and one of words take at most so many bytes of a lane."""
        _, channels, _, width = types.shape_of(op.y)
        return 4 * (2 * STRIPS + 1) * channels * width <= budget

    @property
    def ref(self) -> Ref:
        """What the op would make."""
        return self.strips.ref

    def load(
        self, b: TileBuilder, dst: SSAValue, begin: Sequence[int], extent: Sequence[int]
    ) -> None:
        """Loads a box of all four strips to words in local memory."""
        (_, c0, y0, x0), (_, c, h, w) = begin, extent
        self._load(b, dst, (y0, c0, x0), (1, c, h, w), 1)

    def load_taps(
        self,
        b: TileBuilder,
        dst: SSAValue,
        corner: tuple[int, int],
        taps: int,
        step: int,
    ) -> None:
        """Loads [4, taps * C, h, w] from a row and column on: for each of so many taps, which are a
        row apart, every step-th row of all channels."""
        _, c, h, w = Ref.of(dst).shape
        assert c == taps * self.ref.shape[1]
        self._load(b, dst, (corner[0], 0, corner[1]), (1, c, h, w), step)

    def _load(
        self,
        b: TileBuilder,
        dst: SSAValue,
        corner: tuple[int, int, int],
        shape: tuple[int, int, int, int],
        step: int,
    ) -> None:
        """Lines of words from a row, channel and column on; a channel behind the last one is the
        first of the next row."""
        _, channels, _, width = self.ref.shape
        line = channels * width
        last = corner[0] + (shape[2] - 1) * step + (corner[1] + shape[1] - 1) // channels
        self._make(b, last + 1)
        far = Layout(4, 1, (0, width, step * line, 1))
        at = 4 * (corner[0] * line + corner[1] * width + corner[2])
        b.load(b.words(dst), b.view(self.words, Ref(i32, shape, far, DDR), at))
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
            self._store(b, words, rows[0])
            self._store_below(b, words, rows)

    def _store_below(self, b: TileBuilder, words: SSAValue, rows: Span) -> None:
        """The first rows of each strip as those below the one above it."""
        above, below = self._halos
        first, last = max(rows[0], above), min(sum(rows), above + below)
        if first < last:
            lane, (_, _, channels, width) = first - rows[0], Ref.of(words).shape
            shape = (1, last - first, channels, width)
            moved = b.local(i32, shape, lane=lane)
            b.arith("shift", moved, b.window(words, (0, lane, 0, 0), shape), -8)
            self._store(b, moved, first + self.strips.op.rows)

    def _store(self, b: TileBuilder, words: SSAValue, row: int) -> None:
        """Stores words [1, rows, C, W] from a row on."""
        shape = Ref.of(words).shape
        target = Ref(i32, shape, contiguous(shape, 4), DDR)
        b.store(b.view(self.words, target, 4 * row * shape[2] * shape[3]), words)
