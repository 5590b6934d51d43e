"""What the blobs hold on the calibration data: ranges and histograms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dialects.blob import Array

BINS = 2048


class Ranges:
    """The largest magnitude of each blob. ``faulty`` are blobs with numbers that are not finite;
    those numbers do not count."""

    def __init__(self) -> None:
        self.largest: dict[str, float] = {}
        self.faulty: set[str] = set()

    def watch(self, name: str, array: Array) -> None:
        low, high = float(array.min()), float(array.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            self.faulty.add(name)
            finite = array[np.isfinite(array)]
            low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
        self._raise(name, max(-low, high))

    def merge(self, other: Ranges) -> None:
        for name, largest in other.largest.items():
            self._raise(name, largest)
        self.faulty |= other.faulty

    def _raise(self, name: str, largest: float) -> None:
        self.largest[name] = max(self.largest.get(name, 0.0), largest)


class Histograms:
    """The magnitudes of the blobs in ``largest``, in 2048 bins from 0 to the largest.

    Zeros are left out: every scale holds them exactly.
    """

    def __init__(self, largest: Mapping[str, float]) -> None:
        self.largest = largest
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
