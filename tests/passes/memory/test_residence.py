"""Parts of a tensor: what covers what, and which are tensors of their own in local memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod

from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import f32
from xdsl.ir import Block

from dialects.bm1684 import tile
from dialects.bm1684.layout import DDR, Layout, Ref, contiguous
from dialects.quant.base import int_attr
from passes.memory.residence import Box, DdrTensor, Range

RANGES = st.tuples(st.integers(0, 6), st.integers(1, 5)).map(lambda r: Range(r[0], r[0] + r[1]))
BOXES = st.builds(Box, RANGES, RANGES, RANGES)


ONE = Range(0, 1)


def cells(box: Box) -> set[tuple[int, ...]]:
    return set(product(*(range(axis.begin, axis.end) for axis in box.axes)))


@given(BOXES, st.lists(BOXES, max_size=6))
def test_a_box_is_covered_by_all_its_cells(box: Box, parts: list[Box]) -> None:
    held: set[tuple[int, ...]] = set()
    for part in parts:
        held |= cells(part)
    assert box.is_covered(parts) == (cells(box) <= held)


def tensor(channels: int, images: int = 1) -> DdrTensor:
    """A float tensor of 40 rows of 32 words, 128 bytes each."""
    shape = (images, channels, 40, 32)
    ref = Ref(f32, shape, contiguous(shape, 4), DDR)
    op = tile.AllocOp.build(
        properties={"bytes": int_attr(4 * prod(shape))}, result_types=[ref.type]
    )
    Block([op])
    return DdrTensor(op)


def rows(
    whole: DdrTensor, channel: int, count: int, row: int, height: int, width: int = 32
) -> Box | None:
    layout = Layout(4, 1, (whole.words.layout.strides[0], 40 * 32, 32, 1))
    far = Ref(f32, (1, count, height, width), layout, DDR)
    return whole.box_of(far, 4 * 32 * (40 * channel + row))


def test_rows_of_one_row_of_lanes_are_a_part() -> None:
    whole = tensor(128)
    assert rows(whole, 64, 64, 8, 16) == Box(ONE, Range(64, 128), Range(8, 24))
    assert rows(whole, 0, 64, 0, 40) == Box(ONE, Range(0, 64), Range(0, 40))
    assert rows(whole, 0, 128, 8, 16) is None
    assert rows(whole, 32, 64, 8, 16) is None
    assert rows(whole, 0, 64, 8, 16, width=30) is None


def images(whole: DdrTensor, image: int, count: int, channel: int, channels: int) -> Box | None:
    layout = Layout(4, 1, (whole.words.layout.strides[0], 40 * 32, 32, 1))
    far = Ref(f32, (count, channels, 40, 32), layout, DDR)
    return whole.box_of(far, 4 * 32 * 40 * (192 * image + channel))


def test_parts_of_a_batch_are_whole_images_or_parts_of_one() -> None:
    whole, rows = tensor(192, 4), Range(0, 40)
    assert images(whole, 1, 2, 0, 192) == Box(Range(1, 3), Range(0, 192), rows)
    assert images(whole, 3, 1, 64, 128) == Box(Range(3, 4), Range(64, 192), rows)
    assert images(whole, 0, 2, 0, 64) is None
    part = Box(Range(2, 3), Range(64, 128), Range(4, 8))
    strides = whole.local(whole.whole).layout.strides
    assert whole.local_offset(part, whole.whole) == 4 * (2 * strides[0] + strides[1] + 4 * 32)
    rows = Box(Range(2, 3), Range(64, 192), Range(4, 20))
    assert whole.local_offset(replace(part, rows=Range(6, 8)), rows) == 4 * 2 * 32
    assert whole.bytes_of(rows) == 4 * 2 * 16 * 32


def test_rows_begin_where_the_engine_takes_a_tensor() -> None:
    shape = (1, 8, 40, 20)
    ref = Ref(f32, shape, contiguous(shape, 4), DDR)
    op = tile.AllocOp.build(properties={"bytes": int_attr(25600)}, result_types=[ref.type])
    Block([op])
    part = ref.with_(shape=(1, 8, 8, 20))
    assert DdrTensor(op).box_of(part, 4 * 20 * 8) == Box(ONE, Range(0, 8), Range(8, 16))
    assert DdrTensor(op).box_of(part, 4 * 20 * 4) is None
