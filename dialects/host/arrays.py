"""Numbers as the C library of the host has them, in arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def rounded(x: Array | np.floating) -> Array:
    """The nearest whole numbers, halves away from 0, float32."""
    exact = np.asarray(x, np.float64)
    return (np.sign(exact) * np.floor(np.abs(exact) + 0.5)).astype(np.float32)


def counted(count: int) -> Array:
    """0, 1 and so on: so many integers."""
    return np.arange(count)
