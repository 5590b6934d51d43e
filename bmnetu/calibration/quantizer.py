"""Makes the integer net of a float net, for any choice of layers that stay float."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from xdsl.ir import SSAValue

from bmnetu.calibration.channels import Channels
from bmnetu.calibration.choice import Choice
from bmnetu.calibration.net import FloatNet, Node
from bmnetu.calibration.plan import Plan, make_plan
from bmnetu.calibration.quantized import QuantizedNet, quantize_net
from bmnetu.calibration.refine import refine
from bmnetu.calibration.scales import Thresholds
from bmnetu.calibration.statistics import Histograms
from bmnetu.options import CalibrateOptions
from dialects.blob import Array


@dataclass(frozen=True)
class Quantizer:
    """All that the integer net is made of: ``channels`` and ``histograms`` of the float net's
    blobs, and the batches that weights are refined on."""

    net: FloatNet
    channels: Channels
    histograms: Histograms
    sample: Sequence[Mapping[str, Array]]
    options: CalibrateOptions

    def quantized(self, floats: Set[Node]) -> QuantizedNet:
        """The integer net in which ``floats`` stay float."""
        net, options = self.net, self.options
        plan = _plan(net, floats)
        choice = Choice(net, plan, self.channels, self.histograms, options.th_method)
        thresholds = Thresholds(plan, list(net.names), choice)
        found = quantize_net(list(net.inputs.values()), list(net.layers), thresholds, choice)
        steps = {"rounding": options.adaptive_rounding, "correction": options.bias_correction}
        if any(steps.values()):
            refine(net, found, self.sample, **steps)
        return found


def measured(net: FloatNet, floats: Set[Node]) -> Sequence[SSAValue]:
    """The values whose histograms are needed when ``floats`` stay float."""
    return _plan(net, floats).measured


def _plan(net: FloatNet, floats: Set[Node]) -> Plan:
    return make_plan(list(net.inputs.values()), list(net.layers), floats)
