"""Tiles: they cover the output once, fit local memory, and read exactly what their windows need."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dialects.bm1684.chip import BM1684
from passes.kernels.tiling import (
    Axis,
    Problem,
    TileSize,
    TilingError,
    channel_ranges,
    choose_tile,
    ranges,
    tile_bytes,
)


@st.composite
def axes(draw: st.DrawFn, size: int = 40) -> Axis:
    """A window along one axis whose last output does not begin behind the input."""
    kernel, dilation = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    before, after = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    extent, stride = draw(st.integers(1, size)), draw(st.integers(1, 5))
    span = (kernel - 1) * dilation + 1
    assume(span <= extent + before + after)
    out = (extent + before + after - span) // stride + 1
    axis = Axis(extent, draw(st.integers(1, out)), kernel, stride, dilation, before)
    assume(axis.first(axis.out - 1) < axis.size)
    return axis


@given(st.integers(1, 500), st.integers(1, 500))
def test_ranges_cover_once(total: int, step: int) -> None:
    covered = [i for begin, extent in ranges(total, step) for i in range(begin, begin + extent)]
    assert covered == list(range(total))
    assert all(extent <= step for _, extent in ranges(total, step))


@given(st.integers(1, 3000), st.integers(1, 9), st.integers(0, 63), st.sampled_from([64, 128, 192]))
def test_the_last_channels_are_cut_again(total: int, rows: int, lane: int, least: int) -> None:
    """All channels once; parts begin where a row of lanes does, and end with a small one."""
    step = rows * 64
    p = Problem(1, 1, total, Axis(1, 1, 1), Axis(1, 1, 1), 1, True, lane=lane)
    parts = list(channel_ranges(p, step, least))
    assert [i for begin, extent in parts for i in range(begin, begin + extent)] == [*range(total)]
    assert all((begin + lane) % 64 == 0 for begin, _ in parts[1:])
    whole = list(channel_ranges(p, step))
    assert parts[: len(whole) - 1] == whole[:-1]
    assert parts[-1][1] <= max(least, 64)


@given(axes(), st.data())
def test_a_run_reads_the_inputs_under_its_windows(axis: Axis, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, axis.out - 1))
    outputs = data.draw(st.integers(1, axis.out - begin))
    first, extent, before, after = axis.source(begin, outputs)
    assert 0 <= first < first + extent <= axis.size
    assert before >= 0
    assert after >= 0
    for output in range(outputs):
        for tap in range(axis.kernel):
            local = output * axis.stride + tap * axis.dilation - before
            position = (begin + output) * axis.stride + tap * axis.dilation - axis.pad
            inside = 0 <= position < axis.size
            assert (0 <= local < extent) == inside
            assert first + local == position
            assert local < extent + after


@given(axes(), st.data())
def test_a_run_loads_what_lies_between_its_taps(axis: Axis, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, axis.out - 1))
    outputs = data.draw(st.integers(1, axis.out - begin))
    first, extent, _, _ = axis.source(begin, outputs)
    start = axis.first(begin)
    spanned = [i for i in range(start, start + axis.span(outputs)) if 0 <= i < axis.size]
    if outputs == axis.out and start <= 0:
        assert (first, extent) == (0, axis.size)
    elif spanned:
        assert (first, first + extent - 1) == (min(spanned), max(spanned))
    else:
        assert extent == 1


@given(axes())
def test_pad_after_is_what_the_last_window_reaches(axis: Axis) -> None:
    last = axis.first(axis.out - 1) + (axis.kernel - 1) * axis.dilation
    assert axis.pad_after == max(0, last - axis.size + 1)


PROBLEMS = st.builds(
    Problem,
    batch=st.integers(1, 20),
    channels_in=st.sampled_from([1, 3, 64, 65, 700, 4095]),
    channels_out=st.sampled_from([1, 3, 64, 65, 700, 4095]),
    height=axes(300),
    width=axes(300),
    pack=st.sampled_from([1, 4]),
    dense=st.booleans(),
    weight_row=st.sampled_from([0, 40, 4000, 70000]),
    fill=st.sampled_from([None, 0]),
    copies_out=st.sampled_from([1, 3]),
)
BUDGETS = st.sampled_from([BM1684.lane_bytes, BM1684.lane_bytes // 2, 40000, 3000])


def smallest(p: Problem) -> TileSize:
    return TileSize(1, min(p.channels_out, BM1684.lanes), 1, 1)


@given(PROBLEMS, BUDGETS)
def test_a_tile_fits_or_none_would(p: Problem, budget: int) -> None:
    try:
        tile = choose_tile(p, budget)
    except TilingError:
        assert tile_bytes(p, smallest(p)) > budget
        return
    assert tile_bytes(p, tile) <= budget
    assert tile.n % p.pack == 0 or tile.n == p.batch
    assert tile.c % BM1684.lanes == 0 or tile.c == p.channels_out
    assert 1 <= tile.h <= p.height.out
    assert 1 <= tile.w <= p.width.out


@given(PROBLEMS, BUDGETS)
@settings(max_examples=30)
def test_tiles_cover_every_output_once(p: Problem, budget: int) -> None:
    assume(tile_bytes(p, smallest(p)) <= budget)
    tile = choose_tile(p, budget)
    extents = (p.batch, p.channels_out, p.height.out, p.width.out)
    for total, step in zip(extents, (tile.n, tile.c, tile.h, tile.w), strict=True):
        counts = Counter(i for begin, n in ranges(total, step) for i in range(begin, begin + n))
        assert counts == Counter(range(total))


def test_what_fits_is_not_cut() -> None:
    axis = Axis(56, 56, 3, pad=1)
    tile = choose_tile(Problem(4, 64, 64, axis, axis, 4, True, 300), BM1684.lane_bytes)
    assert tile == TileSize(4, 64, 56, 56)


def test_a_tile_has_at_least_one_pixel() -> None:
    axis = Axis(4, 4, 3, pad=1)
    with pytest.raises(TilingError, match=r"one output pixel needs \d+ bytes"):
        choose_tile(Problem(1, 4095, 1, axis, axis, 1, True), 1000)
