"""Conflicts of commands against sets of bytes, and their history against all of it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from dialects.bm1684.chip import BM1684
from dialects.bm1684.model.memory.access import Access, Space
from passes.memory.footprint import Footprint, History

LANES = BM1684.lanes


@st.composite
def accesses(draw: st.DrawFn) -> Access:
    space = draw(st.sampled_from([*Space, Space.LMEM, Space.LMEM]))
    start = draw(st.integers(0, 60))
    local = space is Space.LMEM
    first = draw(st.integers(0, LANES - 1)) if local else 0
    lanes = draw(st.sampled_from([1, 2, 10, LANES])) if local else 0
    stop = start + draw(st.sampled_from([1, 4, 13, 30]))
    return Access(space, first, lanes, start, stop, draw(st.booleans()))


FOOTPRINTS = st.builds(Footprint, st.lists(accesses(), min_size=1, max_size=3).map(tuple))


def cells(access: Access) -> set[tuple[str, int, int]]:
    """The space, lane and byte of everything that is touched."""
    lanes = [(access.first_lane + i) % LANES for i in range(access.lanes)] or [0]
    return {(access.space, lane, byte)
            for lane in lanes for byte in range(access.start, access.stop)}  # fmt: skip


@given(FOOTPRINTS, FOOTPRINTS)
def test_commands_conflict_over_a_byte_that_one_of_them_writes(a: Footprint, b: Footprint) -> None:
    shared = any(
        (x.write or y.write) and cells(x) & cells(y) for x in a.touched for y in b.touched
    )
    assert a.conflicts(b) == b.conflicts(a) == shared


@given(st.lists(FOOTPRINTS, max_size=8), FOOTPRINTS, st.integers(0, 8))
def test_a_history_finds_the_last_conflict(
    before: Sequence[Footprint], new: Footprint, beyond: int
) -> None:
    history = History()
    for footprint in before:
        history.append(footprint)
    beyond = min(beyond, len(before))
    found = [i + 1 for i, old in enumerate(before) if i >= beyond and new.conflicts(old)]
    assert history.last_conflict(new, beyond) == max(found, default=0)
    assert new.last_conflict(before, beyond) == max(found, default=0)
