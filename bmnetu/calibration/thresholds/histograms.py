"""What the blobs hold on the calibration data: histograms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dialects.constant import Array

BINS = 2048


class Histograms:
    """The magnitudes of the blobs in ``largest``, in 2048 bins from 0 to the largest.

    Zeros are left out: every scale holds them exactly. ``thresholds`` remembers what was asked of
    them: by name, full scale and method.
    """

    def __init__(self, largest: Mapping[str, float]) -> None:
        self.largest = largest
        self.thresholds: dict[tuple[str, int, str], float] = {}
        self.counts = {name: np.zeros(BINS, np.int64) for name in largest}

    def watch(self, name: str, array: Array) -> None:
        if name not in self.counts:
            return
        magnitude = np.abs(array[np.isfinite(array) & (array != 0)])
        bins = (magnitude * np.float32(BINS / self.largest[name])).astype(np.int32)
        self.counts[name] += np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)

    def merge(self, other: Histograms) -> None:
        for name, counts in other.counts.items():
            self.counts[name] += counts
