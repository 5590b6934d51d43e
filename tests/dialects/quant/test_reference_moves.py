"""The meaning of the ops that move rows and columns, beside loops over single elements."""

from __future__ import annotations

from itertools import product
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import FloatAttr, f32
from xdsl.utils.exceptions import VerifyException

from dialects.constant import ConstantAttr
from dialects.quant import movement
from dialects.quant.base import i64s, int_attr
from tests.dialects.quant.ops_by_hand import clamped, noise, result_of, shifted

KINDS = [np.float32, np.int8, np.uint8]
SEEDS = st.integers(0, 99)


def indices_of(*values: int) -> ConstantAttr:
    return ConstantAttr.of(np.array(values, np.int32))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=SEEDS, axis=st.integers(0, 2), wanted=st.lists(st.integers(-1, 2), min_size=1))
def test_take(kind: Any, seed: int, axis: int, wanted: list[int]) -> None:
    x, shape = noise(seed, kind, (3, 4, 3)), [3, 4, 3]
    shape[axis] = len(wanted)
    y = result_of(
        movement.TakeOp, [x], shape, kind,
        axis=int_attr(axis), indices=indices_of(*wanted), fill=FloatAttr(7.0, f32),
    )  # fmt: skip
    for place in np.ndindex(*shape):
        source = list(place)
        source[axis] = wanted[place[axis]]
        assert y[place] == (7 if source[axis] < 0 else x[tuple(source)])


@pytest.mark.parametrize("kind", KINDS)
@given(
    seed=SEEDS, axis=st.integers(2, 3),
    wanted=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 127)), min_size=1, max_size=5),
)  # fmt: skip
def test_interpolate(kind: Any, seed: int, axis: int, wanted: list[tuple[int, int]]) -> None:
    x, shape = noise(seed, kind, (1, 2, 4, 4)), [1, 2, 4, 4]
    shape[axis] = len(wanted)
    parts: list[int] = [0 if first == 3 else part for first, part in wanted]
    is_float = kind is np.float32
    weights: Any = np.array(parts, np.int8)
    weights = weights.astype(np.float32) / np.float32(128) if is_float else weights
    y = result_of(
        movement.InterpolateOp, [x], shape, kind, axis=int_attr(axis),
        indices=indices_of(*(first for first, _ in wanted)), weights=ConstantAttr.of(weights),
    )  # fmt: skip
    for place in product(*map(range, shape)):
        near, far = list(place), list(place)
        near[axis] = wanted[place[axis]][0]
        far[axis] = min(near[axis] + 1, 3)
        part = parts[place[axis]]
        a, b = x[tuple(near)], x[tuple(far)]
        if is_float:
            expected = float(a) * (1 - part / 128) + float(b) * part / 128
            assert abs(y[place] - expected) <= 1e-5 * max(abs(float(a)), abs(float(b)))
        else:
            total = int(a) * (128 - part) + int(b) * part
            assert y[place] == clamped(shifted(total, 7), kind)


@pytest.mark.parametrize("operands", [1, 2, 6])
@pytest.mark.parametrize("kind", [np.float32, np.int8])
def test_interleave(kind: Any, operands: int) -> None:
    """Phases of 3 channels, of which 2 count."""
    phases = [noise(i, kind, (2, 3, 4, 2)) for i in range(6)]
    each = 6 // operands
    xs = [np.concatenate(phases[i * each : (i + 1) * each], 1) for i in range(operands)]
    y = result_of(
        movement.InterleaveOp, xs, (2, 2, 6, 4), kind, step=i64s([2, 3]), begin=i64s([1, 2])
    )
    for n, c, i, j in np.ndindex(2, 2, 6, 4):
        (row, down), (column, across) = divmod(i + 1, 2), divmod(j + 2, 3)
        assert y[n, c, i, j] == phases[down * 3 + across][n, c, row, column]


WINDOWS = [((2, 2), (2, 2), (0, 0)), ((3, 2), (2, 1), (1, 0)), ((3, 3), (1, 2), (1, 1))]


@pytest.mark.parametrize(("kernel", "stride", "pad"), WINDOWS)
def test_places_of_maxima_and_back(kernel: Any, stride: Any, pad: Any) -> None:
    """Equal numbers: the first one. Of numbers on one place the last window's stays."""
    x = np.random.default_rng(0).integers(0, 4, (2, 3, 6, 7)).astype(np.float32)
    height, width = 6, 7
    sizes = zip((height, width), kernel, stride, pad, strict=True)
    counts = [floor((s - k) / d) + 1 + (p > 0) for s, k, d, p in sizes]
    shape = (2, 3, *counts)
    pooled, places = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for n, c, i, j in np.ndindex(*shape):
        window = [
            (row, column)
            for row in range(i * stride[0] - pad[0], i * stride[0] - pad[0] + kernel[0])
            for column in range(j * stride[1] - pad[1], j * stride[1] - pad[1] + kernel[1])
            if 0 <= row < height and 0 <= column < width
        ]
        best = max(window, key=lambda at: x[n, c, at[0], at[1]])
        pooled[n, c, i, j] = x[n, c, best[0], best[1]]
        places[n, c, i, j] = best[0] * width + best[1]
    settings = {"kernel": i64s(kernel), "stride": i64s(stride), "pad": i64s(pad)}
    found = result_of(movement.PoolIndexOp, [x, pooled], shape, np.float32, **settings)
    np.testing.assert_array_equal(found, places)
    numbers = noise(1, np.float32, shape)
    back = result_of(movement.UnpoolOp, [numbers, places], x.shape, np.float32, **settings)
    expected = np.zeros(x.shape, np.float32)
    for n, c, i, j in np.ndindex(*shape):
        row, column = divmod(int(places[n, c, i, j]), width)
        expected[n, c, row, column] = numbers[n, c, i, j]
    np.testing.assert_array_equal(back, expected)


def test_what_is_wrong_is_refused() -> None:
    x = noise(0, np.int8, (1, 2, 4, 4))
    half = ConstantAttr.of(np.array([64], np.int8))
    with pytest.raises(VerifyException, match="indices must be -1 to 3"):
        result_of(
            movement.TakeOp, [x], (1, 2, 1, 4), np.int8, axis=int_attr(2), indices=indices_of(4)
        )
    with pytest.raises(VerifyException, match="a weight has no second neighbour"):
        result_of(
            movement.InterpolateOp, [x], (1, 2, 1, 4), np.int8,
            axis=int_attr(2), indices=indices_of(3), weights=half,
        )  # fmt: skip
    with pytest.raises(VerifyException, match="the result leaves its phases along axis 3"):
        result_of(movement.InterleaveOp, [x, x], (1, 2, 4, 9), np.int8, step=i64s([1, 2]))
