"""Sliding windows over H and W: their extents, the rows that they read, and views in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]
ROWS = 2
"""The axis of rows."""


@dataclass(frozen=True)
class RowWindow:
    """Result row r reads operand rows ``r*stride - pad`` to ``r*stride - pad + extent - 1``; what
    lies outside the image counts as ``fill``. ``height``: rows of the operand's image, ``out``:
    rows of the result's, of which a strip has a ``multiple``. ``rest``: an operand may have up to
    ``stride - 1`` rows behind the last window, which do no harm."""

    height: int
    out: int
    stride: int = 1
    pad: int = 0
    extent: int = 1
    fill: int = 0
    multiple: int = 1
    rest: bool = False

    @property
    def top(self) -> int:
        """Rows of halo above a strip."""
        return self.pad

    @property
    def bottom(self) -> int:
        """Rows of halo below a strip."""
        return max(0, self.extent - self.pad - self.stride)

    @property
    def reads_below(self) -> bool:
        """Whether a row of the result reads rows below the image."""
        return (self.out - 1) * self.stride - self.pad + self.extent > self.height

    @property
    def needs_exchange(self) -> bool:
        """Whether a strip needs rows that it does not have."""
        return bool(self.top or self.bottom or self.reads_below)


def window_size(size: int, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """Output extent of a sliding window that stays inside the padded input, rounded down."""
    return (size + pad - ((kernel - 1) * dilation + 1)) // stride + 1


def padded(x: Array, pad: Sequence[int], fill: float) -> Array:
    """[N, C, H, W] with ``fill`` around its maps: rows above, below, columns left, right."""
    top, bottom, left, right = pad
    if not any(pad):
        return x
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)


def windows(
    x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Array:
    """A view [N, C, oh, ow, kh, kw] of all windows of [N, C, H, W]."""
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    view = sliding_window_view(x, extent, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
