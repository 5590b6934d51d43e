"""Strips against loops over every row."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dialects.quant import compute
from dialects.quant import strips as strips_ops
from dialects.quant.base import int_attr
from tests.dialects.quant.ops_by_hand import noise, result_of


@st.composite
def images(draw: st.DrawFn) -> tuple[int, int]:
    """(rows of an image, rows of a strip that cover it)."""
    rows = draw(st.integers(1, 5))
    return draw(st.integers(1, 4 * rows)), rows


@given(images(), st.integers(0, 99))
def test_strips_are_rows_of_the_image(size: tuple[int, int], seed: int) -> None:
    height, rows = size
    x = noise(seed, np.int8, (1, 2, height, 3))
    strips = result_of(strips_ops.SplitStripsOp, [x], (4, 2, rows, 3), np.int8)
    for k in range(4):
        for r in range(rows):
            inside = k * rows + r < height
            expected = x[0, :, k * rows + r] if inside else np.zeros((2, 3), np.int8)
            np.testing.assert_array_equal(strips[k, :, r], expected)
    joined = result_of(strips_ops.JoinStripsOp, [strips], x.shape, np.int8)
    np.testing.assert_array_equal(joined, x)


@given(images(), st.sampled_from([np.int8, np.uint8]))
def test_floats_become_strips_of_their_8_bit_image(size: tuple[int, int], dtype: Any) -> None:
    height, rows = size
    x = noise(height, np.float32, (1, 2, height, 3)) * np.float32(90)
    whole = result_of(compute.QuantizeOp, [x], x.shape, dtype)
    expected = result_of(strips_ops.SplitStripsOp, [whole], (4, 2, rows, 3), dtype)
    got = result_of(strips_ops.QuantizeStripsOp, [x], (4, 2, rows, 3), dtype)
    np.testing.assert_array_equal(got, expected)


@given(images(), st.data())
def test_floats_become_strips_with_the_rows_around_them(
    size: tuple[int, int], data: st.DataObject
) -> None:
    height, rows = size
    halos = [data.draw(st.integers(0, rows)) for _ in range(2)]
    x = noise(height, np.float32, (1, 2, height, 3)) * np.float32(90)
    whole = result_of(compute.QuantizeOp, [x], x.shape, np.int8)
    above, below = map(int_attr, halos)
    shape = (4, 2, rows + sum(halos), 3)
    expected = result_of(
        strips_ops.SplitStripsOp, [whole], shape, np.int8, above=above, below=below
    )
    got = result_of(strips_ops.QuantizeStripsOp, [x], shape, np.int8, above=above, below=below)
    np.testing.assert_array_equal(got, expected)


@given(images(), st.data())
def test_a_halo_is_the_neighbours_rows(size: tuple[int, int], data: st.DataObject) -> None:
    height, rows = size
    above, below = data.draw(st.integers(0, rows)), data.draw(st.integers(0, rows))
    strips = noise(height, np.int8, (4, 2, rows, 3))
    got = result_of(
        strips_ops.ExchangeHaloOp, [strips], (4, 2, above + rows + below, 3), np.int8,
        height=int_attr(height), above=int_attr(above), below=int_attr(below), fill=int_attr(-7),
    )  # fmt: skip
    for k in range(4):
        for r in range(-above, rows + below):
            at = k * rows + r
            inside = 0 <= at < height
            expected = strips[at // rows, :, at % rows] if inside else np.full((2, 3), -7, np.int8)
            np.testing.assert_array_equal(got[k, :, above + r], expected)
