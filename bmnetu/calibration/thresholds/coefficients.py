"""Integer coefficients of the layers: int8 weights, an int16 bias, one right shift a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.calibration.thresholds.histogram import Histogram
from bmnetu.calibration.thresholds.histograms import BINS
from dialects.ufw.layer import MAX_SHIFT, LayerOp

Array = NDArray[Any]

LARGEST_WEIGHT = 127
BIAS_RANGE = (-32768, 32767)

UNSEEN = 1e-3
"""What a channel counts at least, as a part of the mean: other data may use it."""


@dataclass(frozen=True)
class IntegerCoefficients:
    """``y = sat((sum weight * x + bias + 2^(shift-1)) >> shift)``.

    ``clipped`` biases exceed 16 bits, by up to ``clipped_by`` steps of the result.
    """

    weight: Array
    bias: Array | None
    shift: int
    clipped: int = 0
    clipped_by: float = 0.0


class RealCoefficients:
    """A layer's real weights and bias, and what rounding them costs.

    ``power`` is ``E x^2`` of the number that meets a weight, broadcast to the weights.
    """

    def __init__(self, weight: Array, bias: Array | None, power: Array | float = 1.0) -> None:
        self.weight, self.bias = weight, bias
        self._outputs = weight.shape[0] if weight.ndim else 1
        magnitude = np.abs(weight)
        self._peak = float(magnitude.max(initial=0.0))
        power = np.broadcast_to(power, weight.shape)
        floor = UNSEEN * float(power.mean()) if power.any() else 1.0
        weighted = np.where(weight == 0, 0.0, power + floor)
        counts, _ = np.histogram(
            magnitude.ravel(), BINS, (0.0, self._peak or 1.0), weights=weighted.ravel()
        )
        self._weights = Histogram(counts, self._peak or 1.0, LARGEST_WEIGHT)

    def shifts(self, ratios: Array, results: Array) -> tuple[Array, Array]:
        """(shift, mean square error of a result) at every candidate for the scales.

        ``ratios`` are input scale / result scale, ``results`` the result scales. The weights are
        ``w * ratio * 2^shift``, in 8 bits; the bias is ``b / result * 2^shift``, in 16. The shift
        may clip the largest weights, or round all of them more coarsely so that biases fit,
        whichever costs least, the largest of equals. The error is infinite where weights exceed
        8 bits without a shift.
        """
        shifts = np.arange(MAX_SHIFT, -1, -1)
        factors = 2.0 ** shifts[:, None]
        errors = self._error(ratios * factors, factors / results)
        errors[:, self._peak * ratios > LARGEST_WEIGHT + 0.5] = np.inf
        best = errors.argmin(axis=0)
        return shifts[best], errors.min(axis=0)

    def _error(self, weight_factors: Array, bias_factors: Array) -> Array:
        weights = self._weights.noise((LARGEST_WEIGHT / weight_factors).ravel())
        error = weights.reshape(weight_factors.shape) / self._outputs
        if self.bias is not None:
            beyond = np.abs(self.bias).ravel() - (BIAS_RANGE[1] / bias_factors)[..., None]
            error = error + np.mean(np.maximum(beyond, 0.0) ** 2, axis=-1)
        return error

    def integers(self, ratio: float, result: float) -> IntegerCoefficients | None:
        """As integers, rounded half to even; None when a weight exceeds 8 bits."""
        shifts, errors = self.shifts(np.array([ratio]), np.array([result]))
        if not np.isfinite(errors[0]):
            return None
        shift, bias, clipped, clipped_by = int(shifts[0]), None, 0, 0.0
        if self.bias is not None:
            wide = np.rint(self.bias / result * 2.0**shift)
            bias = np.clip(wide, *BIAS_RANGE).astype(np.int16)
            clipped = int(np.count_nonzero(wide != bias))
            clipped_by = float(np.abs(wide - bias).max(initial=0.0)) / 2.0**shift
        weight = np.rint(self.weight * (ratio * 2.0**shift))
        weight = np.clip(weight, -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.int8)
        return IntegerCoefficients(weight, bias, shift, clipped, clipped_by)


def coefficients_of(op: LayerOp, power: Array) -> RealCoefficients | None:
    """What becomes integers; None for a layer without any. ``power`` is of the input's channels."""
    found = op.real_coefficients()
    return None if found is None else RealCoefficients(*found, op.meet_weights(power))
