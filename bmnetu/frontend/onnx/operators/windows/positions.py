"""Where the results of a Resize lie in its input, and what each reads there, along one axis.

Numbers are rounded as onnxruntime rounds them, mostly in float32: the nearest element depends on
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialects.constant import Array
from dialects.positions import linear_taps, nearest_taps

Floats = NDArray[np.float32]
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
MIDDLE = 1e-6
"""What is so near to the middle of two elements lies there."""
CLOSE = 1e-4
"""Positions that differ by less are the same."""


@dataclass(frozen=True)
class Axis:
    """``size`` elements become ``out``. ``scale`` is by how much, where that is no whole number of
    elements; ``begin`` and ``end`` are the part of the axis that is read, from 0 to 1.
    """

    size: int
    out: int
    scale: np.float32
    begin: np.float32 = ZERO
    end: np.float32 = ONE


def _half_pixel(i: Floats, a: Axis) -> Floats:
    return (i + HALF) / a.scale - HALF


def _half_pixel_symmetric(i: Floats, a: Axis) -> Floats:
    adjustment = np.float32(a.out) / (a.scale * np.float32(a.size))
    offset = HALF * np.float32(a.size) * (ONE - adjustment)
    places = float(offset) + (i + 0.5).astype(np.float64) / float(a.scale) - 0.5
    return places.astype(np.float32)


def _align_corners(i: Floats, a: Axis) -> Floats:
    return i * np.float32(a.size - 1) / np.float32(max(a.out - 1, 1))


def _crop(i: Floats, a: Axis) -> Floats:
    last = np.float32(a.size - 1)
    if a.out == 1:
        return HALF * (a.begin + a.end) * last + np.zeros_like(i)
    return a.begin * last + i * (a.end - a.begin) * last / np.float32(a.out - 1)


TRANSFORMATIONS: Mapping[str, Callable[[Floats, Axis], Floats]] = {
    "align_corners": _align_corners,
    "asymmetric": lambda i, a: i / a.scale,
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": lambda i, a: _half_pixel(i, a) if a.out > 1 else np.zeros_like(i),
    "tf_crop_and_resize": _crop,
    "tf_half_pixel_for_nn": lambda i, a: (i + HALF) / a.scale,
}
"""The position of result i, by coordinate_transformation_mode."""

ROUNDINGS: Mapping[str, Callable[[Array], Array]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda x: np.floor(x + 0.5 + MIDDLE),
    "round_prefer_floor": lambda x: np.ceil(x - 0.5 - MIDDLE),
}
"""The nearest element, by nearest_mode."""


def positions(transformation: str, axis: Axis) -> Array:
    """The positions of all results, float64."""
    places = TRANSFORMATIONS[transformation](np.arange(axis.out, dtype=np.float32), axis)
    return places.astype(np.float64)


@dataclass(frozen=True)
class Taps:
    """What each result reads: ``indices`` [out, taps] of the input, and their ``weights``."""

    size: int
    indices: Array
    weights: Array

    @property
    def matrix(self) -> Array:
        """The weights [out, size], float32."""
        rows = np.arange(len(self.indices))[:, None]
        found = np.zeros((len(self.indices), self.size))
        np.add.at(found, (np.broadcast_to(rows, self.indices.shape), self.indices), self.weights)
        return found.astype(np.float32)

    def without(self, outside: Array) -> Taps:
        """Zeros for results that read nothing."""
        return Taps(self.size, self.indices, np.where(outside[:, None], 0, self.weights))


def nearest(places: Array, size: int, rounding: Callable[[Array], Array]) -> Taps:
    """One element each, the border's outside."""
    indices = np.clip(rounding(places), 0, size - 1).astype(np.int64)[:, None]
    return Taps(size, indices, np.ones(indices.shape))


@dataclass(frozen=True)
class Filter:
    """Weights by the distance from a position, 0 from ``radius`` on."""

    radius: int
    weight: Callable[[Array], Array]


LINEAR = Filter(1, lambda t: np.maximum(1 - np.abs(t), 0))


def cubic(a: float) -> Filter:
    """Keys' filter with its coefficient."""

    def weight(t: Array) -> Array:
        t = np.abs(t)
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
        return np.where(t <= 1, near, np.where(t < 2, far, 0.0))

    return Filter(2, weight)


def filtered(
    places: Array, size: int, by: Filter, scale: float, *, exclude_outside: bool
) -> Taps:
    """The mean of the elements around each position by their distances times ``scale``, which is 1
    or less. Outside of the input are the elements of its border, or none."""
    count = 2 * int(np.ceil(by.radius / scale))
    first = np.floor(places).astype(np.int64) + 1 - count // 2
    indices = first[:, None] + np.arange(count)
    weights = by.weight((indices - places[:, None]) * scale)
    inside = (indices >= 0) & (indices < size)
    if exclude_outside:
        weights = np.where(inside, weights, 0)
    total = weights.sum(axis=1, keepdims=True)
    weights = weights / np.where(total == 0, 1, total)
    return Taps(size, np.clip(indices, 0, size - 1), weights)


# -- in terms of the Resize layers -----------------------------------------------------------------

LAYERS: Mapping[str, Mapping[str, bool]] = {
    "asymmetric": {},
    "half_pixel": {"half_pixel_centers": True},
    "align_corners": {"align_corners": True},
}
"""Settings of ResizeBilinear and ResizeNearestNeighbor for each of their rules."""


def rules_for_nearest(taps: Taps) -> list[str]:
    """The layer's rules that give the same elements."""
    found, count = taps.indices[:, 0], len(taps.indices)
    return [
        rule for rule in LAYERS if np.array_equal(nearest_taps(rule, taps.size, count), found)
    ]


def rules_for_linear(places: Array, size: int) -> list[str]:
    """The layer's rules that give the same positions."""
    wanted = np.clip(places, 0, size - 1)
    found: list[str] = []
    for rule in LAYERS:
        indices, weights = linear_taps(rule, size, len(places))
        if np.allclose(indices + weights.astype(np.float64), wanted, rtol=0, atol=CLOSE):
            found.append(rule)
    return found
