"""Choosing a threshold: the largest magnitude, or the Kullback-Leibler choice."""

from __future__ import annotations

import numpy as np

from dialects.blob import Array

EMPTY = 1e-4
"""The count of a level that got none, when something is clipped into it."""


def kl_threshold(counts: Array, largest: float, levels: int) -> float:
    """The threshold whose ``levels`` steps tell least less than the histogram does.

    ``counts`` are the magnitudes in equal bins from 0 to ``largest``. A candidate keeps the first
    i bins and clips what is beyond into the last of them; its steps are level bins of equal width.
    The candidate with the least Kullback-Leibler divergence wins; the result is the middle of its
    last bin.
    """
    bins = len(counts)
    total = float(counts.sum())
    if total == 0 or bins < levels:
        return largest
    kept = np.arange(levels, bins + 1)
    divergence = _divergences(counts.astype(np.float64), kept, levels) / total
    best = int(kept[np.argmin(divergence)])
    return (best - 0.5) * largest / bins


def _xlogx(x: Array) -> Array:
    return x * np.log(np.maximum(x, 1))


def _before(values: Array) -> Array:
    """Sums of the values before each index, from 0 to their count."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _divergences(counts: Array, kept: Array, levels: int) -> Array:
    """Sum p log(p/q) of every candidate, p and q as counts; infinite where q misses p.

    With S_k and n_k the count and the number of non-empty bins of level k, q is S_k / n_k in all of
    them, so that the sum over a level needs only sums up to its borders.
    """
    total = counts.sum()
    sums, filled = _before(counts), _before(counts > 0)
    entropy = _before(_xlogx(counts))
    borders = -(-np.arange(levels + 1) * kept[:, None] // levels)
    level_sum = np.diff(sums[borders], axis=1)
    level_filled = np.diff(filled[borders], axis=1)
    outliers = total - sums[kept]
    last = counts[kept - 1]
    level_filled[:, -1] += (last == 0) & (outliers > 0)
    log_q = np.log(np.where(level_sum > 0, level_sum / np.maximum(level_filled, 1), EMPTY))
    entropy_p = entropy[kept] - _xlogx(last) + _xlogx(last + outliers)
    cross = (level_sum * log_q).sum(axis=1) + outliers * log_q[:, -1]
    divergence = entropy_p - cross + total * np.log(np.maximum(sums[kept], EMPTY) / total)
    noise = (filled[kept] - (level_sum > 0).sum(axis=1)) / 2
    return divergence - noise
