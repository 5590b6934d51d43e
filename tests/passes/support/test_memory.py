"""The arena: ranges never overlap, are aligned, and are free again after their release."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import f32
from xdsl.ir import Block, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.layout import DDR, L2, LMEM, Place, Ref, Space, aligned, contiguous
from dialects.quant.base import int_attr
from passes.support.memory import Arena, OutOfMemory, allocate, lifetimes

Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "take", "release"]), st.integers(0, 900)), max_size=60
)


@given(STEPS, st.booleans())
def test_ranges_never_overlap(steps: Sequence[Step], rotate: bool) -> None:
    arena = Arena(256, 256 + 4096, 128, rotate)
    live: dict[int, int] = {}
    for kind, number in steps:
        if kind == "release":
            if live:
                at = sorted(live)[number % len(live)]
                arena.release(at)
                del live[at]
            continue
        try:
            at = arena.take(number)
        except OutOfMemory:
            assert not any(gap >= max(number, 1) for gap in gaps(live))
            continue
        assert at % 128 == 0
        assert 256 <= at
        assert at + max(number, 1) <= 256 + 4096
        assert all(at + number <= begin or begin + size <= at for begin, size in live.items())
        live[at] = -(-max(number, 1) // 128) * 128
        assert arena.top >= at + number


def gaps(live: dict[int, int]) -> list[int]:
    """The sizes of the free ranges between 256 and 4352."""
    edges = [(256, 0), *sorted(live.items()), (256 + 4096, 0)]
    return [b - (a + size) for (a, size), (b, _) in pairwise(edges)]


@given(STEPS, st.booleans())
def test_all_of_an_empty_arena_can_be_taken(steps: Sequence[Step], rotate: bool) -> None:
    arena = Arena(0, 4096, 128, rotate)
    for kind, number in steps:
        if kind == "take" and sum(gap >= 1024 for gap in gaps_of(arena)):
            arena.take(number)
    for begin, _ in list(arena.live):
        arena.release(begin)
    assert arena.take(4096) == 0


def gaps_of(arena: Arena) -> list[int]:
    edges = [(0, 0), *arena.live, (4096, 4096)]
    return [b - end for (_, end), (b, _) in pairwise(edges)]


def test_first_fit_takes_the_lowest_gap_and_next_fit_goes_on() -> None:
    for rotate, wanted in ((False, [0, 128, 256, 0]), (True, [0, 128, 256, 384])):
        arena = Arena(0, 1024, 128, rotate)
        places = [arena.take(1) for _ in range(3)]
        arena.release(0)
        assert [*places, arena.take(1)] == wanted


def test_a_full_arena_says_so() -> None:
    arena = Arena(0, 256, 128)
    arena.take(200)
    with pytest.raises(OutOfMemory, match="128 bytes"):
        arena.take(3)


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


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20), st.booleans())
def test_buffers_that_live_together_do_not_share(
    uses: Sequence[tuple[int, int]], rotate: bool
) -> None:
    block = Block()
    buffers = [buffer(block, LMEM, 100 * (i + 1)) for i in range(10)]
    for a, b in uses:
        copy(block, buffers[a], buffers[b])
    spans = lifetimes(block, [Space.LMEM])
    placed = {op: at for op, at in allocate(spans, Arena(0, 1 << 14, 128, rotate))}
    for one in spans:
        for other in spans:
            together = one.first <= other.last and other.first <= one.last
            if one.buffer is other.buffer or not together:
                continue
            a, b = placed[one.buffer], placed[other.buffer]
            sizes = [s.buffer.bytes.value.data for s in (one, other)]
            assert a + sizes[0] <= b or b + sizes[1] <= a
