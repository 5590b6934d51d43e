"""Folding: taps of a convolution's window become input channels.

Few input channels leave most multipliers idle. Copies of the input, each shifted by a tap, lie in
lanes of their own, and the kernel has so many taps less. With a stride of s only every s-th
element of a row or column is copied, so that the folded convolution has stride 1 (space to depth).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.convolution import Convolution
from dialects.bm1684.cycles.gdma import LOAD_CYCLES, LOCAL_BURST, PEAK_BYTES
from dialects.bm1684.cycles.tiu import STEP_PIXELS, ceil_div
from dialects.bm1684.layout import align, lane_rows
from passes.kernels.tiling import Axis

Array = NDArray[Any]
Span = tuple[int, int]

BAND = BM1684.lane_bytes // 8
"""Bytes of each lane that a band of input rows may take while it is folded."""
SHARED = 0.25
"""What work costs beside the other engine's: other layers need its time too."""
LOADS = 8
"""Bands of an input: so many loads bring a tap."""
UNEVEN_CHANNELS = 3
"""Input channels of a float convolution that cost more than one channel more."""


@dataclass(frozen=True)
class AxisFold:
    """One axis: the first ``taps`` taps become channels, of every ``step``-th input element.

    Folded element g of tap t is input element ``g * step + t - lead`` (zero outside); ``lead`` is
    the padding in front, rounded up to whole steps unless all taps become channels.
    """

    axis: Axis
    step: int
    taps: int

    @property
    def lead(self) -> int:
        pad = self.axis.pad
        return pad if self.taps == self.axis.kernel else align(pad, self.step)

    @property
    def folded(self) -> Axis:
        """The axis of the folded convolution; it needs no padding."""
        a = self.axis
        kernel = ceil_div(a.kernel + self.lead - a.pad, self.taps)
        dilation = self.taps // self.step if kernel > 1 else 1
        shape = Axis(0, a.out, kernel, a.stride // self.step, dilation)
        return Axis(shape.span(a.out), a.out, kernel, shape.stride, shape.dilation)

    def inside(self, tap: int, begin: int, count: int) -> Span:
        """(first, count) of the folded elements of a range that lie in the input."""
        at = tap - self.lead
        first = max(begin, ceil_div(-at, self.step))
        last = min(begin + count, (self.axis.size - 1 - at) // self.step + 1)
        return first, max(0, last - first)

    def source(self, tap: int, element: int) -> int:
        """The input element of a folded one."""
        return element * self.step + tap - self.lead

    def weights(self, weight: Array, dim: int) -> Array:
        """Splits a kernel's dimension into [folded kernel, taps], zero where there was no tap."""
        front = self.lead - self.axis.pad
        behind = self.folded.kernel * self.taps - self.axis.kernel - front
        widths = [(0, 0)] * weight.ndim
        widths[dim] = (front, behind)
        shape = (*weight.shape[:dim], self.folded.kernel, self.taps, *weight.shape[dim + 1 :])
        return np.pad(weight, widths).reshape(shape)


@dataclass(frozen=True)
class Fold:
    """A folded convolution. ``channels``: those of the input; ``idle`` ones, all zero, follow.
    ``direct``: each tap's rows are loaded to their lanes from DDR; else the input is loaded once
    and copied from lane to lane."""

    channels: int
    height: AxisFold
    width: AxisFold
    idle: int = 0
    direct: bool = False

    @property
    def folded_channels(self) -> int:
        return (self.channels + self.idle) * self.height.taps * self.width.taps

    @property
    def moves(self) -> bool:
        """Whether taps became channels, which are copied from lane to lane."""
        return not self.direct and self.height.taps * self.width.taps > 1

    def weights(self, weight: Array) -> Array:
        """[O, I, kh, kw] as [O, folded channels, folded kh, folded kw]."""
        whole = np.pad(weight, ((0, 0), (0, self.idle), (0, 0), (0, 0)))
        split = self.height.weights(self.width.weights(whole, 3), 2)  # O, I, kh, ty, kw, tx
        turned = split.transpose(0, 3, 5, 1, 2, 4)
        kernels = (self.height.folded.kernel, self.width.folded.kernel)
        return np.ascontiguousarray(turned.reshape(len(weight), self.folded_channels, *kernels))

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """(first folded channel, tap down, tap across) of every copy of the input."""
        taps = product(range(self.height.taps), range(self.width.taps))
        for i, (down, across) in enumerate(taps):
            yield i * (self.channels + self.idle), down, across


def _options(axis: Axis) -> Iterator[AxisFold]:
    for step in sorted({1, axis.stride}):
        times = range(1, ceil_div(axis.kernel + step, step) + 1)
        for taps in sorted({*(n * step for n in times), axis.kernel}):
            fold = AxisFold(axis, step, taps)
            if fold.folded.dilation <= BM1684.limits.dilation:
                yield fold


def choose_fold(
    axes: tuple[Axis, Axis],
    weight: Array,
    bias: bool,
    groups: int,
    is_float: bool,
    overlapped: bool = False,
    direct: bool = False,
    in_lanes: bool = False,
) -> Fold | None:
    """The fold with the fewest cycles, None when none pays.

    weight [O, I, kh, kw]; ``groups``: images, or groups of four 8-bit ones. ``overlapped``: the
    input comes in bands from DDR, and both engines work side by side; else one waits for the
    other. ``direct``: whether taps may be loaded one by one. ``in_lanes``: rows lie in the lanes,
    from where they move, or go to DDR, which brings taps of rows together.
    """
    outputs, inputs = weight.shape[:2]
    if max(axis.dilation for axis in axes) > 1:
        return None
    down, across = axes
    plain = Fold(inputs, AxisFold(down, 1, 1), AxisFold(across, 1, 1))
    idle = Fold(inputs, plain.height, plain.width, idle=1)
    found = [idle] if is_float and inputs == UNEVEN_CHANNELS else []
    folds = (Fold(inputs, *pair) for pair in product(_options(down), _options(across)))
    found += [f for f in folds if inputs < f.folded_channels <= BM1684.lanes]
    if direct:
        found += [replace(f, direct=True) for f in found if f.width.step == 1 and f.moves]
    if in_lanes:
        found = [replace(f, direct=f.moves and f.width.taps == f.width.step == 1) for f in found]

    def price(fold: Fold) -> float:
        engines = fold_cycles(fold, outputs, bias, groups, is_float, in_lanes)
        return max(engines) + sum(engines) * SHARED if overlapped else sum(engines)

    best = min(found, key=price, default=plain)
    return best if price(best) < price(plain) else None


def fold_cycles(
    fold: Fold,
    outputs: int,
    bias: bool,
    groups: int,
    is_float: bool,
    in_lanes: bool = False,
) -> tuple[float, float]:
    """Cycles of the tensor unit and of the DMA engine: convolution, copies, and the load of the
    input."""
    height, width = fold.height.folded, fold.width.folded
    convolution = Convolution(
        groups if is_float else groups * BM1684.int8_images_per_word,
        outputs,
        fold.folded_channels,
        size=(height.out, width.out),
        kernel=(height.kernel, width.kernel),
        stride=(height.stride, width.stride),
        bias=bias,
        is_float=is_float,
    )
    cycles = convolution.cycles()
    read = 4 * fold.channels * fold.height.axis.size * fold.width.axis.size
    if fold.direct and in_lanes:
        folded = 4 * fold.folded_channels * height.size * width.size
        return cycles, groups * (read + folded) / PEAK_BYTES
    if fold.direct:
        plane = 4 * fold.channels * fold.height.folded.size * fold.width.axis.size
        loads = fold.height.taps * fold.width.taps
        return cycles, groups * loads * (plane / PEAK_BYTES + LOADS * LOAD_CYCLES)
    loaded = read / (float(LOCAL_BURST) if in_lanes else PEAK_BYTES)
    return cycles + groups * _phase_cycles(fold), groups * (loaded + _moved_cycles(fold))


def _moved_cycles(fold: Fold) -> float:
    """Of the DMA engine, which moves all copies but the first to their lanes."""
    copies = fold.height.taps * fold.width.taps - 1
    plane = 4 * fold.height.folded.size * fold.width.folded.size
    filled = fold.idle * 4 * fold.height.axis.size * fold.width.axis.size
    return (copies * fold.channels * plane + filled / 2) / float(LOCAL_BURST)


def _phase_cycles(fold: Fold) -> float:
    """Of the tensor unit, which picks columns, and copies what stays in its lanes."""
    if not fold.moves:
        return 0
    pixels = fold.height.folded.size * fold.width.folded.size
    picked = fold.height.axis.size * fold.width.axis.size if fold.width.step > 1 else 0
    return (pixels + picked) / STEP_PIXELS


def rows_at_once(fold: Fold, rows: int) -> int:
    """Folded rows, of ``rows`` in all, that are made at once, from one band of the input."""
    line = lane_rows(fold.channels) * 4 * fold.width.axis.size
    return max(1, min(rows, BAND // (line * fold.height.step)))


def fold_bytes(fold: Fold) -> int:
    """Bytes of each lane, for a group of images, of a band of the input and its picked columns."""
    if not fold.moves:
        return 0
    rows = rows_at_once(fold, fold.height.folded.size)
    height = min(fold.height.axis.size, rows * fold.height.step + fold.height.taps)
    width = align(fold.width.axis.size, fold.width.step)
    band = lane_rows(fold.channels) * align(4 * height * width, BM1684.alignment)
    picked = lane_rows(fold.channels) * fold.width.step * BM1684.alignment + band
    return band + (picked if fold.width.step > 1 else 0)
