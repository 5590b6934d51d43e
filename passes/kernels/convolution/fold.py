"""Folding: taps of a convolution's window become input channels.

Few input channels leave most multipliers idle. Copies of the input, each shifted by a tap, lie in
lanes of their own, and the kernel has so many taps less. With a stride of s only every s-th
element of a row or column is copied, so that the folded convolution has stride 1 (space to depth).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.tiu import ceil_div
from dialects.bm1684.layout import align, lane_rows
from passes.kernels.tiling import Axis

Array = NDArray[Any]
Span = tuple[int, int]

BAND = BM1684.lane_bytes // 8
"""Bytes of each lane that a band of input rows may take while it is folded."""


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
