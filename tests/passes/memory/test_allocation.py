"""The arena: ranges never overlap, are aligned, and are free again after their release."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import f32
from xdsl.ir import Block, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import (
    DDR,
    L2,
    LMEM,
    Place,
    Ref,
    Space,
    aligned,
    contiguous,
    i32,
    si8,
)
from dialects.quant.base import int_attr
from passes.memory import allocation
from passes.memory.allocation import (
    Arena,
    Lifetime,
    OutOfMemory,
    OverlapArena,
    Trial,
    _Freed,  # pyright: ignore[reportPrivateUsage]
    _merged,  # pyright: ignore[reportPrivateUsage]
    _places,  # pyright: ignore[reportPrivateUsage]
    allocate,
    lifetimes,
    place_ahead,
    place_longest_first,
)

Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["load", "compute", "release"]), st.integers(0, 900)), max_size=60
)
ARENAS = st.sampled_from([Arena, OverlapArena])


def span_of(size: int, last: int = 0, *, loaded: bool = False, stored: bool = False) -> Lifetime:
    """A buffer of so many bytes."""
    op = buffer(Block(), LMEM, size).owner
    assert isinstance(op, tile.AllocOp)
    return Lifetime(op, 0, last, loaded, stored)


ENDS = [256 + 3072, sys.maxsize]


@given(STEPS, ARENAS, st.sampled_from(ENDS))
def test_ranges_never_overlap(steps: Sequence[Step], kind: type[Arena], early: int) -> None:
    arena = kind(256, 256 + 4096, 128)
    live: dict[int, Lifetime] = {}
    for position, (what, number) in enumerate(steps):
        if what == "release":
            if live:
                at = sorted(live)[number % len(live)]
                arena.release(at, live.pop(at))
            continue
        span = span_of(number, position, loaded=what == "load", stored=number % 3 == 0)
        span = replace(span, end_by=early if number % 5 == 0 else sys.maxsize)
        stop = min(256 + 4096, span.end_by)
        taken = {at: end_of(at, one) for at, one in live.items()}
        try:
            at = arena.take(span)
        except OutOfMemory:
            assert not any(gap >= max(number, 1) for gap in gaps(taken, stop))
            continue
        assert at % 128 == 0
        assert 256 <= at
        assert at + max(number, 1) <= stop
        assert all(at + number <= begin or end <= at for begin, end in taken.items())
        live[at] = span
        assert arena.top >= at + number


def end_of(at: int, span: Lifetime) -> int:
    return at + -(-max(span.buffer.bytes.value.data, 1) // 128) * 128


def gaps(taken: dict[int, int], stop: int) -> list[int]:
    """The sizes of the free ranges between 256 and ``stop``."""
    edges = [(256, 256), *sorted(taken.items()), (256 + 4096, 0)]
    return [min(begin, stop) - end for (_, end), (begin, _) in pairwise(edges)]


@given(STEPS, ARENAS)
def test_all_of_an_empty_arena_can_be_taken(steps: Sequence[Step], kind: type[Arena]) -> None:
    arena = kind(0, 4096, 128)
    live: list[tuple[int, Lifetime]] = []
    for _, number in steps[:4]:
        span = span_of(number)
        live.append((arena.take(span), span))
    for at, span in live:
        arena.release(at, span)
    assert arena.take(span_of(4096)) == 0


def test_first_fit_takes_the_lowest_gap() -> None:
    arena, spans = Arena(0, 1024, 128), [span_of(1) for _ in range(4)]
    places = [arena.take(span) for span in spans[:3]]
    arena.release(0, spans[0])
    assert [*places, arena.take(spans[3])] == [0, 128, 256, 0]


@pytest.mark.parametrize(
    ("loaded", "place"), [(True, 512), (False, 256)], ids=["loaded", "computed"]
)
def test_loads_take_old_memory_and_results_take_new(loaded: bool, place: int) -> None:
    arena = OverlapArena(0, 512 + 128, 128)
    ended = [span_of(256, 1), span_of(256, 2)]
    for at, span in [(arena.take(span), span) for span in ended]:
        arena.release(at, span)
    assert arena.take(span_of(100, loaded=loaded)) == place


@pytest.mark.parametrize(
    ("apart", "loaded", "bank"),
    [("", True, 0), ("all", True, 1), ("loaded", True, 1), ("computed", True, 0),
     ("computed", False, 1), ("loaded", False, 0)],
)  # fmt: skip
def test_other_banks_than_the_mates(apart: str, loaded: bool, bank: int) -> None:
    """Both ends of the free memory are as good; the mate lies in the first bank."""
    arena = OverlapArena(0, 2 * BM1684.bank_bytes, 128, apart=apart)
    mate = span_of(1024)
    assert arena.take(mate) == 0
    beside = replace(span_of(1024, loaded=loaded), mates=frozenset([mate.buffer]))
    assert arena.take(beside) // BM1684.bank_bytes == bank


def test_results_leave_what_a_store_reads() -> None:
    arena = OverlapArena(0, 512, 128)
    ended = [span_of(256, 1), span_of(256, 2, stored=True)]
    for at, span in [(arena.take(span), span) for span in ended]:
        arena.release(at, span)
    assert arena.take(span_of(256)) == 0


def test_a_full_arena_says_so() -> None:
    for kind in (Arena, OverlapArena):
        arena = kind(0, 256, 128)
        arena.take(span_of(200))
        with pytest.raises(OutOfMemory, match="128 bytes"):
            arena.take(span_of(3))


PLACES = {"ddr": DDR, "lmem": LMEM, "l2": L2}


def buffer(block: Block, place: Place, size: int = 100) -> SSAValue:
    shape = (1, 1, 1, 25)
    layout = aligned(shape, 4) if place == LMEM else contiguous(shape, 4)
    op = tile.AllocOp.build(
        properties={"bytes": int_attr(size)}, result_types=[Ref(f32, shape, layout, place).type]
    )
    block.add_op(op)
    return op.ref


def copy(block: Block, dst: SSAValue, src: SSAValue) -> None:
    block.add_op(tile.CopyOp.build(operands=[dst, src]))


def test_a_lifetime_runs_from_the_first_to_the_last_use_through_views() -> None:
    block = Block()
    a, b, unused = buffer(block, DDR), buffer(block, DDR), buffer(block, DDR)
    view = tile.ViewOp.build(operands=[a], result_types=[a.type])
    block.add_op(view)
    copy(block, b, view.ref)
    c = buffer(block, DDR)
    copy(block, c, b)
    copy(block, a, c)
    found = {span.buffer.ref: (span.first, span.last) for span in lifetimes(block, [Space.DDR])}
    assert found == {a: (4, 7), b: (4, 6), c: (6, 7)}
    assert unused not in found


def test_only_the_wanted_memories_are_looked_at() -> None:
    block = Block()
    values = {name: buffer(block, place) for name, place in PLACES.items()}
    for value in values.values():
        copy(block, value, value)
    for space in Space:
        (span,) = lifetimes(block, [space])
        assert span.buffer.ref == values[space]


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


RANGES = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 20), st.booleans()), min_size=1, max_size=12
)


@given(RANGES, st.integers(1, 20), st.booleans())
def test_prices_of_places_are_those_of_the_ranges_under_them(
    ranges: Sequence[tuple[int, int, bool]], size: int, loaded: bool
) -> None:
    run: list[_Freed] = []
    for extent, age, stored in ranges:
        begin = run[-1].end if run else 0
        run.append(_Freed(begin, begin + extent, age, stored))
    found = dict[int, tuple[int, ...]]()
    for price, at in _places(run, size, loaded):
        under = [f for f in run if f.begin < at + size and at < f.end]
        if loaded:
            assert price == (max(f.at for f in under),)
        else:
            stores = [f.at for f in under if f.stored]
            assert price == (max(stores, default=-1), -min(f.at for f in under))
        found[at] = price
    borders = {f.begin for f in run} | {f.end - size for f in run}
    assert found.keys() == {at for at in borders if at >= 0 and at + size <= run[-1].end}


@given(RANGES, st.integers(0, 20))
def test_old_neighbours_are_one_range(ranges: Sequence[tuple[int, int, bool]], old: int) -> None:
    apart = [_Freed(10 * i, 10 * i + extent, age, stored)
             for i, (extent, age, stored) in enumerate(ranges)]  # fmt: skip
    assert list(_merged(apart, old)) == apart
    touching: list[_Freed] = []
    for extent, age, stored in ranges:
        begin = touching[-1].end if touching else 0
        touching.append(_Freed(begin, begin + extent, age, stored))
    merged = list(_merged(touching, old))
    assert all(one.end == other.begin for one, other in pairwise(merged))
    assert not any(one.at < old and other.at < old for one, other in pairwise(merged))
    for f in touching:
        (over,) = (m for m in merged if m.begin <= f.begin < m.end)
        assert over.at >= f.at if f.at < old else over == f


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


@pytest.mark.parametrize("kind", [Arena, OverlapArena])
def test_a_buffer_ends_where_it_must(kind: type[Arena]) -> None:
    arena = kind(0, 4096, 128)
    early = replace(span_of(1024), end_by=3072)
    places = [arena.take(span) for span in (replace(span_of(2048), end_by=2048), early)]
    assert places == [0, 2048]
    with pytest.raises(OutOfMemory):
        arena.take(early)
    assert arena.take(span_of(1024)) == 3072


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


def test_the_tensors_of_a_sum_leave_room_behind_them() -> None:
    plane = (4, 8, 6, 6)
    kind = Ref(si8, plane, aligned(plane, 4, 4), LMEM).type
    words = Ref(i32, (1, 8, 1, 3), aligned((1, 8, 1, 3), 4), LMEM).type
    made = [
        tile.AllocOp.build(properties={"bytes": int_attr(256)}, result_types=[each])
        for each in (kind, kind, kind, words)
    ]
    block = Block([*made, tile.WeightedSumOp.build(operands=[op.ref for op in made])])
    found = {span.buffer: span.end_by for span in lifetimes(block, [Space.LMEM])}
    room = BM1684.lane_bytes - tile.WeightedSumOp.BEHIND
    assert [found[op] for op in made] == [sys.maxsize, room, room, sys.maxsize]


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
