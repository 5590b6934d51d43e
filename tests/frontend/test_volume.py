"""Convolution and pooling along one or three dimensions, against onnxruntime and on the NPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops
from dialects.ufw.layer import SI8, shape_of
from dialects.ufw.ops import PoolingKind, Top
from dialects.ufw.reference import evaluate
from tests.dialects.ufw.test_ops import value
from tests.dialects.ufw.test_sums import onnx_result
from tests.frontend.samples import data, layer, layers_of, loaded
from tests.one_layer import check

Array = NDArray[np.float32]
T = Top("t")


def noise(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(0, 1, shape).astype(np.float32)


@settings(max_examples=25)
@given(st.sampled_from([1, 3]), st.data())
def test_convolution(rank: int, draw: st.DataObject) -> None:
    def each(low: int, high: int, count: int = rank) -> list[int]:
        return draw.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    sizes, kernel, stride, pad = each(4, 7), each(1, 3), each(1, 3), each(0, 2, 2 * rank)
    dilation, group = each(1, 2), draw.draw(st.sampled_from([1, 2]))
    x, weight, bias = noise(2, 4, *sizes), noise(6, 4 // group, *kernel), noise(6)
    if any((k - 1) * d + 1 > size for k, d, size in zip(kernel, dilation, sizes, strict=True)):
        return
    op = ops.ConvolutionNdOp(
        value(*x.shape), T, weight, bias, stride=stride, pad=pad, dilation=dilation, group=group
    )
    op.verify()
    wanted = onnx_result(
        "Conv", [x, weight, bias], strides=stride, pads=[*pad[::2], *pad[1::2]],
        dilations=dilation, group=group,
    )  # fmt: skip
    np.testing.assert_allclose(evaluate(op, [x])[0], wanted, rtol=1e-4, atol=1e-4)


@settings(max_examples=25)
@given(st.sampled_from([1, 3]), st.booleans(), st.data())
def test_pooling(rank: int, maximum: bool, draw: st.DataObject) -> None:
    def each(low: int, high: int) -> list[int]:
        return draw.draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))

    sizes, kernel = each(3, 7), each(2, 3)
    stride = [min(k, s) for k, s in zip(kernel, each(1, 3), strict=True)]
    pad = [p for p in each(0, 1) for _ in "be"]
    x = noise(2, 3, *sizes)
    kind = PoolingKind.MAX if maximum else PoolingKind.AVERAGE
    op = ops.PoolingNdOp(
        value(*x.shape), T, kind, kernel, stride=stride, pad=pad, ceil_mode=False
    )
    op.verify()
    more = {} if maximum else {"count_include_pad": 1}
    wanted = onnx_result(
        "MaxPool" if maximum else "AveragePool", [x], kernel_shape=kernel, strides=stride,
        pads=[*pad[::2], *pad[1::2]], **more,
    )  # fmt: skip
    np.testing.assert_allclose(evaluate(op, [x])[0], wanted, rtol=1e-5, atol=1e-5)


VIDEO = (1, 4, 4, 5, 6)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((2, 4, 9), {"stride": [2], "pad": [1, 2], "dilation": [2]}),
        (VIDEO, {"stride": [1, 1, 1], "pad": [1, 1, 1, 1, 1, 1], "dilation": [1, 1, 1]}),
        (VIDEO, {"stride": [2, 2, 1], "pad": [1, 0, 0, 1, 1, 1], "dilation": [1, 1, 1]}),
        (VIDEO, {"stride": [1, 1, 1], "pad": [3, 0, 1, 1, 1, 1], "dilation": [1, 1, 1]}),
        ((2, *VIDEO[1:]), {"stride": [1, 1, 1], "pad": [1] * 6, "dilation": [2, 1, 1], "group": 2}),
    ],
)
def test_convolution_on_the_npu(shape: tuple[int, ...], settings: dict[str, list[int]]) -> None:
    rank, group = len(shape) - 2, int(settings.get("group", 1))  # type: ignore[call-overload]
    kernel = (6, 4 // group, *([3, 2, 3] if rank == 3 else [3]))
    weight = np.random.default_rng(0).integers(-100, 100, kernel).astype(np.int8)
    bias = np.random.default_rng(0).integers(-999, 999, 6).astype(np.int16)

    def floats(x: SSAValue) -> ops.LayerOp:
        real = [each.astype(np.float32) / 50 for each in (weight, bias)]
        return ops.ConvolutionNdOp(x, T, *real, **settings)  # type: ignore[arg-type]

    def integers(x: SSAValue) -> ops.LayerOp:
        top = Top("t", SI8, ScaleAttr.of(0.1))
        return ops.ConvolutionNdOp(x, top, weight, bias, right_shift=7, **settings)  # type: ignore[arg-type]

    assert check(floats, shape) <= 1e-5
    assert check(integers, shape, integer=True) == 0


@pytest.mark.parametrize("kind", list(PoolingKind))
@pytest.mark.parametrize("shape", [(2, 3, 9), (1, 3, 5, 6, 7)])
def test_pooling_on_the_npu(shape: tuple[int, ...], kind: PoolingKind) -> None:
    rank = len(shape) - 2
    for integer in (False, True):
        top = Top("t", SI8, ScaleAttr.of(0.05)) if integer else T

        def build(x: SSAValue, top: Top = top) -> ops.LayerOp:
            stride, pad = [2, 1, 2][:rank], [0, 1, 1, 0, 1, 1][: 2 * rank]
            return ops.PoolingNdOp(x, top, kind, [2, 3, 2][:rank], stride=stride, pad=pad)

        assert check(build, shape, integer=integer, opts=(0, 2)) <= 1e-5


SHAPES = [
    ((2, 4, 9), "Convolution", "convolution_param { num_output: 6 kernel_size: 3 pad: 1 }",
     (2, 6, 9)),
    ((2, 4, 9), "Pooling", "pooling_param { kernel_size: 2 stride: 2 }", (2, 4, 5)),
    ((1, 3, 8, 9, 9), "Convolution",
     "convolution_param { num_output: 6 kernel_size: [3, 3, 1] stride: 2 pad: [1, 1, 0] }",
     (1, 6, 4, 5, 5)),
    ((1, 3, 8, 9, 9), "Convolution3D", "convolution3d_param { num_output: 6 kernel_size: 3 "
     "kernel_depth: 2 pad: 1 temporal_pad: 1 stride: 2 temporal_stride: 1 bias_term: false }",
     (1, 6, 9, 5, 5)),
    ((1, 3, 8, 9, 9), "Pooling3D", "pooling3d_param { kernel_size: 2 kernel_depth: 3 stride: 2 "
     "temporal_stride: 3 pool: AVE }", (1, 3, 3, 5, 5)),
    ((1, 3, 8, 9, 9), "Pooling", "pooling_param { global_pooling: true }", (1, 3, 1, 1, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("bottom", "kind", "rest", "top"), SHAPES)
def test_import(
    tmp_path: Path, bottom: tuple[int, ...], kind: str, rest: str, top: tuple[int, ...]
) -> None:
    (op,) = layers_of(loaded(tmp_path, data(*bottom) + layer(kind, rest)))
    assert shape_of(op.results[0]) == top
