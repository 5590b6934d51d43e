"""The magnitudes of a blob as a histogram, and what 8 bits make of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dialects.constant import Array


@dataclass(frozen=True)
class Histogram:
    """Counts of magnitudes in equal bins from 0 to ``largest``; zeros are not counted.

    ``full_scale`` is the number of steps from 0 to the threshold: 127 signed, 255 unsigned.
    """

    counts: Array
    largest: float
    full_scale: int

    @cached_property
    def centres(self) -> Array:
        """The middle of each bin."""
        bins = len(self.counts)
        return (np.arange(bins) + 0.5) * (self.largest / bins)

    @cached_property
    def candidates(self) -> Array:
        """Thresholds to choose from: the middles of the bins that leave a bin a step, and the
        largest."""
        return np.append(self.centres[min(self.full_scale, len(self.counts)) :], self.largest)

    def moment(self, power: int) -> float:
        """``E |x|^power`` of the numbers that are not zero; 0 without any."""
        return float(np.dot(self.counts, self.centres**power) / max(1, self.counts.sum()))

    def noise(self, thresholds: Array) -> Array:
        """``sum (x - q(x))^2`` over all numbers, for every threshold.

        Beyond the threshold a number loses ``x - threshold``, within half a step of zero itself,
        elsewhere step^2 / 12 in the mean.
        """
        x = self.centres
        sums = [np.append(0.0, np.cumsum(self.counts * x**power)) for power in (0, 1, 2)]
        steps = thresholds / self.full_scale
        inside = np.searchsorted(x, thresholds, "right")
        near = np.searchsorted(x, steps / 2)
        zeroth, first, second = (total[-1] - total[inside] for total in sums)
        clipped = second - 2 * thresholds * first + thresholds**2 * zeroth
        return clipped + sums[2][near] + steps**2 / 12 * (sums[0][inside] - sums[0][near])
