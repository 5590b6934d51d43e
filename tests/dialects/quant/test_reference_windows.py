"""Convolution and pooling at the quant level, against loops over every element."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import BoolAttr

from dialects.constant import ConstantAttr
from dialects.quant import compute
from dialects.quant.arithmetic import reciprocal
from dialects.quant.base import i64s, int_attr
from dialects.quant.windows import window_size
from tests.dialects.quant.ops_by_hand import Array, clamped, noise, result_of, shifted

BOOL = {flag: BoolAttr.from_bool(flag) for flag in (False, True)}
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADS = st.tuples(*(st.integers(0, 2) for _ in range(4)))
SEEDS = st.integers(0, 1000)


def at(x: Array, n: int, c: int, y: int, z: int) -> Any:
    """An element, or None outside the map."""
    inside = 0 <= y < x.shape[2] and 0 <= z < x.shape[3]
    return x[n, c, y, z].item() if inside else None


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    kernel, stride, dilation, pad = draw(PAIR), draw(PAIR), draw(PAIR), draw(PADS)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    height = draw(st.integers(max(1, spans[0] - pad[0] - pad[1]), 7))
    width = draw(st.integers(max(1, spans[1] - pad[2] - pad[3]), 7))
    group, inputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return {
        "x": (draw(st.integers(1, 2)), group * inputs, height, width),
        "weight": (group * draw(st.integers(1, 2)), inputs, *kernel),
        "stride": stride,
        "dilation": dilation,
        "pad": pad,
        "group": group,
    }


def sums(case: dict[str, Any], x: Array, weight: Array, bias: Array | None) -> Array:
    """Sums of products in Python's numbers (of object dtype, or floats)."""
    (top, bottom, left, right), stride, dilation = case["pad"], case["stride"], case["dilation"]
    outputs, inputs, kh, kw = weight.shape
    oh = window_size(x.shape[2], kh, stride[0], top + bottom, dilation[0])
    ow = window_size(x.shape[3], kw, stride[1], left + right, dilation[1])
    y = np.zeros((x.shape[0], outputs, oh, ow), object)
    for n, o, r, s in np.ndindex(*y.shape):
        first = o // (outputs // case["group"]) * inputs
        total = 0 if bias is None else bias[o].item()
        for i, j, k in product(range(inputs), range(kh), range(kw)):
            row, column = r * stride[0] + j * dilation[0], s * stride[1] + k * dilation[1]
            value = at(x, n, first + i, row - top, column - left)
            total += 0 if value is None else value * weight[o, i, j, k].item()
        y[n, o, r, s] = total
    return y


def settings_of(case: dict[str, Any], weight: Array, bias: Array | None) -> dict[str, Any]:
    return {
        "weight": ConstantAttr.of(weight),
        "bias": None if bias is None else ConstantAttr.of(bias),
        "group": int_attr(case["group"]),
        **{name: i64s(case[name]) for name in ("stride", "dilation", "pad")},
    }


@given(convolutions(), SEEDS, st.booleans(), st.integers(0, 12))
def test_an_integer_convolution(
    case: dict[str, Any], seed: int, has_bias: bool, shift: int
) -> None:
    dtype, result = ((np.int8, np.uint8)[seed >> bit & 1] for bit in (0, 1))
    x, weight = noise(seed, dtype, case["x"]), noise(seed + 1, np.int8, case["weight"])
    bias = noise(seed + 2, np.int16, weight.shape[:1]) if has_bias else None
    expected = sums(case, x, weight, bias)
    got = result_of(
        compute.ConvOp,
        [x],
        expected.shape,
        result,
        shift=int_attr(shift),
        **settings_of(case, weight, bias),
    )
    exact = [clamped(shifted(v, shift), result) for v in expected.flat]
    assert got.reshape(-1).tolist() == exact


@given(convolutions(), SEEDS, st.booleans(), st.booleans())
def test_a_float_convolution(case: dict[str, Any], seed: int, has_bias: bool, relu: bool) -> None:
    x, weight = noise(seed, np.float32, case["x"]), noise(seed + 1, np.float32, case["weight"])
    bias = noise(seed + 2, np.float32, weight.shape[:1]) if has_bias else None
    expected = sums(case, x, weight, bias).astype(np.float64)
    settings: dict[str, Any] = settings_of(case, weight, bias) | {"relu": BOOL[relu]}
    got = result_of(compute.ConvOp, [x], expected.shape, np.float32, **settings)
    np.testing.assert_allclose(got, np.maximum(expected, 0) if relu else expected, atol=1e-5)


@given(convolutions(), SEEDS, st.booleans())
def test_a_float_convolution_on_top_of_a_tensor(
    case: dict[str, Any], seed: int, relu: bool
) -> None:
    x, weight = noise(seed, np.float32, case["x"]), noise(seed + 1, np.float32, case["weight"])
    expected = sums(case, x, weight, None)
    addend = noise(seed + 2, np.float32, expected.shape)
    settings: dict[str, Any] = settings_of(case, weight, None) | {"relu": BOOL[relu]}
    got = result_of(compute.ConvAddOp, [x, addend], expected.shape, np.float32, **settings)
    total = expected.astype(np.float64) + addend
    np.testing.assert_allclose(got, np.maximum(total, 0) if relu else total, atol=1e-5)


def test_a_large_accumulator_is_exact() -> None:
    x = np.full((1, 4000, 3, 3), -128, np.int8)
    weight = np.full((1, 4000, 3, 3), -128, np.int8)
    weight[0, 0, 0, 0] = -127
    settings = {"weight": ConstantAttr.of(weight), "shift": int_attr(23)}
    got = result_of(compute.ConvOp, [x], (1, 1, 1, 1), np.int8, **settings)
    assert got.item() == shifted(4000 * 9 * 128 * 128 - 128, 23)


@st.composite
def poolings(draw: st.DrawFn) -> dict[str, Any]:
    """A pooling whose last windows may be clipped, but begin inside the padded map."""
    kernel, stride = draw(PAIR), draw(PAIR)
    pad = [draw(st.integers(0, k - 1)) for k in (kernel[0], kernel[0], kernel[1], kernel[1])]
    sizes = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    out: list[int] = []
    for axis, size in enumerate(sizes):
        ends = size + pad[2 * axis + 1]
        most = max(1, -(-(ends + pad[2 * axis]) // stride[axis]))
        fits = [o for o in range(1, most + 1) if (o - 1) * stride[axis] - pad[2 * axis] < size]
        out.append(draw(st.sampled_from(fits)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    return {
        "x": (*shape, *sizes),
        "y": (*shape, *out),
        "kernel": kernel,
        "stride": stride,
        "pad": pad,
    }


def window(case: dict[str, Any], x: Array, index: tuple[int, ...]) -> tuple[list[Any], int]:
    """The elements of the map under a window, and its area: padding counts, what is clipped not."""
    n, c, r, s = index
    pad = case["pad"]
    rows, columns = (
        [i for i in range(begin, begin + case["kernel"][axis]) if i < end]
        for axis, (begin, end) in enumerate(
            (
                (r * case["stride"][0] - pad[0], x.shape[2] + pad[1]),
                (s * case["stride"][1] - pad[2], x.shape[3] + pad[3]),
            )
        )
    )
    found = [at(x, n, c, i, j) for i in rows for j in columns]
    return [v for v in found if v is not None], len(rows) * len(columns)


def pool_settings(case: dict[str, Any]) -> dict[str, Any]:
    return {name: i64s(case[name]) for name in ("kernel", "stride", "pad")}


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float32])
@given(case=poolings(), seed=SEEDS)
def test_max_pooling(dtype: Any, case: dict[str, Any], seed: int) -> None:
    x = noise(seed, dtype, case["x"])
    got = result_of(compute.MaxPoolOp, [x], case["y"], dtype, **pool_settings(case))
    for index in np.ndindex(*case["y"]):
        values, _ = window(case, x, index)
        assert not values or got[index] == max(values)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@given(case=poolings(), seed=SEEDS)
def test_integer_average_pooling(dtype: Any, case: dict[str, Any], seed: int) -> None:
    x = noise(seed, dtype, case["x"])
    got = result_of(compute.AveragePoolOp, [x], case["y"], dtype, **pool_settings(case))
    for index in np.ndindex(*case["y"]):
        values, area = window(case, x, index)
        multiplier, shift = reciprocal(area)
        assert got[index] == clamped(shifted(sum(values) * multiplier, shift), dtype)


@given(poolings(), SEEDS)
def test_float_average_pooling(case: dict[str, Any], seed: int) -> None:
    x = noise(seed, np.float32, case["x"])
    got = result_of(compute.AveragePoolOp, [x], case["y"], np.float32, **pool_settings(case))
    for index in np.ndindex(*case["y"]):
        values, area = window(case, x, index)
        np.testing.assert_allclose(got[index], sum(values) / area, atol=1e-6)
