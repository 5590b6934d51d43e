"""Transfers at the end of local memory: the parts move what the whole would, and stay inside."""

from __future__ import annotations

from itertools import product

import pytest

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Layout, Place, Ref, Space, aligned, contiguous, i32
from passes.commands.transfer import Side, in_lines, side_parts

Shape = tuple[int, int, int, int]
LANE = BM1684.lane_bytes


def local(shape: Shape, lane: int, before: int, layout: Layout | None = None) -> Side:
    """A tensor whose last byte is so many before the end of local memory."""
    ref = Ref(i32, shape, layout or aligned(shape, 4, lane=lane), Place(Space.LMEM, lane))
    side = Side(ref, 0)
    last = max(byte for _, byte in places(side)) + 4
    return Side(ref, LANE - last - before)


def system(shape: Shape) -> Side:
    return Side(Ref(i32, shape, contiguous(shape, 4), DDR), 1 << 20)


def places(side: Side) -> list[tuple[int, int]]:
    """(lane, byte) of every element, in order."""
    found: list[tuple[int, int]] = []
    strides, unit = side.ref.layout.strides, side.ref.layout.unit
    for n, c, h, w in product(*map(range, side.ref.shape)):
        row, lane = divmod(side.ref.place.lane + c, BM1684.lanes) if side.is_local else (c, 0)
        steps = (n, row, h, w)
        offset = sum(step * stride for step, stride in zip(steps, strides, strict=True))
        found.append((lane, side.start + offset * unit))
    return found


CASES: list[tuple[Shape, int, int, Layout | None]] = [
    ((2, 3, 4, 5), 0, 0, Layout(4, 1, (64, 64, 5, 1))),
    ((3, 70, 2, 3), 0, 4, Layout(4, 1, (64, 32, 3, 1))),
    ((1, 130, 2, 3), 7, 0, Layout(4, 1, (999, 32, 3, 1))),
    ((2, 64, 1, 1), 63, 8, Layout(4, 1, (90, 40, 1, 1))),
]


@pytest.mark.parametrize(("shape", "lane", "before", "layout"), CASES)
@pytest.mark.parametrize("other", ["ddr", "local"])
def test_parts(shape: Shape, lane: int, before: int, layout: Layout | None, other: str) -> None:
    end = local(shape, lane, before, layout)
    assert end.passes_the_end()
    far = system(shape) if other == "ddr" else local(shape, 40, 2000)
    parts = list(side_parts([end, far]))
    assert len(parts) > 1
    moved = sorted(pair for a, b in parts for pair in zip(places(a), places(b), strict=True))
    assert moved == sorted(zip(places(end), places(far), strict=True))
    for part in parts:
        for side in part:
            fields = side.fields("dst")
            steps = max(
                fields["dst_nsize"] * fields["dst_nstride"], side.rows * fields["dst_cstride"]
            )
            assert not side.is_local or side.start + 4 * steps <= LANE


def test_what_stays_whole() -> None:
    shape = (2, 70, 3, 4)
    sides = [local(shape, 0, 80), system(shape)]  # the last row of 12 words takes 32
    assert not sides[0].passes_the_end()
    assert list(side_parts(sides)) == [sides]
    alone = local((1, 3, 4, 5), 0, 0, Layout(4, 1, (64, 64, 5, 1)))
    fields = alone.fields("src")
    assert alone.start + 4 * max(fields["src_nstride"], fields["src_cstride"]) <= LANE


@pytest.mark.parametrize(
    ("strides", "lines"),
    [((48, 12, 3, 1), 4), ((192, 48, 12, 4), 1), ((192, 60, 15, 4), 4)],
)
def test_rows_with_gaps_between_numbers_are_one_line(strides: Shape, lines: int) -> None:
    """Without gaps rows move as they are; rows that lie apart stay rows."""
    shape = 2, 3, 4, 3
    far = Side(Ref(i32, shape, Layout(4, 1, strides), DDR), 0)
    sides = [far, system(shape)]
    made = in_lines(sides)
    assert [side.ref.shape[2] for side in made] == [lines, lines]
    for before, after in zip(sides, made, strict=True):
        assert places(after) == places(before)
