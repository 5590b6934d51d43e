"""What every channel of the blobs holds on the calibration data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dialects.constant import Array


class Channels:
    """Largest magnitude and sum of squares of each channel (axis 1), float64, by blob name.

    ``counts`` are the numbers of a channel. ``faulty`` are blobs with numbers that are not finite;
    those count as 0.
    """

    def __init__(self) -> None:
        self.peaks: dict[str, Array] = {}
        self.squares: dict[str, Array] = {}
        self.counts: dict[str, int] = {}
        self.faulty: set[str] = set()

    def watch(self, name: str, array: Array) -> None:
        """Counts a blob's array of one batch in."""
        x = array.reshape(array.shape[0], _channels(array.shape), -1)
        if not np.isfinite(x).all():
            self.faulty.add(name)
            x = np.where(np.isfinite(x), x, 0)
        peaks = np.abs(x).max(axis=(0, 2), initial=0).astype(np.float64)
        squares = np.square(x, dtype=np.float64).sum(axis=(0, 2))
        self._add(name, peaks, squares, x.shape[0] * x.shape[2])

    def merge(self, other: Channels) -> None:
        """Counts in what another one saw."""
        for name, peaks in other.peaks.items():
            self._add(name, peaks, other.squares[name], other.counts[name])
        self.faulty |= other.faulty

    def scale(self, name: str, factors: Array) -> None:
        """As if the blob's channels, or as many equal runs of them, had been multiplied."""
        factors = np.repeat(factors, len(self.peaks[name]) // len(factors))
        self.peaks[name] = self.peaks[name] * factors
        self.squares[name] = self.squares[name] * factors**2

    def mean_square(self, name: str) -> Array:
        """``E x^2`` of each channel."""
        return self.squares[name] / self.counts[name]

    def largest(self, name: str) -> float:
        """The largest magnitude of all channels."""
        return float(self.peaks[name].max(initial=0))

    def _add(self, name: str, peaks: Array, squares: Array, count: int) -> None:
        self.peaks[name] = np.maximum(self.peaks.get(name, 0.0), peaks)
        self.squares[name] = self.squares.get(name, 0.0) + squares
        self.counts[name] = self.counts.get(name, 0) + count


def _channels(shape: Sequence[int]) -> int:
    return shape[1] if len(shape) > 1 else 1
