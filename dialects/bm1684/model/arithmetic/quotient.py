"""Reciprocal square roots and quotients, rounded as the chip does."""

from __future__ import annotations

import numpy as np

from dialects.bm1684.model.memory.npu import Array

GUESS = np.int32(0x5F37_59DF)
"""Half an exponent taken from it, as bits of a float, is near 1 / sqrt(x)."""
STEPS = 3
"""Of Newton's method."""


def rsqrt(x: Array) -> Array:
    """1 / sqrt(x), float32: a guess out of the bits of x, then steps of Newton's method, each
    operation rounded. 0 gives 4.459e19, infinity -infinity."""
    y = (GUESS - (x.view(np.int32) >> 1)).view(np.float32)
    half = np.float32(0.5) * x
    for _ in range(STEPS):
        y = y * (np.float32(1.5) - half * y * y)
    return y


def quotient(a: Array, b: Array) -> Array:
    """a / b, float32: a times the square of 1 / sqrt(abs(b)), with the sign of b."""
    root = rsqrt(np.abs(b))
    return root * root * np.where(np.signbit(b), -a, a)
