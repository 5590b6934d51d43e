"""Windows whose dilation is above the chip's field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from xdsl.ir import SSAValue

from bmnetu.report.profile import profile
from dialects.constant import Array
from dialects.quant.scale import ScaleAttr
from dialects.ufw.layer import SI8, Top
from dialects.ufw.ops import ConvolutionNdOp, ConvolutionOp
from passes.layers.wide_window import met_taps
from tests.compiled import compiled
from tests.one_layer import Build, check, one_layer


class Conv:
    """A convolution of 3x3 taps with random weights."""

    def __init__(self, channels: int, outputs: int, pad: int, dilation: int, stride: int) -> None:
        random = np.random.default_rng(channels)
        weight = random.standard_normal((outputs, channels, 3, 3)) / np.sqrt(9 * channels)
        self.weight = weight.astype(np.float32)
        self.bias = random.standard_normal(outputs).astype(np.float32)
        self.pad, self.dilation, self.stride = [pad] * 4, [dilation] * 2, [stride] * 2

    def __call__(self, x: SSAValue) -> ConvolutionOp:
        return ConvolutionOp(x, Top("y"), self.weight, self.bias, pad=self.pad,
                             dilation=self.dilation, stride=self.stride)  # fmt: skip


@pytest.mark.parametrize(
    ("size", "pad", "dilation", "stride"),
    [(33, 36, 36, 1), (33, 24, 24, 1), (20, 18, 18, 2), (40, 36, 36, 2), (19, 40, 20, 1),
     (50, 17, 34, 3)],
)  # fmt: skip
def test_the_numbers_stay(size: int, pad: int, dilation: int, stride: int) -> None:
    build = Conv(5, 7, pad, dilation, stride)
    assert check(build, (1, 5, size, size - 1)) < 1e-4


def test_weights_that_fill_local_memory_are_summed_in_parts() -> None:
    """72000 weights an output; a dilation within the field."""
    random = np.random.default_rng(0)
    weight = (random.standard_normal((3, 2000, 6, 6)) / 300).astype(np.float32)
    bias = np.array([1, -2, 3], np.float32)

    def build(x: SSAValue) -> ConvolutionOp:
        return ConvolutionOp(x, Top("y"), weight, bias)

    assert check(build, (1, 2000, 8, 7), opts=(1,)) < 1e-3


@dataclass(frozen=True)
class Case:
    """A convolution whose dilation no command takes, with random coefficients."""

    shape: tuple[int, ...]
    outputs: int
    kernel: tuple[int, int]
    pad: tuple[int, ...]
    dilation: tuple[int, int]
    stride: int = 1
    group: int = 1

    def build(self, integer: bool) -> Build:
        """What adds the layer to a network."""
        random = np.random.default_rng(self.outputs)
        inner = self.shape[1] // self.group
        weight = random.standard_normal((self.outputs, inner, *self.kernel))
        bias = random.standard_normal(self.outputs)
        settings: dict[str, Any] = {
            "pad": self.pad, "dilation": self.dilation, "stride": [self.stride] * 2,
            "group": self.group,
        }  # fmt: skip
        top = Top("y")
        kernels, addends = weight.astype(np.float32), bias.astype(np.float32)
        if integer:
            top = Top("y", SI8, ScaleAttr.of(0.05))
            kernels = np.rint(weight * 30).astype(np.int8)
            addends = np.rint(bias * 99).astype(np.int16)
            settings["right_shift"] = 8

        def build(x: SSAValue) -> ConvolutionOp:
            return ConvolutionOp(x, top, kernels, addends, **settings)

        return build


CASES = [
    Case((2, 6, 1, 90), 64, (1, 3), (0, 0, 32, 32), (1, 32)),
    Case((1, 6, 60, 3), 64, (2, 1), (56, 0, 0, 0), (56, 1)),
    Case((5, 8, 23, 21), 70, (3, 3), (18, 18, 18, 18), (18, 17), stride=2),
    Case((1, 8, 30, 31), 64, (3, 3), (20, 20, 1, 1), (20, 1)),
    Case((1, 8, 10, 10), 4, (2, 2), (20, 20, 20, 20), (40, 40)),
    Case((1, 8, 20, 40), 8, (3, 3), (18, 18, 18, 18), (18, 18), group=8),
    Case((1, 4100, 19, 19), 2, (2, 2), (17, 0, 0, 20), (17, 20)),
]


@pytest.mark.parametrize("integer", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_every_form(case: Case, integer: bool) -> None:
    assert check(case.build(integer), case.shape, integer=integer) < 1e-3


@pytest.mark.parametrize("integer", [True, False])
@pytest.mark.parametrize(
    ("shape", "kernel", "pad", "dilation"),
    [((2, 5, 120), 3, 40, 40), ((1, 5, 80), 2, 0, 64), ((1, 4, 3, 9, 70), 3, 32, 32)],
)
def test_sequences_and_frames(
    shape: tuple[int, ...], kernel: int, pad: int, dilation: int, integer: bool
) -> None:
    random = np.random.default_rng(dilation)
    axes = len(shape) - 2
    last = [*[1] * (axes - 1), kernel]
    weight = random.standard_normal((64, shape[1], *last))
    settings: dict[str, Any] = {
        "stride": [1] * axes, "pad": [*[0] * (axes - 1), pad],
        "dilation": [*[1] * (axes - 1), dilation],
    }  # fmt: skip

    def build(x: SSAValue) -> ConvolutionNdOp:
        if not integer:
            return ConvolutionNdOp(x, Top("y"), weight.astype(np.float32), **settings)
        top = Top("y", SI8, ScaleAttr.of(0.05))
        kernels = np.rint(weight * 30).astype(np.int8)
        return ConvolutionNdOp(x, top, kernels, right_shift=7, **settings)

    assert check(build, shape, integer=integer, opts=(0, 2)) < 1e-4


def test_no_zeros_are_multiplied() -> None:
    """A map of 33x33 with a dilation of 24: cycles are what the taps meet."""
    module = one_layer(Conv(512, 256, 24, 24, 1), (1, 512, 33, 33))
    assert compiled(module, 2, "FP32").ok
    met = (33 + 9 + 9) ** 2
    assert profile(module).total.macs < 1.1 * met * 512 * 256


@pytest.mark.parametrize("seed", range(200))
def test_taps_that_are_left_out_meet_nothing(seed: int) -> None:
    """One axis, in numpy: the same results from the taps that stay."""
    random = np.random.default_rng(seed)
    size, kernel, stride = (int(random.integers(1, top)) for top in (30, 5, 4))
    dilation = int(random.integers(1, 40))
    reach = (kernel - 1) * dilation
    pad = int(random.integers(0, reach + 1)), int(random.integers(0, reach + 1))
    if size + sum(pad) <= reach:
        return
    x, w = random.standard_normal(size), random.standard_normal(kernel)
    taps = met_taps(size, kernel, stride, dilation, pad)
    kept = w[taps.first : taps.first + taps.count]
    np.testing.assert_allclose(
        _along(x, kept, stride, dilation, taps.pad), _along(x, w, stride, dilation, pad)
    )


def _along(x: Array, w: Array, stride: int, dilation: int, pad: tuple[int, int]) -> Array:
    padded = np.pad(x, pad)
    count = (len(padded) - (len(w) - 1) * dilation - 1) // stride + 1
    return np.array([
        sum(w[t] * padded[o * stride + t * dilation] for t in range(len(w))) for o in range(count)
    ])  # fmt: skip
