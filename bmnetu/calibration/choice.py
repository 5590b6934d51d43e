"""The threshold of every measured blob: from the data, as the prototxt and the method say."""

from __future__ import annotations

from functools import partial
from math import isfinite

from xdsl.ir import SSAValue

from bmnetu.calibration.accumulate import accumulate
from bmnetu.calibration.data import CalibrationData
from bmnetu.calibration.net import FloatNet
from bmnetu.calibration.plan import Plan
from bmnetu.calibration.statistics import Histograms, Ranges
from bmnetu.calibration.thresholds import kl_threshold
from bmnetu.errors import InputFileError
from bmnetu.frontend.scales import FULL_SCALE_SIGNED, FULL_SCALE_UNSIGNED
from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.ufw import ops

DEAD_BELOW = 1e-12
"""A blob that stays below this on all data is dead: its threshold is 1."""
LARGEST_THRESHOLD = 1e30
"""Beyond it, products of scales would not be float32 numbers."""

BOUNDED = (ops.SoftmaxOp, ops.SigmoidOp, ops.TanHOp)
"""Layers whose largest results mean most: their threshold is the maximum."""

_STRATEGIES = {LayerParameter.USE_KL: "KL", LayerParameter.USE_MAX: "MAX"}


class Choice:
    """Runs a net over the data and gives the threshold of a measured value.

    ``method`` is KL or MAX; th_strategy, th_scale and threshold of the layer that makes the blob
    go before it. ``faulty`` names the blobs with numbers that are not finite.
    """

    def __init__(self, net: FloatNet, plan: Plan, data: CalibrationData, method: str) -> None:
        self._net, self._plan, self._method = net, plan, method
        ranges = accumulate(net.function, data, Ranges, "ranges")
        self.faulty = sorted(ranges.faulty)
        self._largest = ranges.largest
        wanted = [net.names[value] for value in plan.measured if self._strategy(value) == "KL"]
        alive = {name: ranges.largest[name] for name in wanted if ranges.largest[name] > DEAD_BELOW}
        self._histograms = Histograms(alive)
        if alive:
            gather = partial(Histograms, alive)
            self._histograms = accumulate(net.function, data, gather, "histograms")

    def threshold(self, value: SSAValue) -> float:
        """Raises :class:`InputFileError` when it is not a number that INT8 can hold."""
        name, settings = self._net.names[value], self._settings(value)
        if settings.HasField("threshold"):
            found, said = settings.threshold, "the prototxt gives it threshold"
        else:
            found = self._measured(value) * settings.th_scale
            said = "on the calibration data it has threshold"
        if not (isfinite(found) and DEAD_BELOW < found < LARGEST_THRESHOLD):
            raise InputFileError(
                f'blob "{name}" cannot be held in 8 bits: {said} {found:g}; '
                f"numbers from {DEAD_BELOW:g} to {LARGEST_THRESHOLD:g} can be"
            )
        return found

    def _measured(self, value: SSAValue) -> float:
        name = self._net.names[value]
        largest = self._largest[name]
        if largest <= DEAD_BELOW:
            return 1.0
        if name not in self._histograms.counts:
            return largest
        full_scale = FULL_SCALE_UNSIGNED if value in self._plan.unsigned else FULL_SCALE_SIGNED
        return kl_threshold(self._histograms.counts[name], largest, full_scale + 1)

    def _settings(self, value: SSAValue) -> LayerParameter:
        return self._net.makers.get(value, LayerParameter())

    def _strategy(self, value: SSAValue) -> str:
        settings = self._settings(value)
        if settings.HasField("threshold"):
            return ""
        usual = "MAX" if isinstance(value.owner, BOUNDED) else self._method
        return _STRATEGIES.get(settings.th_strategy, usual)
