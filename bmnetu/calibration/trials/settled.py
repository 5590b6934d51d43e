"""A calibrated net, and the same with other thresholds or more float layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from xdsl.ir import SSAValue

from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.int8.gathered import gathered
from bmnetu.calibration.int8.quantized_net import QuantizedNet, quantize_net
from bmnetu.calibration.int8.quantizer import Quantizer
from bmnetu.calibration.int8.recipe import Recipe
from bmnetu.calibration.int8.refine import refine
from bmnetu.calibration.run.net import FloatNet, Node
from bmnetu.calibration.thresholds.channels import Channels
from bmnetu.calibration.thresholds.histogram import Histogram
from bmnetu.calibration.thresholds.measured import Measured
from bmnetu.calibration.thresholds.methods import METHODS, threshold
from bmnetu.calibration.thresholds.scale_plan import ScalePlan, plan_scales
from bmnetu.calibration.thresholds.thresholds import Numbers, Thresholds
from bmnetu.frontend.weights.scales import FULL_SCALE_SIGNED, FULL_SCALE_UNSIGNED
from dialects.ufw.layer import LayerOp

SCANNED = ("MAX", "KL", "PERCENTILE", "MSE")
"""The methods whose thresholds are tried."""
A_LITTLE_LESS = 1 - 1e-6
"""The scale of a product is settled by the scales of its operands: it is the next one above."""


@dataclass(frozen=True)
class Settled:
    """A float net, in the units of its integer net, what the data say of it, and the integers."""

    quantizer: Quantizer
    quantized: QuantizedNet

    @staticmethod
    def by_data(
        net: FloatNet, channels: Channels, data: CalibrationData, recipe: Recipe
    ) -> Settled:
        """A net as a calibration settles it. The net is equalised in place if the recipe says
        so."""
        quantizer = gathered(net, channels, data, recipe, True)
        return Settled(quantizer, quantizer.quantized(net.floats))

    @property
    def net(self) -> FloatNet:
        """The float net."""
        return self.quantizer.net

    @property
    def floats(self) -> Set[Node]:
        """What is float in the integer net: layers, and inputs of the net."""
        inputs = (x for x in self.net.inputs.values() if self.quantized.numbers[x].is_float)
        return {*self.net.floats, *self.quantized.floats, *inputs}

    @property
    def plan(self) -> ScalePlan:
        """Which blobs share a scale."""
        return _plan(self.net, self.floats)

    def sharing(self, value: SSAValue) -> list[SSAValue]:
        """The values that have the scale of one, in the order of the net."""
        plan = self.plan
        return [each for each in self.net.names if plan.root(each) == plan.root(value)]

    def scan(self, value: SSAValue) -> dict[str, float]:
        """The threshold of a value's scale by each method, where the data tell it."""
        plan, counted = self.plan, self.quantizer.histograms
        measured = set(plan.measured)
        histograms = [
            Histogram(counted.counts[name], counted.largest[name],
                      FULL_SCALE_UNSIGNED if each in plan.unsigned else FULL_SCALE_SIGNED)
            for each in self.sharing(value)
            if each in measured and (name := self.net.names[each]) in counted.counts
        ]  # fmt: skip
        return {
            method: max(threshold(method, each) for each in histograms)
            for method in SCANNED if method in METHODS and histograms
        }  # fmt: skip

    def changed(
        self, thresholds: Mapping[SSAValue, float] | None = None, floats: Iterable[Node] = ()
    ) -> QuantizedNet:
        """The integer net with other thresholds of some values, and more float layers. All other
        values keep their thresholds where integer arithmetic allows it, and layers whose operands
        and results do, their integers."""
        quantizer, recipe = self.quantizer, self.quantizer.recipe
        held = self.quantized.numbers
        given = {value: numbers.threshold for value, numbers in held.items()} | {
            each: number for value, number in (thresholds or {}).items()
            for each in self.sharing(value)
        }  # fmt: skip
        plan = _plan(self.net, {*self.floats, *floats})
        data = _Given(self.net, plan, quantizer, given)
        order = list(self.net.names)
        inputs, layers = list(self.net.inputs.values()), list(self.net.layers)
        found = quantize_net(inputs, layers, Thresholds(plan, order, data), data)
        new: set[LayerOp] = set()
        for op in found.coefficients:
            own = self.quantized.coefficients.get(op)
            values = [*op.operands, *op.results]
            if own is not None and all(_same(found.numbers[x], held[x]) for x in values):
                found.coefficients[op] = own
            else:
                new.add(op)
        if recipe.refines and new:
            refine(self.net, found, quantizer.sample, rounding=recipe.rounding,
                   correction=recipe.correction, only=new)  # fmt: skip
        return found


class _Given(Measured):
    """What the data give, with thresholds that are given."""

    def __init__(
        self, net: FloatNet, plan: ScalePlan, made: Quantizer, given: Mapping[SSAValue, float]
    ) -> None:
        super().__init__(net, plan, made.channels, made.histograms, made.recipe.method)
        self._given = given

    def threshold(self, value: SSAValue) -> float:
        found = self._given[value]
        if not found:
            return super().threshold(value)
        owner = value.owner
        return found * A_LITTLE_LESS if isinstance(owner, LayerOp) and owner.is_product else found

    def is_fixed(self, value: SSAValue) -> bool:
        return bool(self._given[value])


def _same(some: Numbers, others: Numbers) -> bool:
    """Whether a blob is held alike."""
    kinds = (some.unsigned, some.is_float) == (others.unsigned, others.is_float)
    return kinds and (some.is_float or some.scale == others.scale)


def _plan(net: FloatNet, floats: Set[Node]) -> ScalePlan:
    return plan_scales(list(net.inputs.values()), list(net.layers), floats)
