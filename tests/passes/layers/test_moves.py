"""Layers that cut, pad, resize, rearrange and unpool, and deconvolutions: compiled and compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.ir import SSAValue

from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops as ufw
from dialects.ufw.layer import SI8, UI8, LayerOp, Top, shape_of
from tests.dialects.ufw.moves import MOVES
from tests.one_layer import check

SHAPE = (2, 4, 5, 7)
MOVED = [name for name in MOVES if "int8" not in name]
FLOATS = ("max_pool_mask", "unpool", "deconvolution")
"""Those that have no 8-bit form, or need integer coefficients for it."""
PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))
OPTS = st.sampled_from([0, 1, 2])


@pytest.mark.parametrize("name", MOVED)
def test_every_layer_in_float(name: str) -> None:
    check(MOVES[name][0], SHAPE)


@pytest.mark.parametrize("name", [name for name in MOVED if name not in FLOATS])
def test_every_layer_in_8_bits(name: str) -> None:
    """The operand's scale is the result's, but for a pad with a value."""

    def build(x: SSAValue) -> LayerOp:
        op = MOVES[name][0](x)
        scale = ScaleAttr.of(0.07 if name == "pad with a value" else 0.05)
        for result in list(op.results):
            result_type = Top("t", SI8, scale).type(shape_of(result))
            result._type = result_type  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        return op

    check(build, SHAPE, integer=True)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_pad_of_8_bits_with_a_float_result(value: float) -> None:
    def build(x: SSAValue) -> LayerOp:
        return ufw.PadOp(x, Top("y"), (0, 0, 1, 2), (0, 0, 1, 0), value=value)

    check(build, SHAPE, integer=True)


def deconvolution(
    x: SSAValue, integer: bool, outputs: int, kernel: tuple[int, int], **settings_: Any
) -> LayerOp:
    """With random weights; an 8-bit result may have no sign."""
    group, random = settings_["group"], np.random.default_rng(0)
    shape = (outputs, shape_of(x)[1] // group, *kernel)
    if not integer:
        weight = random.normal(size=shape).astype(np.float32)
        bias = random.normal(size=outputs).astype(np.float32)
        return ufw.DeconvolutionOp(x, Top("y"), weight, bias, **settings_)
    top = Top("y", SI8 if outputs % 2 else UI8, ScaleAttr.of(0.05))
    weight, bias = random.integers(-128, 128, shape), random.integers(-999, 999, outputs)
    return ufw.DeconvolutionOp(
        x, top, weight.astype(np.int8), bias.astype(np.int16), right_shift=6, **settings_
    )


@given(
    integer=st.booleans(), opt=OPTS, batch=st.sampled_from([1, 2, 5]), kernel=PAIRS, stride=PAIRS,
    dilation=st.integers(1, 2), pads=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    channels=st.sampled_from([(1, 3, 1), (1, 16, 66), (4, 4, 4), (3, 6, 9), (66, 66, 66)]),
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_deconvolutions(
    integer: bool, opt: int, batch: int, kernel: tuple[int, int], stride: tuple[int, int],
    dilation: int, pads: list[int], channels: tuple[int, int, int],
) -> None:  # fmt: skip
    group, inputs, outputs = channels
    whole = [
        s * (size - 1) + dilation * (k - 1) + 1
        for s, size, k in zip(stride, (3, 5), kernel, strict=True)
    ]
    pads = [min(pad, (whole[i // 2] - 1) // 2) for i, pad in enumerate(pads)]

    def build(x: SSAValue) -> LayerOp:
        return deconvolution(
            x, integer, outputs, kernel,
            stride=stride, pad=pads, dilation=(dilation, dilation), group=group,
        )  # fmt: skip

    check(build, (batch, inputs, 3, 5), integer=integer, opts=[opt])


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize(
    ("group", "inputs", "outputs", "kernel", "stride", "pad"),
    [
        (21, 21, 21, 18, 9, 4),
        (1, 5, 3, 18, 9, 4),
        (2, 4, 6, 5, 5, 0),
        (1, 70, 1, 9, 3, 4),
        (8, 8, 8, 1, 2, 0),
        (1, 3, 5, 2, 4, 3),
    ],
)
def test_many_phases_and_wide_strides(
    integer: bool, group: int, inputs: int, outputs: int, kernel: int, stride: int, pad: int
) -> None:
    def build(x: SSAValue) -> LayerOp:
        return deconvolution(
            x, integer, outputs, (kernel, kernel), stride=[stride] * 2, pad=[pad] * 2, group=group
        )

    check(build, (2, inputs, 3, 4), integer=integer, opts=[2])


@pytest.mark.parametrize("channels", [4, 240])
@pytest.mark.parametrize("integer", [False, True])
def test_a_shuffle_of_channels(integer: bool, channels: int) -> None:
    """As a product with a matrix, and as a copy where that is quicker."""
    shape, maps = (1, channels, 3, 4), (3, 4)
    split = (1, channels // 4, 4, *maps)
    scale = ScaleAttr.of(0.05)
    top = Top("y", SI8, scale) if integer else Top("y")

    def build(x: SSAValue) -> LayerOp:
        return ufw.RearrangeOp(x, top, split, (0, 2, 1, 3, 4), shape)

    check(build, shape, integer=integer)
