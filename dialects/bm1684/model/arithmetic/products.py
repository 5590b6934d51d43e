"""Products of float matrices, added up in the order of the chip.

The engine has one sum for the even steps and one for the odd ones; a convolution has a pair of them
for its even channels and one for its odd channels. All are added at last. Large products are
rounded as numpy does, which is fifty times as fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dialects.bm1684.model.memory.npu import Array

ORDERED_PRODUCTS = 1 << 20
"""Up to so many products of a command are added in the order of the chip."""
Sums = Sequence[Sequence[Array]]
"""Pairs of sums: which columns of the left matrix each adds up, one after the other."""


def in_steps(depth: int) -> Sums:
    """Those of a matrix multiplication: two sums, that of the even rows of the right matrix and
    that of the odd ones."""
    steps = np.arange(depth)
    return [[steps[0::2], steps[1::2]]]


def in_channel_pairs(channels: int, taps: int) -> Sums:
    """Those of a convolution, where a row of the right matrix is a tap's channel. A step takes two
    channels of a tap; all channels of one tap come before the next."""
    rows = np.arange(taps * channels).reshape(taps, channels)
    pairs = -(-channels // 2)
    step = np.arange(taps)[:, None] * pairs + np.arange(channels) // 2
    odd = np.broadcast_to(np.arange(channels) % 2, rows.shape)
    return [[rows[(odd == c) & (step % 2 == s)] for s in (0, 1)] for c in (0, 1)]


def multiplier(sums: Sums, products: int) -> Callable[[Array, Array], Array]:
    """What multiplies two float matrices of a command with so many products."""
    if products > ORDERED_PRODUCTS:
        return np.matmul

    def ordered(left: Array, right: Array) -> Array:
        pairs = [[_sum(left, right, each) for each in pair if each.size] for pair in sums]
        return _sum_of([_sum_of(pair) for pair in pairs if pair])

    return ordered


def _sum_of(parts: Sequence[Array]) -> Array:
    """One array, or the sum of two."""
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _sum(left: Array, right: Array, steps: Array) -> Array:
    products = left.T[steps][:, :, None] * right[steps][:, None, :]
    return np.add.accumulate(products, axis=0, out=products)[-1]
