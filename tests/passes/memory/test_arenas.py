"""The arena: ranges never overlap, are aligned, and are free again after their release."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.bm1684.chip import BM1684
from passes.memory.arenas import (
    Arena,
    OutOfMemory,
    OverlapArena,
    _Freed,  # pyright: ignore[reportPrivateUsage]
    _merged,  # pyright: ignore[reportPrivateUsage]
    _places,  # pyright: ignore[reportPrivateUsage]
)
from passes.memory.lifetimes import Lifetime
from tests.passes.memory.spans import ARENAS, ENDS, span_of

Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["load", "compute", "release"]), st.integers(0, 900)), max_size=60
)


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


@pytest.mark.parametrize("kind", [Arena, OverlapArena])
def test_a_buffer_ends_where_it_must(kind: type[Arena]) -> None:
    arena = kind(0, 4096, 128)
    early = replace(span_of(1024), end_by=3072)
    places = [arena.take(span) for span in (replace(span_of(2048), end_by=2048), early)]
    assert places == [0, 2048]
    with pytest.raises(OutOfMemory):
        arena.take(early)
    assert arena.take(span_of(1024)) == 3072
