"""What a convolution takes of the tensor unit, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import PEAK_BYTES
from dialects.bm1684.cycles.tiu import (
    BIAS_CYCLES,
    STEP_PIXELS,
    WIDE_STEP_PIXELS,
    ceil_div,
    float_conv_step,
    float_winograd_halves,
    int8_conv_step,
    winograd_step,
    winograd_tiles,
)
from dialects.bm1684.layout import lane_rows

RELU_CYCLES = 2
"""Cycles a step of the maximum with 0 behind a float convolution."""
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Convolution:
    """The sizes that a convolution's cycles follow from. ``outputs`` and ``channels``: of a group.
    ``size``: rows and columns of the result."""

    images: int
    outputs: int
    channels: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    groups: int = 1
    bias: bool = False
    relu: bool = False
    is_float: bool = False
    winograd: bool = False

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel of the result reads one channel, which has a command of its own."""
        return self.outputs == self.channels == 1

    @property
    def words(self) -> int:
        """32-bit images: a word holds one float, or the bytes of four images."""
        return self.images if self.is_float else ceil_div(self.images, BM1684.int8_images_per_word)

    def cycles(self) -> float:
        """Cycles of the tensor unit, all groups together."""
        channels = self.groups if self.is_depthwise else self.outputs
        relu = RELU_CYCLES if self.relu and self.is_float else 0
        behind = self.words * lane_rows(channels) * ceil_div(prod(self.size), STEP_PIXELS) * relu
        if self.is_depthwise:
            return self._depthwise() + behind
        return self.groups * (self._dense() + behind)

    def _depthwise(self) -> float:
        pixels, taps = prod(self.size), prod(self.kernel) * (self.stride[1] + 1)
        blocks = self.images * lane_rows(self.groups)
        if self.is_float:
            return blocks * ceil_div(pixels, STEP_PIXELS) * (taps - self.kernel[0] + 5)
        return blocks * ceil_div(pixels, WIDE_STEP_PIXELS) * (taps - 1 + BIAS_CYCLES)

    def _dense(self) -> float:
        """Of one group."""
        blocks = self.words * lane_rows(self.outputs)
        if self.winograd:
            tiles = blocks * winograd_tiles(*self.size)
            if self.is_float:
                return tiles * float_winograd_halves(self.channels, self.bias) / 2
            return tiles * winograd_step(self.channels, self.bias)
        steps, taps = blocks * ceil_div(prod(self.size), STEP_PIXELS), prod(self.kernel)
        if self.is_float:
            return steps * float_conv_step(taps, self.channels, self.stride[1], self.bias)
        return steps * float(int8_conv_step(taps, self.channels, min(self.stride), self.bias))

    def load_cycles(self) -> float:
        """Cycles of the DMA engine that the weights of a group take at its full rate; winograd's
        have 16 numbers a kernel."""
        taps = 16 if self.winograd else prod(self.kernel)
        numbers = self.outputs * self.channels * taps
        return numbers * (FLOAT_BYTES if self.is_float else 1) / PEAK_BYTES
