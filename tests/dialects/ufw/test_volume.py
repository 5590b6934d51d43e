"""Layers over time, height and width, against onnxruntime; and that the NPU agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.ir import SSAValue

from bmnetu.errors import UnsupportedError
from dialects.constant import Array
from dialects.execute import execute
from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops
from dialects.ufw.layer import SI8, LayerOp, Top, shape_of
from dialects.ufw.reference import evaluate
from tests.dialects.ufw.test_ops import value
from tests.frontend.samples import data, layer, layers_of, loaded, main_of
from tests.one_layer import check
from tests.onnx_runtime import onnx_result

T = Top("t")
MAX, AVERAGE = ops.PoolingKind.MAX, ops.PoolingKind.AVERAGE
FEW = settings(max_examples=25, deadline=None)


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def triple(least: int, most: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(least, most)] * 3)


@given(
    kernel=triple(1, 3), stride=triple(1, 3), pad=triple(0, 2), dilation=triple(1, 2),
    group=st.sampled_from([1, 2]),
)  # fmt: skip
@FEW
def test_convolution(
    kernel: tuple[int, ...], stride: tuple[int, ...], pad: tuple[int, ...],
    dilation: tuple[int, ...], group: int,
) -> None:  # fmt: skip
    x, weight, bias = noise(2, 4, 5, 6, 7), noise(6, 4 // group, *kernel, seed=1), noise(6)
    op = ops.ConvolutionNdOp(
        value(*x.shape), T, weight, bias, stride=stride, pad=pad, dilation=dilation, group=group
    )
    expected = onnx_result(
        "Conv", [x], [weight, bias], strides=stride, pads=[*pad, *pad], dilations=dilation,
        group=group,
    )  # fmt: skip
    (found,) = evaluate(op, [x])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@given(
    kernel=triple(1, 3), stride=triple(1, 3), pad=triple(0, 1), kind=st.sampled_from([MAX, AVERAGE])
)
@FEW
def test_pooling(
    kernel: tuple[int, ...], stride: tuple[int, ...], pad: tuple[int, ...], kind: ops.PoolingKind
) -> None:
    pad = tuple(min(p, k - 1) for p, k in zip(pad, kernel, strict=True))
    x = noise(2, 3, 5, 6, 7)
    op = ops.PoolingNdOp(
        value(*x.shape), T, kind, kernel, stride=stride, pad=pad, ceil_mode=False
    )
    operator = "MaxPool" if kind is MAX else "AveragePool"
    more: dict[str, Any] = {} if kind is MAX else {"count_include_pad": 1}
    expected = onnx_result(
        operator, [x], kernel_shape=kernel, strides=stride, pads=[*pad, *pad], **more
    )
    (found,) = evaluate(op, [x])
    np.testing.assert_allclose(found, expected, atol=1e-5)


VOLUME = (2, 4, 5, 6, 7)


def integers(*shape: int) -> Array:
    return np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "dilation", "group"),
    [
        ((3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
        ((2, 3, 1), (2, 2, 1), (1, 1, 0), (2, 1, 1), 2),
        ((1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1),
        ((1, 2, 2), (1, 16, 2), (0, 16, 3), (1, 1, 2), 1),
        ((3, 1, 1), (1, 1, 1), (2, 0, 0), (1, 1, 1), 4),
    ],
)
def test_the_npu_convolves(
    kernel: tuple[int, ...], stride: tuple[int, ...], pad: tuple[int, ...],
    dilation: tuple[int, ...], group: int, integer: bool,
) -> None:  # fmt: skip
    shape = (6 if group < 4 else 4, 4 // group, *kernel)
    weight, bias, top, shift = noise(*shape), noise(shape[0]), T, None
    if integer:
        weight, bias = integers(*shape), np.arange(shape[0]).astype(np.int16)
        top, shift = Top("t", SI8, ScaleAttr.of(0.05)), 9

    def build(x: SSAValue) -> LayerOp:
        return ops.ConvolutionNdOp(
            x, top, weight, bias, stride=stride, pad=pad, dilation=dilation, group=group,
            right_shift=shift,
        )  # fmt: skip

    check(build, VOLUME, integer=integer)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("kind", [MAX, AVERAGE])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [((2, 2, 2), (2, 2, 2), (0, 0, 0)), ((3, 3, 2), (2, 1, 3), (1, 1, 1)),
     ((1, 6, 7), (1, 1, 1), (0, 0, 0)), ((5, 1, 1), (1, 1, 1), (0, 0, 0))],
)  # fmt: skip
def test_the_npu_pools(
    kind: ops.PoolingKind, kernel: tuple[int, ...], stride: tuple[int, ...],
    pad: tuple[int, ...], integer: bool,
) -> None:  # fmt: skip
    top = Top("t", SI8, ScaleAttr.of(0.05)) if integer else T

    def build(x: SSAValue) -> LayerOp:
        return ops.PoolingNdOp(x, top, kind, kernel, stride=stride, pad=pad)

    check(build, VOLUME, integer=integer)


@given(
    kernel=st.integers(1, 4), stride=st.integers(1, 3), pad=st.integers(0, 2),
    dilation=st.integers(1, 2), group=st.sampled_from([1, 2]),
)  # fmt: skip
@FEW
def test_convolution_of_one_axis(
    kernel: int, stride: int, pad: int, dilation: int, group: int
) -> None:
    x, weight = noise(2, 4, 9), noise(6, 4 // group, kernel, seed=1)

    def build(x: SSAValue) -> LayerOp:
        return ops.ConvolutionNdOp(
            x, T, weight, stride=[stride], pad=[pad], dilation=[dilation], group=group
        )

    op = build(value(*x.shape))
    expected = onnx_result(
        "Conv", [x], [weight], strides=[stride], pads=[pad, pad], dilations=[dilation], group=group
    )
    np.testing.assert_allclose(evaluate(op, [x])[0], expected, atol=1e-4)
    check(build, (2, 4, 9), opts=[2])


@pytest.mark.parametrize("kind", [MAX, AVERAGE])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 7), (3, 16), (34, 4), (33, 61)])
def test_spatial_pyramid(kind: ops.PoolingKind, height: int, width: int) -> None:
    """Where the map divides into the bins, each is a plain maximum or mean."""
    x = noise(2, 3, height, width)
    op = ops.SPPOp(value(*x.shape), T, kind, 2)
    found = evaluate(op, [x])[0]
    reduce = np.max if kind is MAX else np.mean
    np.testing.assert_allclose(found[:, :3], reduce(x, axis=(2, 3)), atol=1e-6)
    if height % 2 == width % 2 == 0:
        halves = reduce(x.reshape(2, 3, 2, height // 2, 2, width // 2), axis=(3, 5))
        np.testing.assert_allclose(found[:, 3:], halves.reshape(2, -1), atol=1e-6)
    for top in (T, Top("t", SI8, ScaleAttr.of(0.05))):

        def build(x: SSAValue, top: Top = top) -> LayerOp:
            return ops.SPPOp(x, top, kind, 2)

        check(build, x.shape, integer=top is not T)


def test_crelu(tmp_path: Path) -> None:
    network = loaded(tmp_path, data(2, 4, 5, 6) + layer("CReLU", "relu_param { }"))
    x = noise(2, 4, 5, 6)
    found = execute(main_of(network), [x], evaluate)[0]
    np.testing.assert_array_equal(found, np.maximum(np.concatenate([x, -x], axis=1), 0))


C3D = (
    "convolution3d_param { num_output: 6 kernel_size: 3 kernel_depth: 2 pad: 1 temporal_pad: 1"
    " stride: 2 temporal_stride: 1 bias_term: false }"
)
POOL = "pooling3d_param { pool: AVE kernel_size: 2 kernel_depth: 3 stride: 2 temporal_stride: 2 }"
PLAIN = "convolution_param { num_output: 6 kernel_size: %s pad: 1 }"


@pytest.mark.parametrize(
    ("kind", "rest", "shape"),
    [
        ("Convolution3D", C3D, (2, 6, 6, 3, 4)),
        ("Pooling3D", POOL, (2, 4, 2, 3, 4)),
        ("Convolution", PLAIN % "3", (2, 6, 5, 6, 7)),
        ("Convolution", PLAIN % "[1, 3, 5]", (2, 6, 7, 6, 5)),
    ],
)
def test_import(tmp_path: Path, kind: str, rest: str, shape: tuple[int, ...]) -> None:
    network = loaded(tmp_path, data(*VOLUME) + layer(kind, rest))
    assert shape_of(layers_of(network)[0].results[0]) == shape


@pytest.mark.parametrize(
    ("kind", "rest", "shape"),
    [
        ("Convolution", PLAIN % "3", (2, 6, 9)),
        ("Pooling", "pooling_param { kernel_size: 2 stride: 2 }", (2, 4, 5)),
        ("Pooling", "pooling_param { global_pooling: true pool: AVE }", (2, 4, 1)),
    ],
)
def test_import_of_one_axis(
    tmp_path: Path, kind: str, rest: str, shape: tuple[int, ...]
) -> None:
    network = loaded(tmp_path, data(2, 4, 9) + layer(kind, rest))
    assert shape_of(layers_of(network)[0].results[0]) == shape


@pytest.mark.parametrize(
    ("kind", "rest", "sentence"),
    [
        ("Convolution3D", C3D.replace("kernel_depth: 2", ""), "kernel_depth is missing"),
        ("Convolution3D", C3D.replace("depth: 2", "depth: 8"), "of extent 8 is larger"),
        ("Convolution3D", C3D.replace("temporal_stride: 1", "temporal_stride: 0"), "at least 1"),
        ("Convolution", PLAIN % "[1, 3]", "kernel_size requires 1 or 3 numbers, has 2"),
        ("Convolution", PLAIN % "1 pad_h: 2", "pad_h of a convolution over 3 axes"),
        ("Pooling3D", POOL.replace("AVE", "STOCHASTIC"), "stochastic pooling"),
        ("Pooling3D", POOL.replace("kernel_depth: 3", ""), "kernel_depth is missing or 0"),
    ],
)
def test_what_is_refused(tmp_path: Path, kind: str, rest: str, sentence: str) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        loaded(tmp_path, data(*VOLUME) + layer(kind, rest))
