"""Integer coefficients: the shift, the rounding, the overflow of biases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmnetu.calibration.coefficients import integers, largest_shift


@given(st.floats(1e-30, 1e6))
def test_the_shift_is_the_largest_that_fits(largest: float) -> None:
    shift = largest_shift(largest)
    assert -1 <= shift <= 31
    assert shift == 31 or largest * 2.0 ** (shift + 1) > 127
    assert shift == -1 or largest * 2.0**shift <= 127


@pytest.mark.parametrize(
    ("largest", "shift"), [(127, 0), (127.001, -1), (63.5, 1), (1, 6), (0, 31), (1e-12, 31)]
)
def test_known_shifts(largest: float, shift: int) -> None:
    assert largest_shift(largest) == shift


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
def test_weights_are_within_half_a_step(weights: list[float]) -> None:
    found = integers(np.array(weights), None)
    assert found is not None
    assert found.weight.dtype == np.int8
    error = np.abs(found.weight / 2.0**found.shift - np.array(weights))
    assert error.max() <= 0.5 / 2.0**found.shift


def test_halves_round_to_even() -> None:
    found = integers(np.array([127, 0.5, 1.5, -2.5]), np.array([0.5, 1.5, -0.5, 2.5]))
    assert found is not None
    assert found.shift == 0
    assert found.weight.tolist() == [127, 0, 2, -2]
    assert found.bias is not None
    assert found.bias.tolist() == [0, 2, 0, 2]


def test_the_shift_yields_to_biases_that_overflow() -> None:
    found = integers(np.array([0.01, -0.02]), np.full(10, 100.0))
    assert found is not None
    assert found.bias is not None
    assert largest_shift(0.02) == 12
    assert found.shift == 8
    assert found.bias.tolist() == [100 << 8] * 10
    assert found.weight.tolist() == [3, -5]


def test_three_in_a_hundred_biases_may_saturate() -> None:
    bias = np.zeros(100)
    bias[:3] = 1e9
    found = integers(np.array([1.0]), bias)
    assert found is not None
    assert found.bias is not None
    assert found.shift == 6
    assert found.bias.max() == 32767
    bias[3] = -1e9
    lowered = integers(np.array([1.0]), bias)
    assert lowered is not None
    assert lowered.bias is not None
    assert lowered.shift == 0
    assert lowered.bias.min() == -32768


def test_weights_above_127_steps_have_no_integers() -> None:
    assert integers(np.array([1.0, -127.5]), None) is None


def test_dead_weights_are_zeros() -> None:
    found = integers(np.zeros(4), np.array([0.0, 1.0]))
    assert found is not None
    assert found.weight.tolist() == [0, 0, 0, 0]
    assert found.bias is not None
    assert found.bias[1] / 2.0**found.shift == 1
