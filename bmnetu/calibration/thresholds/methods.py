"""The methods that choose a blob's threshold from the histogram of its magnitudes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, exp, pi, sqrt

import numpy as np

from bmnetu.calibration.thresholds.histogram import Histogram
from bmnetu.calibration.thresholds.kl import kl_threshold, without_spikes
from dialects.constant import Array

Method = Callable[[Histogram], float]

PERCENTILE = 0.9999
"""The part of the numbers that PERCENTILE keeps."""
ROUNDS = 100
SETTLED = 1e-6
"""ADMM makes at most so many steps, and ends with one that changes less than this part."""
LAPLACE_BELOW = 0.75
"""``E|x| / sqrt(E x^2)`` is 0.707 for a Laplace distribution, 0.798 for a normal one."""


def largest(histogram: Histogram) -> float:
    """Nothing is clipped."""
    return histogram.largest


def kl(histogram: Histogram) -> float:
    """Least Kullback-Leibler divergence: see :func:`.kl.kl_threshold`."""
    counts = without_spikes(histogram.counts)
    return kl_threshold(counts, histogram.largest, histogram.full_scale + 1)


def percentile(histogram: Histogram) -> float:
    """9999 of 10000 numbers are kept; the end of the bin in which the last of them lies."""
    kept: Array = np.cumsum(histogram.counts)
    place = int(np.count_nonzero(kept < PERCENTILE * kept[-1]))
    return histogram.largest * (place + 1) / len(kept)


def mean_square(histogram: Histogram) -> float:
    """Least mean square error of clipping and rounding."""
    candidates = histogram.candidates
    return float(candidates[np.argmin(histogram.noise(candidates))])


def admm(histogram: Histogram) -> float:
    """Alternates between the best integers q for a step and the best step for them, from the
    maximum on: ``step = sum(x q) / sum(q^2)`` (Leng et al. 2018)."""
    x, counts, full_scale = histogram.centres, histogram.counts, histogram.full_scale
    step = histogram.largest / full_scale
    for _ in range(ROUNDS):
        q = np.minimum(np.rint(x / step), full_scale)
        energy = float(np.dot(counts, q * q))
        found = float(np.dot(counts, x * q)) / energy if energy else step
        if abs(found - step) <= SETTLED * step:
            break
        step = found
    return step * full_scale


def aciq(histogram: Histogram) -> float:
    """Least error if the numbers were Laplace or normal, whichever is nearer (Banner et al. 2018).

    With x = threshold / b or threshold / sigma, clipping costs 2 b^2 exp(-x), or sigma^2 ((1 + x^2)
    erfc(x / sqrt 2) - x sqrt(2 / pi) exp(-x^2 / 2)); rounding costs step^2 / 12.
    """
    mean, square = histogram.moment(1), histogram.moment(2)
    if mean < LAPLACE_BELOW * sqrt(square):
        cost, unit = _laplace, mean
    else:
        cost, unit = _normal, sqrt(square)
    candidates = histogram.candidates
    clipped = unit**2 * np.array([cost(t / unit) for t in candidates.tolist()])
    return float(candidates[np.argmin(clipped + (candidates / histogram.full_scale) ** 2 / 12)])


def _laplace(x: float) -> float:
    return 2 * exp(-x)


def _normal(x: float) -> float:
    return (1 + x * x) * (1 - erf(x / sqrt(2))) - x * sqrt(2 / pi) * exp(-x * x / 2)


METHODS: Mapping[str, Method] = {
    "KL": kl,
    "MAX": largest,
    "PERCENTILE": percentile,
    "MSE": mean_square,
    "ADMM": admm,
    "ACIQ": aciq,
}
"""By the name in ``-th_method``. Every method gets a histogram with at least one number."""


def threshold(method: str, histogram: Histogram) -> float:
    """The threshold that a method chooses; the largest magnitude of an empty histogram."""
    if not histogram.counts.any():
        return histogram.largest
    return METHODS[method](histogram)
