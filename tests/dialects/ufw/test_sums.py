"""Reductions and normalisations against onnxruntime, and Caffe's rules by single numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dialects.ufw import ops
from dialects.ufw.layer import LayerOp
from dialects.ufw.ops import ReduceOperation, Top
from dialects.ufw.reference import evaluate
from tests.dialects.ufw.test_ops import value
from tests.frontend.samples import data, layer, layers_of, loaded
from tests.onnx_runtime import onnx_result

Array = NDArray[np.float32]
T = Top("t")
SHAPES = st.tuples(*(st.sampled_from(sizes) for sizes in ((1, 2), (2, 4, 6), (1, 3, 5), (2, 7))))


def noise(shape: Sequence[int], seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0.5, 2, shape).astype(np.float32)


def meaning(op: LayerOp, x: Array) -> Array:
    op.verify()
    return evaluate(op, [x])[0]


REDUCES = {
    ReduceOperation.SUM: "ReduceSum", ReduceOperation.MEAN: "ReduceMean",
    ReduceOperation.MAX: "ReduceMax", ReduceOperation.MIN: "ReduceMin",
    ReduceOperation.PROD: "ReduceProd", ReduceOperation.L1: "ReduceL1",
    ReduceOperation.L2: "ReduceL2", ReduceOperation.SUM_SQUARES: "ReduceSumSquare",
}  # fmt: skip


@settings(max_examples=25)
@given(
    st.sampled_from(list(ReduceOperation)), SHAPES, st.sets(st.integers(0, 3), min_size=1),
    st.booleans(),
)  # fmt: skip
def test_reductions(
    kind: ReduceOperation, shape: tuple[int, ...], axes: set[int], keep: bool
) -> None:
    x, order = noise(shape), sorted(axes)
    ours = meaning(ops.ReduceOp(value(*shape), T, kind, order, keep_dims=keep), x)
    wanted = onnx_result(REDUCES[kind], [x, np.array(order, np.int64)], keepdims=int(keep))
    np.testing.assert_allclose(ours, wanted.reshape(ours.shape), rtol=1e-4, atol=1e-5)


@settings(max_examples=15)
@given(SHAPES, st.integers(0, 3), st.booleans())
def test_places(shape: tuple[int, ...], axis: int, smallest: bool) -> None:
    x = np.round(noise(shape))  # with equals
    op = ops.ArgOp(value(*shape), [T, Top("v")], [0, 1], axis=axis, smallest=smallest)
    places, numbers = evaluate(op, [x])
    wanted = onnx_result("ArgMin" if smallest else "ArgMax", [x], axis=axis)
    np.testing.assert_array_equal(places, wanted)
    np.testing.assert_array_equal(numbers, np.take_along_axis(x, wanted.astype(int), axis))


@settings(max_examples=15)
@given(SHAPES, st.integers(1, 3), st.floats(1e-6, 0.1))
def test_layer_norm(shape: tuple[int, ...], axis: int, eps: float) -> None:
    x, weight, bias = noise(shape), noise(shape[axis:], 1), noise(shape[axis:], 2)
    op = ops.StandardizeOp(
        value(*shape), T, range(axis, 4), eps=eps, weight=weight, bias=bias, affine_axis=axis
    )
    wanted = onnx_result("LayerNormalization", [x, weight, bias], axis=axis, epsilon=eps)
    np.testing.assert_allclose(meaning(op, x), wanted, rtol=1e-3, atol=1e-4)


@settings(max_examples=15)
@given(SHAPES, st.sampled_from([1, 2]), st.floats(1e-6, 0.1))
def test_group_and_instance_norm(shape: tuple[int, ...], groups: int, eps: float) -> None:
    x, weight, bias = noise(shape), noise(shape[1:2], 1), noise(shape[1:2], 2)
    given: dict[str, Any] = {"eps": eps, "weight": weight, "bias": bias}
    op = ops.StandardizeOp(value(*shape), T, groups=groups, **given)
    attributes: dict[str, Any] = {"num_groups": groups, "epsilon": eps}
    wanted = onnx_result("GroupNormalization", [x, weight, bias], **attributes)
    np.testing.assert_allclose(meaning(op, x), wanted, rtol=1e-3, atol=1e-4)
    op = ops.StandardizeOp(value(*shape), T, [2, 3], **given)
    wanted = onnx_result("InstanceNormalization", [x, weight, bias], epsilon=eps)
    np.testing.assert_allclose(meaning(op, x), wanted, rtol=1e-3, atol=1e-4)


def test_caffe_adds_eps_to_the_deviation() -> None:
    x = noise((2, 3, 4, 5))
    y = meaning(ops.StandardizeOp(value(*x.shape), T, [2, 3], eps=0.5, eps_outside=True), x)
    for image, channel in np.ndindex(2, 3):
        plane = x[image, channel]
        wanted = (plane - plane.mean()) / (plane.std() + 0.5)
        np.testing.assert_allclose(y[image, channel], wanted, rtol=1e-4, atol=1e-6)


def test_places_among_all_numbers_of_an_image() -> None:
    x = noise((2, 3, 4))
    y = meaning(ops.ArgOp(value(2, 3, 4), [T], [1], flat=True, pairs=True), x)
    assert y.shape == (2, 2, 1)
    assert y[:, 0, 0] == pytest.approx(x.reshape(2, -1).argmax(1))
    assert y[:, 1, 0] == pytest.approx(x.reshape(2, -1).max(1))


def test_argmax_can_look_for_the_smallest(tmp_path: Path) -> None:
    param = "argmax_param { axis: 1 operation: ARG_MIN }"
    network = loaded(tmp_path, data(2, 5, 3) + layer("ArgMax", param))
    (op,) = layers_of(network)
    x = noise((2, 5, 3))
    assert isinstance(op, LayerOp)
    np.testing.assert_array_equal(evaluate(op, [x])[0], x.argmin(axis=1)[:, None])
