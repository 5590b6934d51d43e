"""Where the results of a resize lie in its operand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

HALF = Fraction(1, 2)
POSITIONS: Mapping[str, Callable[[int, int, int], Fraction]] = {
    "align_corners": lambda i, size, out: Fraction(i * (size - 1), max(out - 1, 1)),
    "half_pixel": lambda i, size, out: (i + HALF) * Fraction(size, out) - HALF,
    "asymmetric": lambda i, size, out: Fraction(i * size, out),
}
"""The position of result i of ``out`` among ``size`` elements, by its rule."""


def linear_taps(
    positions: str, size: int, out: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Of each result the first of its two neighbours, and the weight of the second. Positions
    outside of the map move to its border."""
    last = Fraction(size - 1)
    places = [min(max(POSITIONS[positions](i, size, out), Fraction(0)), last) for i in range(out)]
    indices = [int(place) for place in places]
    weights = [float(place - index) for place, index in zip(places, indices, strict=True)]
    return np.array(indices, np.int32), np.array(weights, np.float32)


def nearest_taps(positions: str, size: int, out: int) -> NDArray[np.int32]:
    """The element of each result: the one below its position (align_corners: the nearest, the later
    one of two; half_pixel: that whose cell the position lies in)."""
    shift = Fraction(0) if positions == "asymmetric" else HALF
    places = [int(POSITIONS[positions](i, size, out) + shift) for i in range(out)]
    return np.clip(np.array(places, np.int32), 0, size - 1)
