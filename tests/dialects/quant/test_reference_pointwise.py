"""The other ops of the quant level, against loops over every element."""

from __future__ import annotations

from math import exp, tanh
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, f32

from dialects.constant import ConstantAttr
from dialects.function_properties import function_properties
from dialects.quant import QUANT, compute, movement
from dialects.quant.base import i64s, int_attr
from tests.dialects.quant.ops_by_hand import SCALE, Array, clamped, noise, result_of, shifted

SHAPE = (2, 3, 4, 5)
SEEDS = st.integers(0, 1000)
INT8 = st.sampled_from([np.int8, np.uint8])
SHIFTS = st.integers(0, 14)
KIND = {str(kind): compute.EltwiseKindAttr(kind) for kind in compute.EltwiseKind}
ALL_BYTES = [np.arange(256).astype(np.uint8).view(dtype) for dtype in (np.int8, np.uint8)]


# -- element by element ----------------------------------------------------------------------------


@given(
    st.lists(st.tuples(INT8, st.integers(-128, 127)), min_size=1, max_size=4), INT8, SHIFTS, SEEDS
)
def test_an_integer_sum_saturates_after_every_term(
    terms: list[tuple[Any, int]], dtype: Any, shift: int, seed: int
) -> None:
    xs = [noise(seed + i, kind, SHAPE) for i, (kind, _) in enumerate(terms)]
    factors = [factor for _, factor in terms]
    got = result_of(
        compute.EltwiseOp, xs, SHAPE, dtype,
        kind=KIND["sum"], multipliers=i64s(factors), shift=int_attr(shift),
    )  # fmt: skip
    for index in np.ndindex(*SHAPE):
        total = 0
        for x, factor in zip(xs, factors, strict=True):
            total = clamped(total + int(x[index]) * factor, np.int16)
        assert got[index] == clamped(shifted(total, shift), dtype)


def test_the_order_of_an_integer_sum_counts() -> None:
    first, last = np.full((1,), 127, np.int8), np.full((1,), -128, np.int8)
    settings = {"multipliers": i64s([127] * 4), "shift": int_attr(8), "kind": KIND["sum"]}
    for xs, total in (
        ([first, first, first, last], 32767 - 128 * 127),
        ([last, first, first, first], 127 * 127 * 3 - 128 * 127),
    ):
        got = result_of(compute.EltwiseOp, xs, (1,), np.int8, **settings)
        assert got.tolist() == [shifted(total, 8)]


@given(INT8, INT8, INT8, SHIFTS, SEEDS)
def test_an_integer_product(a: Any, b: Any, dtype: Any, shift: int, seed: int) -> None:
    xs = [noise(seed, a, SHAPE), noise(seed + 1, b, SHAPE)]
    got = result_of(
        compute.EltwiseOp, xs, SHAPE, dtype, kind=KIND["product"], shift=int_attr(shift)
    )
    for index in np.ndindex(*SHAPE):
        product = int(xs[0][index]) * int(xs[1][index])
        assert got[index] == clamped(shifted(product, shift), dtype)


@given(INT8, st.integers(1, 3), SEEDS)
def test_an_integer_maximum(dtype: Any, count: int, seed: int) -> None:
    xs = [noise(seed + i, dtype, SHAPE) for i in range(count)]
    got = result_of(compute.EltwiseOp, xs, SHAPE, dtype, kind=KIND["max"])
    assert all(got[i] == max(int(x[i]) for x in xs) for i in np.ndindex(*SHAPE))


@given(st.sampled_from(["sum", "product", "max"]), st.booleans(), st.booleans(), SEEDS)
def test_float_eltwise(kind: str, weighted: bool, relu: bool, seed: int) -> None:
    xs = [noise(seed + i, np.float32, SHAPE) for i in range(3)]
    factors = [0.5, -2.0, 1.0] if weighted and kind == "sum" else [1.0, 1.0, 1.0]
    got = result_of(
        compute.EltwiseOp, xs, SHAPE, np.float32,
        kind=KIND[kind], relu=BoolAttr.from_bool(relu),
        coefficients=DenseArrayBase.from_list(f32, factors) if weighted else None,
    )  # fmt: skip
    for index in np.ndindex(*SHAPE):
        values = [float(x[index]) * f for x, f in zip(xs, factors, strict=True)]
        expected = {
            "sum": sum(values), "product": values[0] * values[1] * values[2], "max": max(values)
        }[kind]  # fmt: skip
        assert got[index] == pytest.approx(max(expected, 0) if relu else expected, abs=1e-5)


@given(INT8, INT8, st.integers(0, 127), SHIFTS)
def test_requantising(source: Any, dtype: Any, multiplier: int, shift: int) -> None:
    x = np.arange(256).astype(np.uint8).view(source)
    got = result_of(
        compute.RequantizeOp, [x], x.shape, dtype,
        multiplier=int_attr(multiplier), shift=int_attr(shift),
    )  # fmt: skip
    assert got.tolist() == [clamped(shifted(int(v) * multiplier, shift), dtype) for v in x]


@pytest.mark.parametrize("x", ALL_BYTES, ids=["int8", "uint8"])
@given(slopes=st.lists(st.integers(-128, 127), min_size=1, max_size=3), shift=SHIFTS)
def test_an_integer_prelu(x: Array, slopes: list[int], shift: int) -> None:
    slope, x = np.array(slopes, np.int8), np.tile(x, (1, len(slopes), 1, 1)).reshape(1, -1, 256)
    got = result_of(
        compute.PReluOp, [x], x.shape, x.dtype.type,
        slope=ConstantAttr.of(slope), shift=int_attr(shift),
    )  # fmt: skip
    for c, factor in enumerate(slopes):
        for value, y in zip(x[0, c].tolist(), got[0, c].tolist(), strict=True):
            scaled = clamped(shifted(value * factor, shift), x.dtype.type)
            assert y == (value if value >= 0 else scaled)


@given(st.integers(-128, 127), SHIFTS, st.integers(0, 127), SHIFTS)
def test_an_integer_prelu_into_another_scale(
    slope: int, shift: int, multiplier: int, multiplier_shift: int
) -> None:
    x = ALL_BYTES[0].reshape(1, 1, 256)
    got = result_of(
        compute.PReluOp, [x], x.shape, np.int8,
        slope=ConstantAttr.of(np.array([slope], np.int8)), shift=int_attr(shift),
        multiplier=int_attr(multiplier), multiplier_shift=int_attr(multiplier_shift),
    )  # fmt: skip
    for value, y in zip(x.ravel().tolist(), got.ravel().tolist(), strict=True):
        product = shifted(value * slope, shift)
        if value >= 0:
            product = shifted(value * multiplier, multiplier_shift)
        assert y == clamped(product, np.int8)


@pytest.mark.parametrize("count", [1, 3])
def test_a_float_prelu(count: int) -> None:
    x, slope = noise(0, np.float32, SHAPE), noise(1, np.float32, (count,))
    got = result_of(compute.PReluOp, [x], SHAPE, np.float32, slope=ConstantAttr.of(slope))
    for index in np.ndindex(*SHAPE):
        factor = 1 if x[index] >= 0 else slope[index[1] % count]
        assert got[index] == pytest.approx(x[index] * factor)


@pytest.mark.parametrize("x", ALL_BYTES, ids=["int8", "uint8"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_a_lookup_takes_the_byte_as_index(x: Array, dtype: Any) -> None:
    table = np.random.default_rng(1).permutation(256).astype(np.uint8)
    got = result_of(compute.LookupOp, [x], (256,), dtype, table=ConstantAttr.of(table))
    assert got.view(np.uint8).tolist() == [int(table[int(v) & 255]) for v in x]


@pytest.mark.parametrize("x", ALL_BYTES, ids=["int8", "uint8"])
def test_to_float_and_back(x: Array) -> None:
    real = result_of(compute.DequantizeOp, [x], (256,), np.float32)
    assert real.tolist() == [int(v) * SCALE for v in x]
    back = result_of(compute.QuantizeOp, [real], (256,), x.dtype.type)
    np.testing.assert_array_equal(back, x)
    ties = np.array([0.25, 0.75, -0.25, 1e9, -1e9], np.float32)
    assert result_of(compute.QuantizeOp, [ties], (5,), np.int8).tolist() == [0, 2, 0, 127, -128]


def test_to_indices_and_back() -> None:
    x = np.array([0, 1, 2.5, 3.4, 2**23 - 1, -7, 1e9], np.float32)
    made = result_of(compute.CastOp, [x], (7,), np.int32)
    assert made.tolist() == [0, 1, 2, 3, 2**23 - 1, 0, 2**23 - 1]
    assert result_of(compute.CastOp, [made], (7,), np.float32).tolist() == made.tolist()


# -- functions -------------------------------------------------------------------------------------


def function_of(name: str, x: Array, **parameters: float) -> Array:
    settings = function_properties(name, parameters)
    return result_of(compute.PointwiseFunctionOp, [x], x.shape, np.float32, **settings)


def test_sigmoid_and_tanh() -> None:
    x = np.concatenate([noise(2, np.float32, (50,)) * 5, np.array([-300, 0, 300], np.float32)])
    np.testing.assert_allclose(
        function_of("sigmoid", x), [1 / (1 + exp(-v)) for v in x.tolist()], rtol=1e-6, atol=1e-30
    )
    np.testing.assert_allclose(function_of("tanh", x), [tanh(v) for v in x.tolist()], rtol=1e-6)


@pytest.mark.parametrize(("power", "scale", "offset"), [(2, 0.5, 1), (0.5, -1, 9), (-1, 3, 30)])
def test_power(power: float, scale: float, offset: float) -> None:
    x = noise(3, np.float32, SHAPE)
    got = function_of("power", x, power=power, scale=scale, shift=offset)
    for index in np.ndindex(*SHAPE):
        assert got[index] == pytest.approx((offset + scale * float(x[index])) ** power, rel=1e-4)


@pytest.mark.parametrize("axis", range(4))
def test_softmax_along_every_axis(axis: int) -> None:
    x = noise(4, np.float32, SHAPE) * 30
    got = result_of(compute.SoftmaxOp, [x], SHAPE, np.float32, axis=int_attr(axis))
    rows = np.moveaxis(x, axis, -1).reshape(-1, SHAPE[axis]).astype(np.float64)
    for row, y in zip(rows, np.moveaxis(got, axis, -1).reshape(-1, SHAPE[axis]), strict=True):
        powers = [exp(v - row.max()) for v in row]
        np.testing.assert_allclose(y, [p / sum(powers) for p in powers], atol=1e-6)


# -- movement --------------------------------------------------------------------------------------


def test_moving_data() -> None:
    x, y = noise(5, np.int8, SHAPE), noise(6, np.int8, (2, 1, 4, 5))
    flat = result_of(movement.ReshapeOp, [x], (6, 20), np.int8)
    assert all(flat[n * 3 + c, h * 5 + w] == x[n, c, h, w] for n, c, h, w in np.ndindex(*SHAPE))
    turned = result_of(movement.TransposeOp, [x], (5, 2, 3, 4), np.int8, order=i64s([3, 0, 1, 2]))
    assert all(turned[w, n, c, h] == x[n, c, h, w] for n, c, h, w in np.ndindex(*SHAPE))
    joined = result_of(movement.ConcatOp, [x, y], (2, 4, 4, 5), np.int8, axis=int_attr(1))
    assert all(joined[n, c, h, w] == x[n, c, h, w] for n, c, h, w in np.ndindex(*SHAPE))
    assert all(joined[n, 3, h, w] == y[n, 0, h, w] for n, _, h, w in np.ndindex(*y.shape))
    part = result_of(
        movement.SliceOp, [x], (2, 3, 2, 5), np.int8, axis=int_attr(2), begin=int_attr(1)
    )
    assert all(part[n, c, h, w] == x[n, c, h + 1, w] for n, c, h, w in np.ndindex(*part.shape))
    wide = result_of(movement.BroadcastOp, [y], SHAPE, np.int8)
    assert all(wide[n, c, h, w] == y[n, 0, h, w] for n, c, h, w in np.ndindex(*SHAPE))


def test_every_op_of_the_dialect_is_tested() -> None:
    files = Path(__file__).parent.glob("test_reference_*.py")
    text = "".join(path.read_text() for path in files)
    assert [op.name for op in QUANT.operations if f".{op.__name__}," not in text] == []
