"""Floats rounded as the chip does: quotients, roots, and the order of sums."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dialects.bm1684.model.arithmetic.products import (
    ORDERED_PRODUCTS,
    in_channel_pairs,
    in_steps,
    multiplier,
)
from dialects.bm1684.model.arithmetic.quotient import quotient, rsqrt


def floats(*numbers: float) -> NDArray[np.float32]:
    return np.array(numbers, np.float32)


@pytest.mark.parametrize(
    ("x", "bits"),
    # What the vendor's simulator gives.
    [(0.25, 0x3FFFFFFF), (1, 0x3F7FFFFF), (2, 0x3F3504F4), (3, 0x3F13CD3A), (0, 0x601AB3D4),
     (1e-30, 0x58635FAA), (float("inf"), 0xFF800000)],
)
def test_roots(x: float, bits: int) -> None:
    with np.errstate(all="ignore"):
        got = rsqrt(floats(x)).view(np.uint32)[0]
    assert hex(int(got)) == hex(bits)


def test_roots_and_quotients_are_near() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(4096).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(rsqrt(np.abs(b)), 1 / np.sqrt(np.abs(b)), rtol=1e-6)
    np.testing.assert_allclose(quotient(a, b), a / b, rtol=1e-6)
    assert (quotient(a, b) != a / b).any()


def test_a_quotient_has_both_signs() -> None:
    got = quotient(floats(3, -3, 3, -3), floats(2, 2, -2, -2))
    assert np.sign(got).tolist() == [1, -1, -1, 1]


BIG = float(1 << 24)
"""One more than this is no float32."""


@pytest.mark.parametrize(
    ("products", "total"),
    [
        ((BIG, 0, 1, 0, 1), BIG),  # one sum, one after the other: both ones are lost
        ((BIG, 1, 0, 1), BIG + 2),  # the other sum holds both
        ((BIG, 1, -BIG, 1), 2),  # each sum has its own rounding
    ],
)
def test_two_sums_of_a_matrix_product(products: tuple[float, ...], total: float) -> None:
    left, right = floats(*products)[None], np.ones((len(products), 1), np.float32)
    assert multiplier(in_steps(len(products)), 1)(left, right)[0, 0] == np.float32(total)


def test_four_sums_of_a_convolution() -> None:
    """Of three channels and three taps: two steps a tap, in each of them two channels."""
    (even, odd), (odd_even, odd_odd) = in_channel_pairs(3, 3)
    assert even.tolist() == [0, 3, 6]
    assert odd.tolist() == [2, 5, 8]
    assert odd_even.tolist() == [1, 4, 7]
    assert odd_odd.tolist() == []
    (even, odd), _ = in_channel_pairs(1, 4)
    assert (even.tolist(), odd.tolist()) == ([0, 2], [1, 3])


def test_large_products_are_not_ordered() -> None:
    assert multiplier(in_steps(4), ORDERED_PRODUCTS + 1) is np.matmul
    assert multiplier(in_steps(4), ORDERED_PRODUCTS) is not np.matmul
