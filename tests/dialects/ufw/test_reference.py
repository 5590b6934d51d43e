"""The float reference against Caffe's rules written out as loops over single numbers."""

from __future__ import annotations

from math import ceil, exp, floor, tanh

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.dialects import test as xdsl_test
from xdsl.dialects.builtin import TensorType, f32
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import VerifyException

from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops
from dialects.ufw.facts import LayerFacts
from dialects.ufw.layer import SI8, LayerOp, shape_of
from dialects.ufw.ops import EltwiseOperation, PoolingKind, Top
from dialects.ufw.reference import EvaluationError, evaluate

Floats = NDArray[np.float32]
T = Top("t")


def noise(*shape: int) -> Floats:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def value(array: Floats) -> SSAValue:
    return xdsl_test.TestOp(result_types=[TensorType(f32, array.shape)]).results[0]


def run(op: LayerOp, *inputs: Floats) -> list[Floats]:
    op.verify()
    results = evaluate(op, inputs)
    assert [r.shape for r in results] == [shape_of(result) for result in op.results]
    assert all(result.dtype == np.float32 for result in results)
    return results


def close(found: Floats, expected: Floats) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def slow_convolution(
    x: Floats,
    w: Floats,
    stride: tuple[int, int],
    pad: Sides,
    dilation: tuple[int, int],
    group: int,
    shape: tuple[int, ...],
) -> Floats:
    y = np.zeros(shape, np.float32)
    per_group = w.shape[0] // group
    for n, o, i, j in np.ndindex(*shape):
        for c, a, b in np.ndindex(*w.shape[1:]):
            row = i * stride[0] - pad[0] + a * dilation[0]
            column = j * stride[1] - pad[2] + b * dilation[1]
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                channel = o // per_group * w.shape[1] + c
                y[n, o, i, j] += w[o, c, a, b] * x[n, channel, row, column]
    return y  # fmt: skip


SMALL = st.integers(1, 3)
Sides = tuple[int, int, int, int]
"""Pads: top, bottom, left, right."""
SIDES = st.tuples(*[st.integers(0, 2)] * 4)
PAIR = st.tuples(SMALL, SMALL)


@settings(max_examples=150, deadline=None)
@given(
    group=SMALL,
    inputs=SMALL,
    outputs=SMALL,
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=PAIR,
    stride=PAIR,
    dilation=PAIR,
    pad=SIDES,
)
def test_convolution(
    group: int,
    inputs: int,
    outputs: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pad: Sides,
) -> None:
    x = noise(2, group * inputs, *size)
    w, b = noise(group * outputs, inputs, *kernel), noise(group * outputs)
    try:
        op = ops.ConvolutionOp(
            value(x), T, w, b, stride=stride, pad=pad, dilation=dilation, group=group
        )
    except VerifyException:
        return
    y = run(op, x)[0]
    slow = slow_convolution(x, w, stride, pad, dilation, group, y.shape)
    close(y, slow + b.reshape(1, -1, 1, 1))


def slow_pooling(
    x: Floats,
    kind: PoolingKind,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: Sides,
    ceil_mode: bool,
) -> Floats | None:
    """Caffe's loops; None where a window would be empty, which Caffe fills with -FLT_MAX, or where
    there is no window."""
    counts: list[int] = []
    for size, k, s, p in zip(x.shape[2:], kernel, stride, (pad[:2], pad[2:]), strict=True):
        steps = (size + sum(p) - k) / s
        count = (ceil(steps) if ceil_mode else floor(steps)) + 1
        if any(pad) and (count - 1) * s >= size + p[0]:
            count -= 1
        counts.append(count)
    if min(counts) < 1:
        return None
    y = np.zeros((*x.shape[:2], *counts), np.float32)
    for n, c, i, j in np.ndindex(*y.shape):
        top, left = i * stride[0] - pad[0], j * stride[1] - pad[2]
        bottom = min(top + kernel[0], x.shape[2] + pad[1])
        right = min(left + kernel[1], x.shape[3] + pad[3])
        area = (bottom - top) * (right - left)
        window = x[n, c, max(top, 0) : bottom, max(left, 0) : right]
        if window.size == 0:
            return None
        y[n, c, i, j] = window.max() if kind == PoolingKind.MAX else window.sum() / area
    return y  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(list(PoolingKind)),
    ceil_mode=st.booleans(),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    kernel=PAIR,
    stride=PAIR,
    pad=SIDES,
)
def test_pooling(
    kind: PoolingKind,
    ceil_mode: bool,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: Sides,
) -> None:
    x = noise(2, 2, *size)
    fits = max(pad[:2]) < kernel[0] and max(pad[2:]) < kernel[1]
    expected = slow_pooling(x, kind, kernel, stride, pad, ceil_mode) if fits else None
    try:
        op = ops.PoolingOp(value(x), T, kind, kernel, stride=stride, pad=pad, ceil_mode=ceil_mode)
    except VerifyException:
        assert expected is None
        return
    assert expected is not None
    close(run(op, x)[0], expected)


def test_inner_product_from_an_axis() -> None:
    x, w, b = noise(2, 3, 4, 5), noise(6, 20), noise(6)
    y = run(ops.InnerProductOp(value(x), T, w, b, axis=2), x)[0]
    close(y, np.einsum("abcd,ncd->abn", x, w.reshape(6, 4, 5)) + b)


def test_batch_norm() -> None:
    x, mean, variance = noise(2, 3, 4), noise(3), noise(3) ** 2
    op = ops.BatchNormOp(value(x), T, mean=mean, variance=variance, eps=0.01)
    y = run(op, x)[0]
    for c in range(3):
        close(y[:, c], (x[:, c] - mean[c]) / np.sqrt(variance[c] + np.float32(0.01)))


def test_scale_and_bias_broadcast_from_their_axis() -> None:
    x, w, b = noise(2, 3, 4, 5), noise(3, 4), noise(3, 4)
    wide, add = w[None, :, :, None], b[None, :, :, None]
    close(run(ops.ScaleOp(value(x), T, weight=w, bias=b), x)[0], x * wide + add)
    close(run(ops.ScaleOp(value(x), T, value(w)), x, w)[0], x * wide)
    close(run(ops.BiasOp(value(x), T, bias=b), x)[0], x + add)
    close(run(ops.BiasOp(value(x), T, value(b)), x, b)[0], x + add)


def scalar(y: float) -> Floats:
    return np.float32(y).reshape(1)


@pytest.mark.parametrize("x", [-3.0, -0.5, 0.0, 0.25, 4.0])
def test_pointwise(x: float) -> None:
    a, v = scalar(x), value(scalar(x))
    close(run(ops.ReLUOp(v, T), a)[0], scalar(max(x, 0)))
    close(run(ops.ReLUOp(v, T, 0.1), a)[0], scalar(x if x > 0 else 0.1 * x))
    close(run(ops.PReLUOp(v, T, scalar(0.2)), a)[0], scalar(x if x > 0 else 0.2 * x))
    close(run(ops.PointwiseOp(v, T, "sigmoid"), a)[0], scalar(1 / (1 + exp(-x))))
    close(run(ops.PointwiseOp(v, T, "tanh"), a)[0], scalar(tanh(x)))
    close(run(ops.DropoutOp(v, T), a)[0], a)
    power = ops.PointwiseOp(v, T, "power", power=2, scale=3, shift=-1)
    close(run(power, a)[0], scalar((3 * x - 1) ** 2))


def test_prelu_has_a_slope_per_channel() -> None:
    x, slope = noise(2, 3, 4), noise(3)
    y = run(ops.PReLUOp(value(x), T, slope), x)[0]
    for c in range(3):
        close(y[:, c], np.where(x[:, c] > 0, x[:, c], slope[c] * x[:, c]))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_of_large_numbers(axis: int) -> None:
    x = noise(2, 3, 4) * 200
    y = run(ops.SoftmaxOp(value(x), T, axis), x)[0]
    wide = x.astype(np.float64)
    expected = np.exp(wide - wide.max(axis, keepdims=True))
    close(y, (expected / expected.sum(axis, keepdims=True)).astype(np.float32))


def test_eltwise() -> None:
    a, b, c = noise(6, 3)[:2], noise(5, 3)[:2], noise(4, 3)[:2]
    values = [value(a)] * 3
    sums = ops.EltwiseOp(values, T, EltwiseOperation.SUM, [1, -2, -1])
    close(run(sums, a, b, c)[0], a - b - b - c)
    close(run(ops.EltwiseOp(values, T, EltwiseOperation.SUM), a, b, c)[0], a + b + c)
    close(run(ops.EltwiseOp(values, T, EltwiseOperation.PRODUCT), a, b, c)[0], a * b * c)
    expected = np.maximum(np.maximum(a, b), c)
    close(run(ops.EltwiseOp(values, T, EltwiseOperation.MAX), a, b, c)[0], expected)


def test_movement() -> None:
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    v, two = value(x), [Top("a"), Top("b")]
    parts = run(ops.SliceOp(v, two, [1, 3], axis=3), x)
    assert [part.tolist() for part in parts] == [x[..., :1].tolist(), x[..., 1:].tolist()]
    both = ops.ConcatOp([value(part) for part in parts], T, 3)
    assert (run(both, *parts)[0] == x).all()
    assert all((copy == x).all() for copy in run(ops.SplitOp(v, two), x))
    assert (run(ops.FlattenOp(v, T, axis=1, end_axis=3), x)[0] == x.reshape(1, 24)).all()
    assert (run(ops.ReshapeOp(v, T, (6, 4)), x)[0] == x.reshape(6, 4)).all()
    turned = run(ops.PermuteOp(v, T, (0, 3, 1, 2)), x)[0]
    assert turned[0, 3, 1, 2] == x[0, 1, 2, 3]
    assert run(ops.SilenceOp([v]), x) == []


def test_every_op_has_a_meaning() -> None:
    assert not [op for op in ops.ALL_OPS if op.meaning is LayerFacts.meaning]


def test_integer_layers_and_strangers_are_refused() -> None:
    x = noise(1, 4, 2, 2)
    top = Top("t", SI8, ScaleAttr.of(1.0))
    op = ops.ConvolutionOp(value(x), top, np.ones((2, 4, 1, 1), np.int8), right_shift=1)
    with pytest.raises(EvaluationError, match="integer coefficients"):
        evaluate(op, [x])
    with pytest.raises(EvaluationError, match="no meaning in float32"):
        evaluate(xdsl_test.TestOp(), [])


def test_a_relu_with_an_upper_limit() -> None:
    x = noise(2, 3, 4, 5) * 10
    close(run(ops.ReLUOp(value(x), T, upper=6.0), x)[0], np.clip(x, 0, 6))


def test_lrn_by_single_numbers() -> None:
    x = noise(1, 4, 3, 3)
    (across,) = run(ops.LRNOp(value(x), T, size=3, alpha=0.6, beta=0.5, k=2), x)
    (within,) = run(ops.LRNOp(value(x), T, size=3, alpha=0.9, beta=0.5, k=2, within=True), x)
    for _, c, i, j in np.ndindex(*x.shape):
        channels = x[0, max(0, c - 1) : c + 2, i, j]
        window = x[0, c, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
        for found, around, factor in ((across, channels, 0.2), (within, window, 0.1)):
            wanted = x[0, c, i, j] * (2 + factor * (around.astype(float) ** 2).sum()) ** -0.5
            assert found[0, c, i, j] == pytest.approx(wanted, rel=1e-5)
