"""What the data say of every blob: its threshold, as prototxt and method give it, and its noise."""

from __future__ import annotations

from functools import cache
from math import isfinite

import numpy as np
from xdsl.ir import Block, Operation, SSAValue

from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.thresholds.channels import Channels
from bmnetu.calibration.thresholds.coefficients import RealCoefficients, coefficients_of
from bmnetu.calibration.thresholds.histogram import Histogram
from bmnetu.calibration.thresholds.histograms import Histograms
from bmnetu.calibration.thresholds.methods import threshold
from bmnetu.calibration.thresholds.scale_plan import ScalePlan
from bmnetu.errors import InputFileError
from bmnetu.frontend.ufw_pb2 import LayerParameter
from bmnetu.frontend.weights.scales import FULL_SCALE_SIGNED, FULL_SCALE_UNSIGNED
from dialects.constant import Array
from dialects.host.base import HostOp
from dialects.ufw.layer import LayerOp

DEAD_BELOW = 1e-12
"""A blob that stays below this on all data is dead: its threshold is 1."""
LARGEST_THRESHOLD = 1e30
"""Beyond it, products of scales would not be float32 numbers."""


_STRATEGIES = {LayerParameter.USE_KL: "KL", LayerParameter.USE_MAX: "MAX"}


STEEP = 2.0
"""Above this slope the largest results of a leaky ReLU or a PReLU are made of negative numbers:
they are few and mean most. The slopes of trained nets that are just above 1 make no such tail."""


def _is_tailed(op: Operation | Block) -> bool:
    """Whether a layer's largest results mean most, so that their threshold is the maximum."""
    if not isinstance(op, LayerOp):
        return False
    return op.is_bounded or op.averages_map or op.largest_slope > STEEP


class Measured:
    """What the data give for every measured value: its threshold and what 8 bits cost.

    th_strategy, th_scale and threshold of the layer that makes the blob go before ``method``.
    """

    def __init__(
        self, net: FloatNet, plan: ScalePlan, channels: Channels, counted: Histograms, method: str
    ) -> None:
        self._net, self._channels, self._counted, self._method = net, channels, counted, method
        self._histograms: dict[SSAValue, Histogram] = {}
        for value in plan.measured:
            name = net.names[value]
            full_scale = FULL_SCALE_UNSIGNED if value in plan.unsigned else FULL_SCALE_SIGNED
            if name in counted.counts:
                largest, counts = counted.largest[name], counted.counts[name]
                self._histograms[value] = Histogram(counts, largest, full_scale)
        self.coefficients = cache(self._coefficients)

    def threshold(self, value: SSAValue) -> float:
        """What the prototxt or the method gives.

        Raises :class:`InputFileError` when it is not a number that INT8 can hold."""
        name, settings = self._net.names[value], self._settings(value)
        if settings.HasField("threshold"):
            found, said = settings.threshold, "the prototxt gives it threshold"
        else:
            found = self._measured(value) * settings.th_scale
            said = "on the calibration data it has threshold"
        if isinstance(value.owner, HostOp) or self._stays_float(value):
            found = min(found, LARGEST_THRESHOLD / 2)
        if not (isfinite(found) and DEAD_BELOW < found < LARGEST_THRESHOLD):
            raise InputFileError(
                f'blob "{name}" cannot be held in 8 bits: {said} {found:g}; '
                f"numbers from {DEAD_BELOW:g} to {LARGEST_THRESHOLD:g} can be"
            )
        return found

    def _stays_float(self, value: SSAValue) -> bool:
        """Whether no layer holds it in 8 bits, neither the one that makes it nor a reader."""
        floats = self._net.floats
        return value.owner in floats and all(use.operation in floats for use in value.uses)

    def is_fixed(self, value: SSAValue) -> bool:
        """Whether the prototxt gives the threshold itself."""
        return self._settings(value).HasField("threshold")

    def noise(self, value: SSAValue, thresholds: Array) -> Array:
        """The sum of square errors of the value at each threshold."""
        histogram = self._histograms.get(value)
        return np.zeros(len(thresholds)) if histogram is None else histogram.noise(thresholds)

    def alive(self, value: SSAValue) -> float:
        """The part of the value's numbers that are not zero."""
        histogram = self._histograms.get(value)
        return 0.0 if histogram is None else histogram.counts.sum() / self.count(value)

    def energy(self, value: SSAValue) -> float:
        """The sum of the value's squares."""
        return float(self._channels.squares[self._net.names[value]].sum())

    def count(self, value: SSAValue) -> int:
        """How many numbers of the value were seen."""
        name = self._net.names[value]
        return self._channels.counts[name] * len(self._channels.squares[name])

    def _coefficients(self, op: LayerOp) -> RealCoefficients | None:
        if not op.operands:
            return None
        return coefficients_of(op, self._channels.mean_square(self._net.names[op.operands[0]]))

    def _measured(self, value: SSAValue) -> float:
        histogram = self._histograms.get(value)
        if histogram is None:
            return 1.0
        key = (self._net.names[value], histogram.full_scale, self._strategy(value))
        if key not in self._counted.thresholds:
            self._counted.thresholds[key] = threshold(self._strategy(value), histogram)
        return self._counted.thresholds[key]

    def _settings(self, value: SSAValue) -> LayerParameter:
        return self._net.makers.get(value, LayerParameter())

    def _strategy(self, value: SSAValue) -> str:
        usual = "MAX" if _is_tailed(value.owner) else self._method
        return _STRATEGIES.get(self._settings(value).th_strategy, usual)
