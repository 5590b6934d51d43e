"""Exact integer arithmetic on float32 matrix products, and the engine's rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.model.memory.npu import Array, DType

FLOAT32_EXACT = 1 << 24
"""Every integer up to this is a float32; sums that stay below are exact in any order."""
INT32_SAFE = (1 << 31) - (1 << 17)


class ExactMatrix:
    """An integer matrix [m, k] to be multiplied exactly with matrices of known range.

    The product runs in float32, cut along k so that no partial sum reaches 2^24.
    """

    def __init__(self, matrix: Array, largest: int):
        self.matrix = np.ascontiguousarray(matrix, np.float32)
        size = matrix.shape[1]
        magnitude = np.abs(self.matrix).astype(np.float64) * largest
        total = float(magnitude.sum(1).max(initial=0))
        self.dtype = np.dtype(np.int32 if total < INT32_SAFE else np.int64)
        pieces = max(1, int(total // FLOAT32_EXACT))
        while True:
            step = -(-size // pieces)
            starts = list(range(0, size, step))
            if np.add.reduceat(magnitude, starts, axis=1).max() < FLOAT32_EXACT:
                break
            pieces += 1
        self.cuts = [slice(start, start + step) for start in starts]

    def times(self, columns: NDArray[np.float32]) -> Array:
        """The product with ``columns`` [k, p] as integers."""
        first, *rest = self.cuts
        total = (self.matrix[:, first] @ columns[first]).astype(self.dtype)
        for cut in rest:
            total += (self.matrix[:, cut] @ columns[cut]).astype(self.dtype)
        return total


def shift_right(values: Array, shift: int) -> Array:
    """``(values + 2^(shift-1)) >> shift`` in place: arithmetic, halves go up."""
    if shift:
        values += 1 << (shift - 1)
        values >>= shift
    return values


def bounds(dtype: DType) -> tuple[int, int]:
    """The smallest and the largest value of an integer type."""
    count = 1 << 8 * dtype.itemsize
    return (0, count - 1) if dtype.kind == "u" else (-count // 2, count // 2 - 1)


def saturate(values: Array, dtype: DType) -> Array:
    """Clip in place to the range of an integer type and convert."""
    np.clip(values, *bounds(dtype), out=values)
    return values.astype(dtype)
