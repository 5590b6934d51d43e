"""How the plain bytes of an image become the folded input of a convolution, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import LOAD_CYCLES, LOCAL_BURST, PEAK_BYTES
from dialects.bm1684.cycles.tiu import STEP_PIXELS, ceil_div
from dialects.quant.strips import STRIPS
from passes.kernels.convolution.fold import Fold
from passes.kernels.input_strips.transposed import CYCLES, PIXELS

SPACE = BM1684.lane_bytes // 4
"""Bytes of each lane for what is made of an image, of two groups of bands."""
BANDS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
BUFFERS = 3.5
"""Rows of words in a lane for a row of an image: pixels, a spare half, strips, picked columns."""
MOVE_CYCLES = 3


@dataclass(frozen=True)
class Packing:
    """Bands of ``rows`` output rows.

    Where only rows under taps become channels, each is loaded to its lanes, and ``group`` bands lie
    side by side: their words are made at once. Where columns do, too, a band's rows lie in the
    lanes, and are moved to those of the channels.
    """

    fold: Fold
    rows: int
    group: int = 1

    @staticmethod
    def of(fold: Fold) -> Packing:
        """The one that costs least. Half of the bands are in a group at most, so that the others
        are loaded meanwhile."""
        out, width = fold.height.folded.out, fold.width.folded.out
        most = min(out, ceil_div(out * width, STEP_PIXELS))  # each takes a step at least

        def sized(bands: int) -> Packing:
            one = Packing(fold, ceil_div(out, bands))
            there = BM1684.lanes // fold.folded_channels
            return one if one.moves else replace(one, group=max(1, min(ceil_div(bands, 2), there)))

        found = [sized(bands) for bands in (*BANDS, most) if bands <= most]
        return min([each for each in found if each.fits] or found[-1:], key=lambda each: each.price)

    @property
    def moves(self) -> bool:
        """Whether columns become channels, or only every n-th is read."""
        return max(self.fold.width.taps, self.fold.width.step) > 1

    @property
    def source_rows(self) -> int:
        """Rows of a strip that a band needs."""
        height = self.fold.height
        return (height.folded.span(self.rows) - 1) * height.step + height.taps

    @property
    def fits(self) -> bool:
        """Whether there are lanes and space for it."""
        return self.space <= SPACE and not (self.moves and self.source_rows > BM1684.lanes)

    @property
    def space(self) -> int:
        """Bytes of each lane that two groups take."""
        rows, size = self.fold.height.folded.span(self.rows), self.fold.width.axis.size
        if self.moves:
            moved = rows * self.fold.width.folded.size
            return int(8 * (BUFFERS * self.fold.channels * size + moved))
        return int(8 * BUFFERS * rows * size)

    @property
    def cycles(self) -> tuple[float, float]:
        """Of the tensor unit, which makes words of strips out of those of pixels, and of the DMA
        engine, which loads and moves them."""
        fold, rows = self.fold, self.fold.height.folded.span(self.rows)
        bands = ceil_div(fold.height.folded.out, self.rows)
        size, width = fold.width.axis.size, fold.width.folded.size
        line = STRIPS * fold.channels * size / PEAK_BYTES
        if self.moves:
            made = fold.channels * (CYCLES * size / PIXELS + size) / STEP_PIXELS
            loaded = fold.height.step * LOAD_CYCLES + self.source_rows * line
            moved = MOVE_CYCLES + 4 * rows * width / float(LOCAL_BURST)
            return bands * made, bands * (loaded + fold.folded_channels * moved)
        made = rows * (CYCLES * size / PIXELS + width) / STEP_PIXELS
        loaded = fold.height.taps * (LOAD_CYCLES + rows * line)
        return ceil_div(bands, self.group) * made, bands * loaded

    @property
    def price(self) -> float:
        """Cycles of both engines, and those before the first group is there."""
        bands = ceil_div(self.fold.height.folded.out, self.rows)
        return sum(self.cycles) + self.cycles[1] * self.group / bands
