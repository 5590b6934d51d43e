"""Makes the integer net of a float net, for any choice of layers that stay float."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice

from xdsl.ir import SSAValue

from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.int8.quantized_net import QuantizedNet, quantize_net
from bmnetu.calibration.int8.recipe import Recipe
from bmnetu.calibration.int8.refine import refine, sample_batches
from bmnetu.calibration.run.net import FloatNet, Node
from bmnetu.calibration.thresholds.channels import Channels
from bmnetu.calibration.thresholds.histograms import Histograms
from bmnetu.calibration.thresholds.measured import Measured
from bmnetu.calibration.thresholds.scale_plan import ScalePlan, plan_scales
from bmnetu.calibration.thresholds.thresholds import Thresholds
from dialects.constant import Array


@dataclass(frozen=True)
class Quantizer:
    """All that the integer net is made of: ``channels`` and ``histograms`` of the float net's
    blobs, and the batches that weights are refined on."""

    net: FloatNet
    channels: Channels
    histograms: Histograms
    sample: Sequence[Mapping[str, Array]]
    recipe: Recipe

    def with_sample(self, data: CalibrationData) -> Quantizer:
        """The same, with the batches that weights are refined on."""
        batches = islice(data.batches(), sample_batches(self.net.function))
        return replace(self, sample=list(batches))

    def quantized(self, floats: Set[Node]) -> QuantizedNet:
        """The integer net in which ``floats`` stay float."""
        net, recipe = self.net, self.recipe
        plan = _plan(net, floats)
        data = Measured(net, plan, self.channels, self.histograms, recipe.method)
        thresholds = Thresholds(plan, list(net.names), data)
        found = quantize_net(list(net.inputs.values()), list(net.layers), thresholds, data)
        if recipe.refines:
            refine(net, found, self.sample, rounding=recipe.rounding, correction=recipe.correction)
        return found


def measured(net: FloatNet, floats: Set[Node]) -> Sequence[SSAValue]:
    """The values whose histograms are needed when ``floats`` stay float."""
    return _plan(net, floats).measured


def _plan(net: FloatNet, floats: Set[Node]) -> ScalePlan:
    return plan_scales(list(net.inputs.values()), list(net.layers), floats)
