"""How close numbers are to those that they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dialects.constant import Array


@dataclass
class Closeness:
    """Sums over pairs of a expected and a found number; pairs that are not finite do not count."""

    signal: float = 0.0
    """``sum expected^2``"""
    found: float = 0.0
    """``sum found^2``"""
    product: float = 0.0
    """``sum expected * found``"""
    noise: float = 0.0
    """``sum (expected - found)^2``"""

    def add(self, expected: Array, found: Array) -> None:
        """Takes in two tensors of one shape."""
        x, y = expected.astype(np.float64).ravel(), found.astype(np.float64).ravel()
        finite = np.isfinite(x) & np.isfinite(y)
        if not finite.all():
            x, y = x[finite], y[finite]
        self.signal += float(x @ x)
        self.found += float(y @ y)
        self.product += float(x @ y)
        self.noise += float((x - y) @ (x - y))

    def merge(self, other: Closeness) -> None:
        """Takes in what another one has."""
        self.signal += other.signal
        self.found += other.found
        self.product += other.product
        self.noise += other.noise

    @property
    def relative_noise(self) -> float:
        """The noise as a part of the signal; 0 without noise, infinite without a signal."""
        if not self.noise:
            return 0.0
        return self.noise / self.signal if self.signal else np.inf

    @property
    def error(self) -> float:
        """The relative error: the length of the error over that of what is expected."""
        return self.relative_noise**0.5

    @property
    def sqnr(self) -> float:
        """The signal to quantisation noise ratio in dB; infinite without noise."""
        return decibels(self.relative_noise)

    @property
    def cosine(self) -> float:
        """The cosine of the angle between both; 1 where both are 0."""
        if not self.noise:
            return 1.0
        size = np.sqrt(self.signal) * np.sqrt(self.found)
        return min(1.0, self.product / size) if size else 0.0


def decibels(relative_noise: float) -> float:
    """``-10 log10`` of noise over signal."""
    return -10 * float(np.log10(relative_noise)) if relative_noise else np.inf
