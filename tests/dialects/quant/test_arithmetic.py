"""Integer arithmetic against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.quant.arithmetic import (
    fixed_point,
    quantize,
    reciprocal,
    rounding_shift,
    saturate,
)

RANGES: dict[type[np.generic], tuple[int, int]] = {np.int8: (-128, 127), np.uint8: (0, 255)}
INT8 = st.sampled_from(list(RANGES))
FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)


@given(st.integers(-(1 << 40), 1 << 40), st.integers(0, 31))
def test_a_rounding_shift_rounds_to_nearest_ties_upwards(value: int, shift: int) -> None:
    got = int(rounding_shift(np.array([value], np.int64), shift)[0])
    assert got == floor(Fraction(value, 1 << shift) + Fraction(1, 2))


@given(st.integers(-(1 << 40), 1 << 40), INT8)
def test_saturation_takes_the_nearest_value(value: int, dtype: type[np.generic]) -> None:
    low, high = RANGES[dtype]
    (got,) = saturate(np.array([value], np.int64), dtype)
    assert got.dtype == dtype
    assert int(got) == min(range(low, high + 1), key=lambda v: abs(v - value))


@given(FLOATS, st.floats(2.0**-20, 2.0**20, width=32), INT8)
def test_quantising_rounds_half_to_even(
    value: float, scale: float, dtype: type[np.generic]
) -> None:
    low, high = RANGES[dtype]
    product = float(np.float32(value) * np.float32(1.0 / scale))
    (got,) = quantize(np.array([value], np.float32), scale, dtype)
    assert int(got) == min(max(round(product), low), high)


def test_quantising_what_is_no_number() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 0.5, 1.5, -0.5, -0.0], np.float32)
    assert quantize(odd, 1.0, np.int8).tolist() == [0, 127, -128, 0, 2, 0, 0]
    assert quantize(odd, 1.0, np.uint8).tolist() == [0, 255, 0, 0, 2, 0, 0]


def nearest(ratio: Fraction, limit: int, max_shift: int) -> Fraction:
    """The least distance of any m / 2^r to a ratio."""
    found = abs(ratio)
    for shift in range(max_shift + 1):
        m = floor(ratio * (1 << shift) + Fraction(1, 2))
        found = min([found, *(abs(ratio - Fraction(k, 1 << shift)) for k in {m, min(m, limit)}
                              if 0 <= k <= limit)])  # fmt: skip
    return found


@pytest.mark.parametrize("area", [*range(1, 258), 1000, 4095, 65536])
def test_a_reciprocal_is_the_nearest_and_in_lowest_terms(area: int) -> None:
    multiplier, shift = reciprocal(area)
    assert 1 <= multiplier <= 255
    assert shift == 0 or multiplier % 2 == 1
    error = abs(Fraction(multiplier, 1 << shift) - Fraction(1, area))
    assert error == nearest(Fraction(1, area), 255, 31)


@given(st.floats(2.0**-20, 126.99), st.sampled_from([127, 255]))
def test_a_fixed_point_ratio_is_the_nearest_and_in_lowest_terms(ratio: float, limit: int) -> None:
    multiplier, shift = fixed_point(ratio, limit)
    assert 1 <= multiplier <= limit
    assert 0 <= shift <= 31
    assert shift == 0 or multiplier % 2 == 1
    exact = Fraction(ratio)
    error = abs(exact - Fraction(multiplier, 1 << shift))
    assert error == nearest(exact, limit, 31)
    assert error <= exact / limit


def test_the_ends_of_what_a_fixed_point_ratio_can_say() -> None:
    assert fixed_point(127.0) == (127, 0)
    assert fixed_point(0.5) == (1, 1)
    assert fixed_point(2.0**-31) == (1, 31)
    assert fixed_point(1e-12)[0] == 0
    for beyond in (127.1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="above 127"):
            fixed_point(beyond)
