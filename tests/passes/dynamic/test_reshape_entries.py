"""The entries of a new shape that serve every size of the network."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import TensorType, UnknownLoc, f32
from xdsl.ir import Attribute, Block, SSAValue

from dialects.bm1684.record.base import RecordOp, Shape
from dialects.bm1684.record.movement import ReshapeOp
from dialects.quant import types
from passes.records.recorder import NoRecord, Recorder, eight, reshape_entries
from tests.passes.dynamic.shapes import names

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


def recorder(*tensors: list[Shape], element: Attribute = f32) -> tuple[Recorder, list[SSAValue]]:
    """A recorder with tensors of these shapes, each at the maximum and in the samples."""
    block = Block(arg_types=[TensorType(element, shapes[0]) for shapes in tensors])
    found = Recorder(block, len(tensors[0]))
    found.location = UnknownLoc()
    found.shapes = {x: [*shapes] for x, shapes in zip(block.args, tensors, strict=True)}
    return found, [*block.args]


def records(c: Recorder) -> list[RecordOp]:
    """What was recorded, all of it right."""
    found = [op for op in c.block.ops if isinstance(op, RecordOp)]
    for op in found:
        op.verify()
    return found


def followed(c: Recorder, shapes: list[Shape]) -> list[Shape]:
    """The shapes of the last result, from the records alone, for arguments of these shapes."""
    known: dict[SSAValue, Shape] = dict(zip(c.block.args, shapes, strict=True))
    last: list[Shape] = []
    for op in records(c):
        last = op.shapes(op.values, op.numbers, [known[x] for x in op.xs])
        known.update(zip(op.ys, last, strict=True))
    return last


TWO_FREE: list[tuple[list[Shape], list[Shape], list[str]]] = [
    # an axis of 1 between: the extents are those of x, one axis on
    ([(4, 6, 5), (4, 2, 4)], [(4, 1, 6, 5), (4, 1, 2, 4)],
     ["shape_numbers", "shape_of", "shape_slice", "shape_slice", "shape_join", "reshape_to"]),
    # all three
    ([(4, 6, 5), (3, 2, 4), (4, 2, 5)], [(4, 1, 6, 5), (3, 1, 2, 4), (4, 1, 2, 5)],
     ["shape_of", "shape_slice", "shape_numbers", "shape_slice", "shape_slice", "shape_join",
      "reshape_to"]),
    # columns become channels
    ([(4, 6, 8, 10), (4, 6, 4, 6), (4, 6, 8, 6)], [(4, 12, 4, 10), (4, 12, 2, 6), (4, 12, 4, 6)],
     ["reshape"]),
    # both halved
    ([(4, 6, 8, 10), (4, 6, 4, 6), (4, 6, 8, 6)], [(4, 24, 4, 5), (4, 24, 2, 3), (4, 24, 4, 3)],
     ["shape_numbers", "shape_of", "shape_slice", "shape_numbers", "shape_arithmetic",
      "shape_slice", "shape_numbers", "shape_arithmetic", "shape_join", "reshape_to"]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "kinds"), TWO_FREE)
@pytest.mark.parametrize("element", [f32, types.si8], ids=["f32", "si8"])
def test_two_free_extents_are_computed(
    before: list[Shape], after: list[Shape], kinds: list[str], element: Attribute
) -> None:
    c, (x,) = recorder(before, element=element)
    y = c.reshaped(x, after)
    assert c.shapes[y] == after
    assert names(records(c)) == kinds
    assert y.type == TensorType(element, after[0])
    for shape, wanted in zip(before, after, strict=True):
        assert followed(c, [shape]) == [wanted]


def test_it_is_right_at_sizes_that_are_no_samples() -> None:
    c, (x,) = recorder([(4, 6, 8, 10), (2, 6, 8, 10), (4, 6, 6, 10), (4, 6, 8, 6)])
    c.reshaped(x, [(4, 24, 4, 5), (2, 24, 4, 5), (4, 24, 3, 5), (4, 24, 4, 3)])
    for n, h, w in [(1, 2, 2), (3, 8, 2), (4, 2, 10)]:
        assert followed(c, [(n, 6, h, w)]) == [(n, 24, h // 2, w // 2)]


def test_a_shape_that_a_tensor_has_is_that_of_the_tensor() -> None:
    after = [(4, 1, 6, 5), (3, 1, 2, 4)]
    c, (x, _) = recorder([(4, 6, 5), (3, 2, 4)], after)
    c.reshaped(x, after)
    c.reshaped(x, after)
    assert names(records(c)) == ["shape_of", "reshape_to", "reshape_to"]
    of, *_ = records(c)
    assert [*of.xs] == [c.block.args[1]]


def test_extents_come_from_other_tensors_too() -> None:
    """[n h w, 6] to [n, 6, h, w]: the extents are those of a map beside it, with an offset."""
    beside: list[Shape] = [(4, 3, 8, 12), (3, 3, 4, 4), (3, 3, 6, 7)]
    after: list[Shape] = [(n, 6, h - 2, w - 2) for n, _, h, w in beside]
    before: list[Shape] = [(n * h * w, 6) for n, _, h, w in after]
    c, (x, _) = recorder(before, beside)
    c.reshaped(x, after)
    assert names(records(c)).count("shape_arithmetic") == 2
    assert followed(c, [(60, 6), (2, 3, 7, 8)]) == [(2, 6, 5, 6)]


@pytest.mark.parametrize("element", [types.si8, types.ui8], ids=["si8", "ui8"])
def test_bytes_go_through_floats_where_the_batch_changes(element: Attribute) -> None:
    """[n, h, w] to [h, w, n] as the numbers lie: 8-bit tensors keep their batch in memory."""
    before: list[Shape] = [(4, 6, 5), (3, 2, 4), (4, 2, 5)]
    after = [(h, w, n) for n, h, w in before]
    c, (x,) = recorder(before, element=element)
    y = c.reshaped(x, after)
    kinds = names(records(c))
    assert (kinds[0], *kinds[-2:]) == ("lookup", "reshape_to", "convert")
    assert y.type == TensorType(element, after[0])
    table = records(c)[0].constant("table").array
    np.testing.assert_array_equal(table, np.arange(256, dtype=np.uint8).view(
        np.int8 if element == types.si8 else np.uint8).astype(np.float32))  # fmt: skip


def test_an_extent_that_follows_from_nothing() -> None:
    c, _ = recorder([(4, 6, 5), (4, 2, 4), (4, 3, 7)])
    with pytest.raises(NoRecord, match="its extent 36 follows from no tensor's at every size"):
        c.shape([(36, 1), (4, 1), (9, 1)])
