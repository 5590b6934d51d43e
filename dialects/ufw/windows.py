"""Sliding windows in float32: the arithmetic of convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dialects.ufw.shapes import sides

FloatArray = NDArray[np.float32]
Pair = Sequence[int]


def convolve(
    x: FloatArray, weight: FloatArray, stride: Pair, pad: Pair, dilation: Pair, group: int
) -> FloatArray:
    """Cross-correlation of x [N, C, H, W] with weight [O, C / group, kh, kw], without bias.

    ``pad`` is top, bottom, left, right.
    """
    kh, kw = weight.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), *sides(pad)))
    extent = (dilation[0] * (kh - 1) + 1, dilation[1] * (kw - 1) + 1)
    windows = sliding_window_view(padded, extent, axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    if weight.shape[1] == 1 and weight.shape[0] == group:
        return np.einsum("nchwij,cij->nchw", windows, weight[:, 0])
    return np.stack([_grouped_gemm(image, weight, group) for image in windows])


def _grouped_gemm(windows: NDArray[np.float32], weight: FloatArray, group: int) -> FloatArray:
    """One image: windows [C, h, w, kh, kw] times weight, one matrix product a group."""
    outputs, height, width = weight.shape[0], windows.shape[1], windows.shape[2]
    columns = windows.transpose(0, 3, 4, 1, 2).reshape(group, -1, height * width)
    rows = weight.reshape(group, outputs // group, -1)
    return np.matmul(rows, columns).reshape(outputs, height, width)


def pool(
    x: FloatArray,
    ufunc: np.ufunc,
    empty: float,
    counts: Pair,
    kernel: Pair,
    stride: Pair,
    pad: Pair,
) -> FloatArray:
    """Reduces every window of x [N, C, H, W] with ``ufunc``; ``empty`` stands outside the map.

    ``counts`` is the number of windows, (h, w); ``pad`` is top, bottom, left, right. The last
    window may reach past the padding.
    """
    for axis, count, k, s, (p, _) in zip((2, 3), counts, kernel, stride, sides(pad), strict=True):
        size = x.shape[axis]
        after = max(0, (count - 1) * s + k - p - size)
        widths = [(0, 0)] * 4
        widths[axis] = (p, after)
        padded = np.moveaxis(np.pad(x, widths, constant_values=empty), axis, 0)
        span = (count - 1) * s + 1
        reduced = padded[:span:s].copy()
        for tap in range(1, k):
            ufunc(reduced, padded[tap : tap + span : s], out=reduced)
        x = np.moveaxis(reduced, 0, axis)
    return np.ascontiguousarray(x)


def average_divisors(
    size: int, count: int, kernel: int, stride: int, pads: Pair, exclude_pad: bool = False
) -> FloatArray:
    """How many rows each window counts: the padding does, but only up to ``size + pads[1]``; with
    ``exclude_pad`` only rows of the map."""
    start = np.arange(count) * stride - pads[0]
    if exclude_pad:
        return (np.minimum(start + kernel, size) - np.maximum(start, 0)).astype(np.float32)
    return (np.minimum(start + kernel, size + pads[1]) - start).astype(np.float32)
