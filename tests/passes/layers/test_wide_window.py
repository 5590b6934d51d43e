"""Strides and dilations beyond the chip's fields become smaller ones that mean the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.constant import Array, ConstantAttr
from dialects.execute import execute
from dialects.quant import compute, types
from dialects.quant.base import ints
from dialects.quant.reference import evaluate
from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops as ufw
from dialects.ufw.layer import SI8, LayerOp, Top
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.layers import dilated, wide_window
from passes.module.functions import main_function

SHAPE = (2, 3, 71, 64)
SCALE = 0.05
Make = Callable[[SSAValue, Top], LayerOp]


def numbers(seed: int, shape: Sequence[int], integer: bool) -> Array:
    """Normal numbers, as int8 in steps of 1/16."""
    found = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return np.rint(found * 16).clip(-128, 127).astype(np.int8) if integer else found


def convolution(
    stride: tuple[int, int], dilation: tuple[int, int], pad: tuple[int, int]
) -> Callable[[bool], Make]:
    def of(integer: bool) -> Make:
        weight = numbers(1, (4, 3, 3, 2), integer)
        shift = 6 if integer else None
        return lambda x, top: ufw.ConvolutionOp(
            x, top, weight, stride=stride, dilation=dilation, pad=pad, right_shift=shift
        )

    return of


def pooling(
    kind: str, kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int]
) -> Callable[[bool], Make]:
    def make(x: SSAValue, top: Top) -> LayerOp:
        return ufw.PoolingOp(x, top, ufw.PoolingKind(kind), kernel, stride=stride, pad=pad)

    return lambda _: make


WIDE = [
    convolution((16, 1), (1, 1), (0, 0)),
    convolution((30, 18), (1, 1), (2, 1)),
    convolution((1, 2), (18, 17), (5, 20)),
    convolution((16, 16), (17, 3), (0, 1)),
    convolution((1, 1), (34, 32), (0, 0)),
    pooling("max", (20, 16), (20, 16), (0, 0)),
    pooling("max", (25, 18), (18, 16), (3, 2)),
    pooling("average", (17, 20), (16, 20), (0, 3)),
]


def converted(make: Make, *, integer: bool) -> ModuleOp:
    kind = types.int_tensor(SHAPE, SCALE, unsigned=False) if integer else types.float_tensor(SHAPE)
    block = Block(arg_types=[kind])
    layer = make(block.args[0], Top("y", SI8, ScaleAttr.of(SCALE)) if integer else Top("y"))
    block.add_ops([layer, ReturnOp(layer.results[0])])
    signature = FunctionType.from_lists([kind], [layer.results[0].type])
    function = FuncOp("main", signature, Region(block))
    function.attributes["input_names"] = ArrayAttr([StringAttr("x")])
    function.attributes["output_names"] = ArrayAttr([StringAttr("y")])
    module = ModuleOp([function])
    ConvertUfwToQuantPass().apply(Context(), module)
    module.verify()
    return module


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("wide", WIDE)
def test_the_same_numbers_with_fields_that_fit(wide: Callable[[bool], Make], integer: bool) -> None:
    make = wide(integer)
    found = converted(make, integer=integer)
    endless = replace(BM1684, limits=replace(BM1684.limits, stride=1000, dilation=1000))
    with (
        mock.patch.object(wide_window, "BM1684", endless),
        mock.patch.object(dilated, "BM1684", endless),
    ):
        plain = converted(make, integer=integer)
    x = numbers(2, SHAPE, integer)
    (y,), (expected,) = (execute(main_function(m), [x], evaluate) for m in (found, plain))
    assert expected.min() < expected.max()
    if integer:
        np.testing.assert_array_equal(y, expected)
    else:
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    assert fits(found)
    assert not fits(plain)


def fits(module: ModuleOp) -> bool:
    """Whether the fields of the chip hold every window's stride and dilation."""
    limits = BM1684.limits
    windows = [
        op
        for op in main_function(module).body.block.ops
        if isinstance(op, (compute.ConvOp, compute.PoolOp))
    ]
    dilations = [max(ints(op.dilation)) for op in windows if isinstance(op, compute.ConvOp)]
    strides = [max(ints(op.stride)) for op in windows]
    return max(strides) <= limits.stride and max(dilations, default=1) <= limits.dilation


def test_a_kernel_does_not_grow_without_bounds() -> None:
    weight = ConstantAttr.of(np.ones((8, 8, 3, 3), np.int8))
    found, dilation = wide_window.cut_dilation(weight, (1000003, 1))
    assert found == weight
    assert dilation == (1000003, 1)
    found, dilation = wide_window.cut_dilation(weight, (19, 34))
    assert found.shape == (8, 8, 39, 35)
    assert dilation == (1, 2)
    assert found.array.sum() == weight.array.sum()


def test_factors() -> None:
    assert wide_window.cut_stride((15, 16)) == ((15, 8), (1, 2))
    assert wide_window.cut_stride((225, 32)) == ((15, 8), (15, 4))
    assert wide_window.cut_stride((17, 226)) == ((17, 226), (1, 1))
