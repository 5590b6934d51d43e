"""Places of all buffers: those that are alive together lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.ir import Block

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import (
    LMEM,
    Space,
)
from passes.memory import allocation
from passes.memory.allocation import Trial, allocate, place_ahead, place_longest_first
from passes.memory.arenas import (
    Arena,
    OutOfMemory,
    OverlapArena,  # pyright: ignore[reportPrivateUsage]
)
from passes.memory.lifetimes import Lifetime, lifetimes
from tests.passes.memory.spans import ARENAS, ENDS, buffer, copy, span_of


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20), ARENAS)
def test_buffers_that_live_together_do_not_share(
    uses: Sequence[tuple[int, int]], kind: type[Arena]
) -> None:
    block = Block()
    buffers = [buffer(block, LMEM, 100 * (i + 1)) for i in range(10)]
    for a, b in uses:
        copy(block, buffers[a], buffers[b])
    spans = lifetimes(block, [Space.LMEM])
    placed = {op: at for op, at in allocate(spans, kind(0, 1 << 14, 128))}
    for one in spans:
        for other in spans:
            together = one.first <= other.last and other.first <= one.last
            if one.buffer is other.buffer or not together:
                continue
            a, b = placed[one.buffer], placed[other.buffer]
            sizes = [s.buffer.bytes.value.data for s in (one, other)]
            assert a + sizes[0] <= b or b + sizes[1] <= a


LIVES = st.lists(
    st.tuples(st.integers(0, 900), st.integers(0, 30), st.integers(0, 12), st.sampled_from(ENDS)),
    min_size=1,
    max_size=40,
)


@given(LIVES, st.booleans(), st.booleans(), st.booleans())
def test_buffers_that_are_alive_together_lie_apart(
    lives: Sequence[tuple[int, int, int, int]], apart: bool, down: bool, by_size: bool
) -> None:
    spans = [
        replace(span_of(size), first=at, last=at + length, end_by=end)
        for size, at, length, end in lives
    ]
    arena = Arena(256, 256 + 4096, 128)
    try:
        places = place_longest_first(spans, arena, apart, down, by_size)
    except OutOfMemory:
        early = 4096 - (min(ENDS) - 256)
        assert sum(arena.size_of(span) for span in spans) > 4096 - early
        return
    assert len(places) == len(spans)
    for span, at in places.items():
        assert at % 128 == 0
        assert 256 <= at <= at + arena.size_of(span) <= min(256 + 4096, span.end_by)
        for other, there in places.items():
            together = span.first <= other.last and other.first <= span.last
            apart = at + arena.size_of(span) <= there or there + arena.size_of(other) <= at
            assert other is span or apart or not together


def test_the_order_of_use_may_leave_gaps_that_age_does_not() -> None:
    """Two buffers live on around a third one that ends; a large one comes after it."""
    spans = [
        replace(span_of(1024), first=0, last=9),
        replace(span_of(1024), first=1, last=2),
        replace(span_of(1024), first=2, last=9),
        replace(span_of(2048), first=5, last=6),
    ]
    with pytest.raises(OutOfMemory):
        list(allocate(spans, Arena(0, 4096, 128)))
    assert len(place_longest_first(spans, Arena(0, 4096, 128))) == 4


def test_the_largest_first_fit_where_the_longest_do_not() -> None:
    lives = [(1024, 0, 4), (2048, 1, 2), (1024, 4, 4), (1024, 4, 8), (2560, 5, 9)]
    spans = [replace(span_of(size), first=first, last=last) for size, first, last in lives]
    arena = Arena(0, 4096, 128)
    with pytest.raises(OutOfMemory):
        list(allocate(spans, Arena(0, 4096, 128)))
    with pytest.raises(OutOfMemory):
        place_longest_first(spans, arena)
    assert len(place_longest_first(spans, arena, by_size=True)) == 5


def first_too_large(spans: Sequence[Lifetime], limit: int) -> Lifetime | None:
    placed = 0
    try:
        for _ in allocate(spans, OverlapArena(0, limit, 128)):
            placed += 1
    except OutOfMemory:
        return spans[placed]
    return None


MANY = st.lists(
    st.tuples(st.integers(0, 900), st.integers(0, 30), st.integers(0, 12)), min_size=1, max_size=90
)


@given(MANY, MANY, st.integers(0, 90))
@settings(max_examples=60)
def test_a_trial_goes_on_where_nothing_changed(
    lives: Sequence[tuple[int, int, int]], others: Sequence[tuple[int, int, int]], same: int
) -> None:
    def spans_of(given: Sequence[tuple[int, int, int]]) -> list[Lifetime]:
        found = [replace(span_of(size), first=at, last=at + length) for size, at, length in given]
        return sorted(found, key=lambda span: span.first)

    trial, spans = Trial(8192), spans_of(lives)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allocation, "SAVED_EVERY", 3)
        assert trial.overflow(spans) == first_too_large(spans, 8192)
        kept = spans[:same]
        begin = kept[-1].first if kept else 0
        later = [replace(s, first=s.first + begin, last=s.last + begin) for s in spans_of(others)]
        again = kept + later
        assert trial.overflow(again, len(kept)) == first_too_large(again, 8192)


@pytest.mark.parametrize(("down", "expected"), [(False, [0, 2048]), (True, [2048, 0])])
def test_the_longest_first_end_where_they_must(down: bool, expected: list[int]) -> None:
    spans = [
        replace(span_of(2048), last=9, end_by=4096),
        replace(span_of(1024), last=8, end_by=3072),
    ]
    arena = Arena(0, 4096, 128)
    places = place_longest_first(spans, arena, down=down)
    assert places[spans[0]] == expected[0]
    assert places[spans[1]] + 1024 <= 3072
    with pytest.raises(OutOfMemory):
        place_longest_first([*spans, replace(span_of(1024), end_by=3072)], arena)


def test_a_trial_forgets_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "SAVED_EVERY", 1)
    spans = [replace(span_of(4096), first=i, last=9) for i in range(3)]
    trial = Trial(8192)
    assert trial.overflow(spans) == spans[2]
    assert trial.overflow([spans[0], replace(span_of(128), first=1, last=1), spans[2]], 1) is None


KIB = 1024


def test_what_lies_in_the_way_lies_low_the_next_time() -> None:
    """The second buffer, behind the first one, leaves two gaps of 192 KiB for one of 256."""
    spans = [
        replace(span_of(size * KIB, last, loaded=loaded), first=first)
        for first, last, size, loaded in
        [(0, 1, 192, True), (2, 3, 128, True), (2, 6, 256, False), (8, 12, 192, True)]
    ]  # fmt: skip
    with pytest.raises(OutOfMemory):
        list(allocate(spans, OverlapArena(0, BM1684.lane_bytes, BM1684.alignment)))
    places = place_ahead(spans)
    assert [places[span.buffer] // KIB for span in spans[:2]] == [0, 0]
    (one, other) = sorted((places[s.buffer], s.buffer.bytes.value.data) for s in spans[1:3])
    assert one[0] + one[1] <= other[0]


def test_more_than_there_is_finds_no_place() -> None:
    with pytest.raises(OutOfMemory):
        place_ahead([span_of(size * KIB) for size in (300, 300)])
