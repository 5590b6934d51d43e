"""The Kullback-Leibler choice of a threshold."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dialects.blob import Array

EMPTY = 1e-4
"""The count of a level that got none, when something is clipped into it."""
REACH = 16
"""The neighbours of a bin, on each side: as many as the widest of 127 steps in 2048 bins has."""
STANDING_OUT = 4
"""A bin counts for at most so many times the median of its neighbours and itself."""


def without_spikes(counts: Array) -> Array:
    """Counts without the share of constants, such as what a black background becomes in every
    channel.

    One number that is often repeated is held by one step whatever the threshold, as zero is; the
    divergence would see its lonely bin as a shape to be kept, and clip to get steps as fine as a
    bin. Empty bins are no neighbours: numbers on a grid stay as they are.
    """
    width = 2 * REACH + 1
    near = np.sort(sliding_window_view(np.pad(counts, REACH), width), axis=1)
    filled = np.count_nonzero(near, axis=1)
    median = near[np.arange(len(counts)), np.minimum(width - (filled + 1) // 2, width - 1)]
    return np.minimum(counts, STANDING_OUT * median)


def kl_threshold(counts: Array, largest: float, levels: int) -> float:
    """The threshold whose ``levels`` steps lose least of what the histogram holds.

    ``counts`` are the magnitudes in equal bins from 0 to ``largest``. A candidate keeps the first
    i bins, i from ``levels`` on, and clips what is beyond into the last of them; its steps are
    equal parts of the i bins. The candidate with the least divergence wins, the widest of equals;
    its threshold is the middle of its last bin.
    """
    bins = len(counts)
    if not counts.any() or bins < levels:
        return largest
    kept = np.arange(levels, bins + 1)[::-1]
    best = int(kept[np.argmin(_divergences(counts.astype(np.float64), kept, levels))])
    return (best - 0.5) * largest / bins


def _divergences(counts: Array, kept: Array, levels: int) -> Array:
    """``sum p log(p / q) - p + q`` of every candidate, p and q as counts.

    p are the kept counts, clipped ones in the last bin. A level of count S with n non-empty bins
    stands for q = S / n in each of them, so that sums up to its borders suffice. Counts of chance
    alone give a level a divergence of about (n - 1) / 2; that is taken off, so that few data do
    not call for steps as fine as their gaps.
    """
    sums, filled, terms = (_before(v) for v in (counts, counts > 0, _xlogx(counts)))
    borders = -(-np.arange(levels + 1) * kept[:, None] // levels)
    level_sum = np.diff(sums[borders], axis=1)
    level_filled = np.diff(filled[borders], axis=1)
    clipped = sums[-1] - sums[kept]
    last = counts[kept - 1]
    chance = (level_filled.sum(axis=1) - (level_sum > 0).sum(axis=1)) / 2
    level_filled[:, -1] += (last == 0) & (clipped > 0)
    log_q = np.log(np.where(level_sum > 0, level_sum / np.maximum(level_filled, 1), EMPTY))
    log_p = terms[kept] - _xlogx(last) + _xlogx(last + clipped)
    return log_p - (level_sum * log_q).sum(axis=1) - clipped * log_q[:, -1] - clipped - chance


def _xlogx(x: Array) -> Array:
    return x * np.log(np.maximum(x, 1))


def _before(values: Array) -> Array:
    """Sums of the values before each index, from 0 to their count."""
    return np.concatenate([[0.0], np.cumsum(values)])
