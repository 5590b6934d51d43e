"""Windows whose stride or dilation is above the chip's fields, in terms of smaller ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.constant import Array, ConstantAttr
from dialects.quant import compute, types
from dialects.quant.base import i64s
from passes.layers.converter import Converter

Steps = tuple[int, int]

MOST_WEIGHTS = 1 << 26
"""No kernel is spread to more elements."""


def cut_stride(stride: Sequence[int]) -> tuple[Steps, Steps]:
    """(stride of the window, of the :func:`subsampled` results behind it) for height and width.

    Where no two factors fit, as for 17, the first is the stride itself, which no command takes.
    """
    (h, rows), (w, columns) = (_factors(step, BM1684.limits.stride) for step in stride)
    return (h, w), (rows, columns)


def _factors(whole: int, limit: int) -> tuple[int, int]:
    """Two factors up to the limit, the first the largest; (whole, 1) where there are none."""
    fits = (n for n in range(limit, 0, -1) if whole % n == 0 and whole // n <= limit)
    first = next(fits, whole)
    return first, whole // first


def subsampled(c: Converter, value: SSAValue, steps: Steps, step: str = "") -> SSAValue:
    """Every steps[0]-th row and steps[1]-th column, from the first on: a pooling of one pixel.
    ``step`` names it where it is not the layer's result."""
    if steps == (1, 1):
        return value
    n, channels, *sizes = types.shape_of(value)
    kept = [-(-size // step) for size, step in zip(sizes, steps, strict=True)]
    result = types.like(value, (n, channels, *kept))
    settings = {"kernel": i64s([1, 1]), "stride": i64s(steps)}
    return c.add(compute.MaxPoolOp, [value], result, step, **settings)


def cut_dilation(weight: ConstantAttr, dilation: Sequence[int]) -> tuple[ConstantAttr, Steps]:
    """The same window with a dilation that fits: zeros stand between the weights for the rest.

    A kernel that would grow beyond MOST_WEIGHTS stays, with a dilation that no command takes.
    """
    limit = BM1684.limits.dilation
    (h, rows), (w, columns) = (divided(whole, limit) for whole in dilation)
    kh, kw = weight.shape[2:]
    shape = (*weight.shape[:2], (kh - 1) * rows + 1, (kw - 1) * columns + 1)
    if (rows, columns) == (1, 1) or prod(shape) > MOST_WEIGHTS:
        return weight, (dilation[0], dilation[1])
    return ConstantAttr.of(spread(weight.array, (rows, columns))), (h, w)


@dataclass(frozen=True)
class Taps:
    """The taps of a window along one axis that meet the input at all, and the zeros around the
    input that they need."""

    first: int
    count: int
    pad: tuple[int, int]


def met_taps(size: int, kernel: int, stride: int, dilation: int, pad: tuple[int, int]) -> Taps:
    """A dilation as large as the map leaves few taps: the others only meet zeros. A tap stays where
    the window without it would begin or end inside of the input."""
    out = (size + sum(pad) - (kernel - 1) * dilation - 1) // stride + 1
    last_row = (out - 1) * stride
    first, end = 0, kernel
    while end - first > 1 and last_row + first * dilation < pad[0] >= (first + 1) * dilation:
        first += 1
    before = pad[0] - first * dilation

    def after(count: int) -> int:
        return last_row + (count - 1) * dilation + 1 - size - before

    while end - first > 1 and (end - 1) * dilation - pad[0] >= size and after(end - first - 1) >= 0:
        end -= 1
    return Taps(first, end - first, (before, pad[1] if end == kernel else after(end - first)))


def tap_places(size: int, tap: int, stride: int, dilation: int, pad: int, out: int) -> Array:
    """Where one tap of a kernel stands in each window of an axis; -1 in the padding."""
    at = np.arange(out) * stride + tap * dilation - pad
    return np.where((at < 0) | (at >= size), -1, at)


def spread(weight: Array, dilation: Sequence[int]) -> Array:
    """Weights [O, I, kh, kw] of the same window without its dilation: zeros stand between them."""
    kh, kw = ((k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True))
    found = np.zeros((*weight.shape[:2], kh, kw), weight.dtype)
    found[:, :, :: dilation[0], :: dilation[1]] = weight
    return found


def divided(whole: int, limit: int) -> tuple[int, int]:
    """The largest divisor up to the limit, and what it leaves: 1 where the whole fits."""
    divisor = max(n for n in range(1, limit + 1) if whole % n == 0)
    return divisor, whole // divisor
