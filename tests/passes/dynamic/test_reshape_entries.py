"""The entries of a new shape that serve every size of the network."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.bm1684.record.base import Shape
from dialects.bm1684.record.movement import ReshapeOp
from passes.records.recorder import eight, reshape_entries

CASES: list[tuple[list[Shape], list[Shape], list[int] | None]] = [
    ([(4, 3, 2, 2)], [(4, 12)], [4, 12]),
    ([(4, 3, 2, 2), (1, 3, 2, 2)], [(4, 12), (1, 12)], [0, 12]),
    ([(4, 3, 6, 5), (4, 3, 2, 5)], [(4, 90), (4, 30)], [4, -1]),
    ([(4, 3, 6, 5), (1, 3, 2, 5)], [(4, 90), (1, 30)], [0, -1]),
    ([(4, 3, 6, 5), (4, 3, 2, 5)], [(4, 1, 3, 30), (4, 1, 3, 10)], [4, 1, 3, -1]),
    ([(4, 3, 6, 5), (4, 3, 2, 4)], [(4, 3, 30, 1), (4, 3, 8, 1)], [4, 3, -1, 1]),
    ([(4, 6, 5), (4, 2, 4)], [(4, 6, 5, 1), (4, 2, 4, 1)], [4, 0, 0, 1]),
    ([(4, 6, 5), (4, 2, 4)], [(4, 1, 6, 5), (4, 1, 2, 4)], None),
    ([(4, 12), (2, 12)], [(16, 3), (8, 3)], [-1, 3]),
]


@pytest.mark.parametrize(("before", "after", "entries"), CASES)
def test_entries(before: list[Shape], after: list[Shape], entries: list[int] | None) -> None:
    assert reshape_entries(before, after) == entries


@given(st.data())
def test_what_is_found_makes_every_shape(data: st.DataObject) -> None:
    """Dimensions of a map are joined, split off or kept, at three sizes."""
    sizes = [
        tuple(data.draw(st.integers(1, 6)) for _ in range(3)) for _ in range(3)
    ]
    channels = data.draw(st.sampled_from([2, 6]))
    cuts = sorted(data.draw(st.sets(st.integers(1, 3))))
    split = data.draw(st.booleans())

    def new(shape: Shape) -> Shape:
        groups = [shape[i:j] for i, j in zip([0, *cuts], [*cuts, 4], strict=True)]
        joined = [prod(group) for group in groups]
        return (*joined[:-1], 1, joined[-1]) if split else tuple(joined)

    before = [(n, channels, h, w) for n, h, w in sizes]
    after = [new(shape) for shape in before]
    entries = reshape_entries(before, after)
    if entries is None:
        return
    v = {"rank": len(entries), "shape": eight(entries)}
    assert [ReshapeOp.shapes(v, (), [shape])[0] for shape in before] == after
