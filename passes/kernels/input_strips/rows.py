"""Which strips of an image have a row of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dialects.quant.strips import STRIPS

Span = tuple[int, int]


def strips_with(row: int, rows: int, above: int, height: int) -> Span:
    """The strips, of so many rows, that have a row of the image there: (first, last + 1). Row 0 is
    the first one of the halo above."""
    inside = [k for k in range(STRIPS) if 0 <= k * rows + row - above < height]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)


def runs(found: Sequence[Span]) -> Iterator[tuple[range, Span]]:
    """Neighbouring rows that the image has in the same strips: (first, last + 1) of these."""
    start = 0
    for row in range(1, len(found) + 1):
        if row == len(found) or found[row] != found[start]:
            yield range(start, row), found[start]
            start = row
