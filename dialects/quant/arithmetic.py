"""Integer arithmetic of the quant level: rounding shift, saturation, fixed-point ratios."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def rounding_shift(value: Array, shift: int) -> Array:
    """``(value + 2^(shift-1)) >> shift``, ties toward plus infinity; the value itself for shift
    0.
    """
    return value if shift == 0 else (value + (1 << (shift - 1))) >> shift


def saturate(value: Array, dtype: type[np.generic]) -> Array:
    """The value clamped to the range of an integer type, as that type."""
    info = np.iinfo(np.dtype(dtype).name)
    return np.clip(value, info.min, info.max).astype(dtype)


def quantize(value: Array, scale: float, dtype: type[np.generic]) -> Array:
    """Real numbers as 8-bit integers: ``sat(round_half_even(value * float32(1/scale)))``; NaN
    gives 0.
    """
    product = value.astype(np.float32) * np.float32(1.0 / scale)
    return saturate(np.rint(np.nan_to_num(product, nan=0.0, posinf=1e6, neginf=-1e6)), dtype)


@cache
def reciprocal(area: int) -> tuple[int, int]:
    """(m, s) with m/2^s nearest to 1/area, m at most 255, common factors of two removed.

    This is the table that the engine applies in an average pooling of that window.
    """
    shift = 0
    while int((1 << (shift + 1)) / area + 0.5) <= 255:
        shift += 1
    multiplier = int((1 << shift) / area + 0.5)
    while multiplier % 2 == 0 and shift:
        multiplier, shift = multiplier // 2, shift - 1
    return multiplier, shift


LARGEST_FACTOR = 255
"""The multiplier of a mean has 8 bits without a sign."""


def mean_factor(area: int, ratio: float) -> tuple[int, int]:
    """(m, s) with m/2^s nearest to ratio/area; the engine's table for the ratio 1.

    ``ratio`` is the scale of the summed numbers over that of their mean, at most LARGEST_FACTOR.
    """
    return reciprocal(area) if ratio == 1 else fixed_point(ratio / area, LARGEST_FACTOR)


def fixed_point(ratio: float, limit: int = 127, max_shift: int = 31) -> tuple[int, int]:
    """(m, r) with m/2^r nearest to a ratio > 0: the largest r whose m stays within ``limit``.

    Returns m = 0 when even r = max_shift cannot tell the ratio from 0. Raises ValueError when the
    ratio exceeds ``limit``.
    """
    if not ratio <= limit:
        raise ValueError(f"the ratio {ratio:g} of two scales is above {limit}")
    shift = 0
    while shift < max_shift and round(ratio * 2.0 ** (shift + 1)) <= limit:
        shift += 1
    multiplier = round(ratio * 2.0**shift)
    while multiplier and multiplier % 2 == 0 and shift:
        multiplier, shift = multiplier // 2, shift - 1
    return multiplier, shift
