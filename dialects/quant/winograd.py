"""Winograd convolution F(2x2, 3x3): four sums of a 3x3 window by 16 products instead of 36.

A 4x4 tile d of the input and a 3x3 kernel g give the 2x2 tile ``At [(G g Gt) * (Bt d B)] A`` of the
result. In integers the transformed kernel ``G g Gt``, with its quarters, is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
LARGEST = 127
LARGEST_BIAS = 32767
MAX_SHIFT = 31


def transform(weight: Array) -> Array:
    """[O, C, 3, 3] as [O, C, 4, 4], float64."""
    return KERNEL @ weight.astype(np.float64) @ KERNEL.T


@dataclass(frozen=True)
class WinogradIntegers:
    """int8 weights [O, C, 4, 4], an int16 bias and the right shift of the sums."""

    weight: Array
    bias: Array | None
    shift: int


def integers(weight: Array, bias: Array | None, shift: int) -> WinogradIntegers | None:
    """The coefficients of a direct convolution for winograd, with the largest power of two at which
    the weights fit 8 bits; None when the shift or the bias does not allow it."""
    exact = transform(weight)
    real_bias = np.zeros(1) if bias is None else bias.astype(np.float64)
    power = 1
    while not _fits(exact * 2.0**power, LARGEST) or not _fits(real_bias * 2.0**power, LARGEST_BIAS):
        power -= 1
    if not 0 <= shift + power <= MAX_SHIFT:
        return None
    return WinogradIntegers(
        np.rint(exact * 2.0**power).astype(np.int8),
        None if bias is None else np.rint(real_bias * 2.0**power).astype(np.int16),
        shift + power,
    )


def _fits(values: Array, largest: int) -> bool:
    return float(np.abs(np.rint(values)).max(initial=0.0)) <= largest


def winograd_sums(x: Array, weight: Array) -> Array:
    """[N, O, h - 2, w - 2] of a padded input [N, C, h, w] and weights [O, C, 4, 4], in x's type;
    exact in float64 for integers."""
    n, c, height, width = x.shape
    rows, columns = (height - 1) // 2, (width - 1) // 2  # tiles, the last ones perhaps in part
    even = np.zeros((n, c, 2 * rows + 2, 2 * columns + 2), x.dtype)
    even[:, :, :height, :width] = x
    down = [even[:, :, i : i + 2 * rows : 2] for i in range(4)]
    half = (down[0] - down[2], down[1] + down[2], down[2] - down[1], down[1] - down[3])
    y = np.zeros((n, weight.shape[0], rows, 2, columns, 2), x.dtype)
    down_signs = ((1, 0), (1, 1), (1, -1), (0, -1))
    for i, line in enumerate(half):
        across = [line[..., j : j + 2 * columns : 2] for j in range(4)]
        tile = (
            across[0] - across[2],
            across[1] + across[2],
            across[2] - across[1],
            across[1] - across[3],
        )
        for j, part in enumerate(tile):
            flat = part.reshape(n, c, rows * columns)
            product = (weight[:, :, i, j] @ flat).reshape(n, -1, rows, columns)
            for a in (0, 1):
                for b in (0, 1):
                    sign = down_signs[i][a] * down_signs[j][b]
                    if sign:
                        y[:, :, :, a, :, b] += sign * product
    whole = y.reshape(n, -1, 2 * rows, 2 * columns)
    return whole[:, :, : height - 2, : width - 2]
