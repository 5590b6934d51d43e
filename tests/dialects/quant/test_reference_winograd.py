"""Winograd's integers against the direct convolution, window by window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import BoolAttr

from dialects.constant import ConstantAttr
from dialects.quant import compute
from dialects.quant.base import i64s, int_attr
from dialects.quant.winograd import integers, transform, winograd_sums
from tests.dialects.quant.ops_by_hand import clamped, noise, result_of, shifted


def direct(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """[N, O, h - 2, w - 2], one window after the other."""
    n, _, height, width = x.shape
    y = np.zeros((n, len(weight), height - 2, width - 2))
    for row in range(height - 2):
        for column in range(width - 2):
            box = x[:, :, row : row + 3, column : column + 3]
            y[:, :, row, column] = np.tensordot(box, weight, ([1, 2, 3], [1, 2, 3]))
    return y


@given(st.integers(3, 9), st.integers(3, 9), st.integers(0, 99))
def test_exact_transforms_give_the_direct_sums(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 256, (2, 5, height, width)).astype(np.float64)
    weight = rng.integers(-128, 128, (3, 5, 3, 3)).astype(np.float64)
    np.testing.assert_array_equal(winograd_sums(x, transform(weight)), direct(x, weight))


@pytest.mark.parametrize(("largest", "bias", "power"), [(20, 0, 1), (100, 0, -1), (20, 30000, 0)])
def test_integers_take_the_largest_power_that_fits(largest: int, bias: int, power: int) -> None:
    weight = np.full((2, 1, 3, 3), largest, np.int8)
    found = integers(weight, np.array([bias, -bias], np.int16), 7)
    assert found is not None
    assert found.shift == 7 + power
    assert found.bias is not None
    np.testing.assert_array_equal(found.bias, np.array([bias, -bias]) * 2.0**power)
    np.testing.assert_allclose(found.weight, transform(weight) * 2.0**power, atol=0.5)


def test_integers_refuse_a_shift_that_cannot_be() -> None:
    assert integers(np.full((1, 1, 3, 3), 127, np.int8), None, 0) is None
    assert integers(np.zeros((1, 1, 3, 3), np.int8), None, 31) is None


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_the_op_rounds_shifts_and_saturates(kind: type[np.generic]) -> None:
    x, weight = noise(3, kind, (2, 4, 5, 6)), noise(4, np.int8, (3, 4, 4, 4))
    bias = noise(5, np.int16, (3,))
    got = result_of(
        compute.ConvOp, [x], (2, 3, 5, 6), np.int8,
        weight=ConstantAttr.of(weight), bias=ConstantAttr.of(bias), pad=i64s([1, 1, 1, 1]),
        shift=int_attr(11), winograd=BoolAttr.from_bool(True),
    )  # fmt: skip
    padded = np.pad(x.astype(np.int64), ((0, 0), (0, 0), (1, 3), (1, 3)))
    down = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    up = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
    for n, o, row, column in np.ndindex(got.shape):
        top, left = row // 2 * 2, column // 2 * 2
        tiles = padded[n, :, top : top + 4, left : left + 4]
        kernels = weight[o].astype(np.int64)
        inner = sum(w * (down @ d @ down.T) for w, d in zip(kernels, tiles, strict=True))
        total = int((up @ inner @ up.T)[row % 2, column % 2]) + int(bias[o])
        assert got[n, o, row, column] == clamped(shifted(total, 11), np.int8)
