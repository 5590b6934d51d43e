"""Windows whose dilation is above the chip's field."""

from __future__ import annotations

import numpy as np
import pytest
from xdsl.ir import SSAValue

from dialects.constant import Array
from dialects.ufw.layer import Top
from dialects.ufw.ops import ConvolutionOp
from passes.layers.wide_window import met_taps
from tests.one_layer import check


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
    assert check(Conv(1500, 3, 36, 36, 1), (1, 1500, 38, 38), opts=(1,)) < 1e-3


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
