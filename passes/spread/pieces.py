"""Pieces of an image: neighbouring runs of its rows, of which some overlap.

All pieces have the same number of rows. A layer computes all of them at once, each as an image of
its own, with the padding of the whole above and below. So the rows next to where an image was cut
are wrong, and more of them behind each window; the overlap makes up for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from dialects.bm1684.chip import BM1684
from dialects.quant.windows import RowWindow

Span = tuple[int, int]
"""First row, and the first one behind."""


@dataclass(frozen=True)
class Pieces:
    """Piece i has ``rows`` rows, from row ``i * shift`` of the image on. Its rows ``good[i]``,
    counted in the image, are those that the whole image has there."""

    shift: int
    rows: int
    good: tuple[Span, ...]

    @staticmethod
    def of(height: int, count: int, shift: int) -> Pieces:
        """Pieces of an image of so many rows, which overlap where ``shift`` asks for it."""
        rows = height - (count - 1) * shift
        return Pieces(shift, rows, tuple((i * shift, i * shift + rows) for i in range(count)))

    @property
    def count(self) -> int:
        return len(self.good)

    def through(self, window: RowWindow) -> Pieces | None:
        """What a layer makes of them; None where pieces do not begin at a step of the window, or
        nothing right is left."""
        if self.shift % window.stride:
            return None
        shift = self.shift // window.stride
        rows, good = window.out - (self.count - 1) * shift, list[Span]()
        for i, (first, end) in enumerate(self.good):
            low = 0 if i == 0 else -(-(first + window.pad) // window.stride)
            high = (end + window.pad - window.extent) // window.stride + 1
            good.append((low, window.out if i == self.count - 1 else high))
        meet = all(a < b for a, b in good) and all(b[1] >= a[0] for b, a in pairwise(good))
        return Pieces(shift, rows, tuple(good)) if meet and rows > 0 else None

    def merged(self, other: Pieces) -> Pieces | None:
        """What a layer makes of two tensors, of the same rows each."""
        if (self.shift, self.rows) != (other.shift, other.rows):
            return None
        pairs = zip(self.good, other.good, strict=True)
        good = tuple((max(a[0], b[0]), min(a[1], b[1])) for a, b in pairs)
        return Pieces(self.shift, self.rows, good)

    def cuts(self, window: RowWindow, step: int, out_step: int) -> tuple[int, ...] | None:
        """The first rows of the parts of a result that a layer computes piece by piece, and the
        end. Each part begins at a multiple of ``out_step``, and what it reads at one of ``step`` in
        the piece."""
        found = [0]
        for i in range(1, self.count):
            row = next(
                (
                    row
                    for row in range(out_step * (found[-1] // out_step + 1), window.out, out_step)
                    if self._can_begin(window, step, i, row)
                ),
                None,
            )
            if row is None:
                return None
            found.append(row)
        return (*found, window.out)

    def shares(self, height: int) -> tuple[int, ...] | None:
        """The first rows of equal parts of an image of so many rows, one in each piece, and the
        end; None where there are none."""
        each, rest = divmod(height, self.count)
        edges = tuple(i * each for i in range(self.count + 1))
        inside = all(
            low <= begin and begin + each <= high
            for begin, (low, high) in zip(edges, self.good, strict=False)
        )
        return edges if inside and not rest and each >= self.shift else None

    def _can_begin(self, window: RowWindow, step: int, piece: int, row: int) -> bool:
        """Whether a piece has all that the result needs from a row on, and the one before it all
        that is above."""
        begin = row * window.stride - window.pad
        above = begin - window.stride + window.extent
        here, before = self.good[piece], self.good[piece - 1]
        at = begin - piece * self.shift
        return at >= 0 and at % step == 0 and begin >= here[0] and above <= before[1]


def rows_together(width: int) -> int:
    """Rows of so many words after which the engine can begin in local memory."""
    step = 1
    while width * 4 * step % BM1684.alignment:
        step *= 2
    return step
