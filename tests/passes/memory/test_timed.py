"""Places by time: no two buffers that are alive together share memory, and loads start early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import LMEM, Ref, aligned
from dialects.quant.base import int_attr
from passes.memory.arenas import OutOfMemory
from passes.memory.lifetimes import Lifetime
from passes.memory.timed import LINGER, SETTLED, Step, place_by_time

ALL = BM1684.lane_bytes
HALF = ALL // 2


def buffer(size: int) -> tile.AllocOp:
    shape = (1, 1, 1, 25)
    result = Ref(f32, shape, aligned(shape, 4), LMEM).type
    return tile.AllocOp.build(properties={"bytes": int_attr(size)}, result_types=[result])


@dataclass
class Program:
    """Buffers and ops, one after the other."""

    spans: dict[tile.AllocOp, Lifetime] = field(default_factory=dict[tile.AllocOp, Lifetime])
    steps: list[Step] = field(default_factory=list[Step])

    def load(self, size: int, cycles: int = 10) -> tile.AllocOp:
        loaded = buffer(size)
        self._touch([loaded], cycles, moved=True)
        return loaded

    def compute(self, size: int, *read: tile.AllocOp, cycles: int = 10) -> tile.AllocOp:
        computed = buffer(size)
        self._touch([computed, *read], cycles, moved=False)
        return computed

    def store(self, stored: tile.AllocOp, cycles: int = 10) -> None:
        self._touch([stored], cycles, moved=True, stores=True)

    def _touch(
        self, buffers: Sequence[tile.AllocOp], cycles: int, moved: bool, stores: bool = False
    ) -> None:
        at = len(self.steps)
        touched: list[SSAValue] = []
        for each in buffers:
            mates = frozenset(() if moved else buffers) - {each}
            old = self.spans.get(each, Lifetime(each, at, at, moved))
            self.spans[each] = replace(old, last=at, stored=stores, mates=old.mates | mates)
            touched.append(each.ref)
        self.steps.append(Step(at, tuple(touched), cycles, moved, stores))

    def places(self, apart: str = "") -> dict[tile.AllocOp, int]:
        found = place_by_time(list(self.spans.values()), self.steps, apart)
        return {span.buffer: at for span, at in found.items()}


OPS = st.lists(
    st.tuples(
        st.sampled_from(["load", "compute", "store"]),
        st.integers(0, 1400),
        st.integers(0, 30000),
        st.lists(st.integers(0, 8), max_size=3),
        st.sampled_from([ALL, ALL - 32768]),
    ),
    min_size=1,
    max_size=40,
)


@given(OPS, st.sampled_from(["", "all", "loaded", "computed"]))
def test_buffers_that_are_alive_together_lie_apart(
    ops: Sequence[tuple[str, int, int, Sequence[int], int]], apart: str
) -> None:
    program, made = Program(), list[tile.AllocOp]()
    for what, blocks, cycles, back, end_by in ops:
        read = list(dict.fromkeys(made[-1 - i] for i in back if i < len(made)))
        if what == "load":
            made.append(program.load(blocks * 128 + 1, cycles))
        elif what == "compute":
            made.append(program.compute(blocks * 128 + 1, *read, cycles=cycles))
        elif read:
            program.store(read[0], cycles)
        if what != "store":
            program.spans[made[-1]] = replace(program.spans[made[-1]], end_by=end_by)
    try:
        places = program.places(apart)
    except OutOfMemory:
        needed = sum(128 * (blocks + 1) for what, blocks, *_ in ops if what != "store")
        assert needed > min(end_by for *_, end_by in ops)
        return
    spans = list(program.spans.values())
    assert places.keys() == program.spans.keys()
    for one in spans:
        at, end = places[one.buffer], places[one.buffer] + one.buffer.bytes.value.data
        assert at % 128 == 0
        assert 0 <= at < end <= one.end_by
        for other in spans:
            there = places[other.buffer]
            if one is not other and one.first <= other.last and other.first <= one.last:
                assert end <= there or there + other.buffer.bytes.value.data <= at


def test_results_lie_at_the_end_and_loads_fill_the_rest_without_gaps() -> None:
    program = Program()
    weights = [program.load(size) for size in (1280, 128, 640)]
    result = program.compute(256, *weights)
    places = program.places()
    assert [places[each] for each in weights] == [0, 1280, 1408]
    assert places[result] == ALL - 256


def test_a_load_takes_the_memory_that_is_free_first() -> None:
    """Three fill memory. The second is read first, so the next one takes its place."""
    program = Program()
    first, second, third = (program.load(ALL // 4) for _ in range(3))
    program.compute(ALL // 4, second)
    program.compute(128, first, cycles=10 * SETTLED)
    late = program.load(ALL // 4)
    program.compute(128, late, third)
    places = program.places()
    assert places[late] == places[second] == ALL // 4


@pytest.mark.parametrize(("cycles", "place"), [(10, HALF // 2), (2 * SETTLED, 0)])
def test_memory_that_became_free_just_now_is_left_alone(cycles: int, place: int) -> None:
    """The lowest place is as good as one that was never used when it has been free for long."""
    program = Program()
    read = program.load(HALF // 2)
    program.compute(128, read)
    between = program.load(128, cycles)
    late = program.load(HALF // 2)
    program.compute(128, late, between)
    places = program.places()
    assert places[between] == HALF // 2
    assert places[late] == place + (128 if place else 0)


@pytest.mark.parametrize(("stored", "shared"), [(False, True), (True, False)])
def test_a_result_leaves_what_a_store_reads(stored: bool, shared: bool) -> None:
    program = Program()
    first = program.compute(1280)
    if stored:
        program.store(first)
    places = [program.compute(1280) for _ in range(2)]
    found = program.places()
    assert (found[places[0]] == found[first]) is shared
    assert len({found[first], *(found[each] for each in places)}) == (1 if shared else 2)
    assert LINGER > 2


KINDS = ["", "all", "loaded", "computed"]


@pytest.mark.parametrize("apart", KINDS)
def test_loads_in_other_banks_than_their_mates(apart: str) -> None:
    program = Program()
    mate = program.load(1024)
    ended = program.load(BM1684.bank_bytes - 1024)
    program.compute(128, ended)
    program.load(128, 2 * SETTLED)
    late = program.load(1024)
    program.compute(128, mate, late)
    bank = program.places(apart)[late] // BM1684.bank_bytes
    assert bank == (1 if apart in ("all", "loaded") else 0)


@pytest.mark.parametrize("apart", KINDS)
def test_results_in_other_banks_than_their_mates(apart: str) -> None:
    program = Program()
    first = program.compute(1024)
    second = program.compute(1024, first)
    places = program.places(apart)
    banks = {places[each] // BM1684.bank_bytes for each in (first, second)}
    assert banks == ({6, 7} if apart in ("all", "computed") else {7})


@pytest.mark.parametrize("sizes", [(HALF, HALF + 128), (ALL + 128,)])
def test_what_does_not_fit_is_refused(sizes: Sequence[int]) -> None:
    program = Program()
    loaded = [program.load(size) for size in sizes]
    program.compute(128, *loaded)
    with pytest.raises(OutOfMemory):
        program.places()


def test_a_load_ends_where_it_must() -> None:
    program = Program()
    first, second = program.load(ALL - 32768), program.load(16384)
    program.compute(128, first, second)
    assert program.places()[second] >= ALL - 32768
    program.spans[second] = replace(program.spans[second], end_by=ALL - 32768)
    with pytest.raises(OutOfMemory):
        program.places()
