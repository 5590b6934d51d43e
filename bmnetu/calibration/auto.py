"""Chooses a recipe by measurement: each is tried on a part of the data that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from bmnetu.calibration.accumulate import merged
from bmnetu.calibration.channels import Channels
from bmnetu.calibration.closeness import Closeness
from bmnetu.calibration.data import CalibrationData
from bmnetu.calibration.gathered import gathered, ranges
from bmnetu.calibration.integer_module import integer_module
from bmnetu.calibration.integer_net import IntegerNet
from bmnetu.calibration.net import FloatNet
from bmnetu.calibration.portable import PortableFunction
from bmnetu.calibration.quantizer import Quantizer
from bmnetu.calibration.recipe import Recipe
from bmnetu.calibration.regions import MOVES, Regions, joined_regions, with_regions
from dialects.blob import Array
from dialects.execute import execute, names_of
from dialects.ufw import ops
from dialects.ufw.reference import evaluate

Report = Callable[[str], None]

METHODS = ("KL", "MSE", "PERCENTILE", "MAX")
"""What is tried, the usual one first."""
TRIED_BATCHES = 64
"""At most so many batches are used, spread over the data."""
JUDGED_EVERY = 4
"""Every fourth of them is kept for judging."""
JUDGED_SAMPLES = 8
"""At most so many samples, or one batch, are judged."""
MARGIN = 0.5
"""By so many dB another recipe has to be better than the usual one."""
WORST, BEST = 0.0, 60.0
"""In dB: beyond these, less or more noise of a batch does not count."""
LEAST_PROBABILITY = 1e-6
"""Probabilities below it are alike."""


def best_recipe(
    net: FloatNet, data: CalibrationData, usual: Recipe, report: Report
) -> Recipe:
    """The recipe whose outputs are nearest to the float net's on data that it has not seen.

    Tried are all METHODS, equalised and not, without refined weights; then the usual recipe and the
    best other one with them. A switch that is off in ``usual`` stays off. The usual recipe, with
    the first method, stays unless another is better by MARGIN. The net stays as it is.
    """
    settled, judged = _parts(data)
    usual = replace(usual, method=METHODS[0])
    trials = _Trials(net, settled, judged, report)
    if settled is judged:
        report("-th_method=AUTO: one batch of data: recipes are judged on what settled them")
    else:
        report(
            f"-th_method=AUTO: {settled.count} batch(es) settle recipes, {judged.count} judge them"
        )
    for equalize in (True, False) if usual.equalize else (False,):
        trials.run([replace(usual, method=m, equalize=equalize).plain() for m in METHODS])
    if usual.refines:
        others = [recipe for recipe in trials.ranked() if recipe != usual.plain()]
        trials.run([usual, replace(usual, method=others[0].method, equalize=others[0].equalize)])
    best = trials.ranked()[0]
    if trials.scores[best] < trials.scores[usual] + MARGIN:
        best = usual
    report(f"chosen: {best.flags()}")
    return best


def _parts(data: CalibrationData) -> tuple[CalibrationData, CalibrationData]:
    """What recipes are settled on, and what they are judged on: the same where there is but one."""
    if data.count == 1:
        return data, data
    count = min(data.count, TRIED_BATCHES)
    places = [i * data.count // count for i in range(count)]
    first = min(JUDGED_EVERY, count) - 1
    kept = places[first::JUDGED_EVERY]
    size = next(iter(data.inputs.values()))[0]
    judged = kept[: max(1, JUDGED_SAMPLES // size)]
    return data.chosen([i for i in places if i not in kept]), data.chosen(judged)


@dataclass
class _Scores:
    """By recipe, what is judged, in dB: one number a batch."""

    found: list[dict[str, list[float]]]

    def merge(self, other: _Scores) -> None:
        for mine, more in zip(self.found, other.found, strict=True):
            for name, values in more.items():
                mine.setdefault(name, []).extend(values)


@dataclass(frozen=True)
class _Judgement:
    """Integer nets beside the float net, run over a batch."""

    net: PortableFunction
    int8: Sequence[IntegerNet]
    data: CalibrationData
    regions: Regions
    probabilities: frozenset[str]

    def run(self, index: int) -> _Scores:
        batch, function = self.data.batch(index), self.net.function
        outputs = names_of(function, "output_names")
        real = dict(zip(outputs, execute(function, batch, evaluate), strict=True))
        wanted = self._judged(real, index)
        return _Scores(
            [_decibels(wanted, self._judged(each.run(batch), index)) for each in self.int8]
        )

    def _judged(self, outputs: Mapping[str, Array], index: int) -> dict[str, Array]:
        """What is compared: probabilities as logarithms, and no samples twice."""
        size = len(next(iter(self.data.batch(index).values())))
        found = dict[str, Array]()
        for name, array in outputs.items():
            array = array[: self.data.new(index)] if len(array) == size else array
            if name in self.probabilities:
                array = np.log(np.maximum(array, LEAST_PROBABILITY))
            found[name] = array
        return with_regions(found, self.regions)


def _decibels(wanted: Mapping[str, Array], found: Mapping[str, Array]) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = {}
    for name, array in wanted.items():
        closeness = Closeness()
        closeness.add(array, found[name])
        if closeness.signal:
            scores[name] = [float(np.clip(closeness.sqnr, WORST, BEST))]
    return scores


@dataclass
class _Trials:
    """Recipes settled on one part of the data and judged on another; ``scores`` are in dB."""

    net: FloatNet
    settled: CalibrationData
    judged: CalibrationData
    report: Report
    scores: dict[Recipe, float] = field(default_factory=dict[Recipe, float])
    _quantizers: dict[bool, Quantizer] = field(default_factory=dict[bool, Quantizer])
    _channels: Channels | None = None

    def run(self, recipes: Sequence[Recipe]) -> None:
        """Settles, judges and tells of them."""
        int8: list[IntegerNet] = []
        for recipe in recipes:
            made = replace(self._quantizer(recipe), recipe=recipe)
            int8.append(IntegerNet(integer_module(made.net, made.quantized(made.net.floats))))
        function = self.net.function
        job = _Judgement(
            PortableFunction(function), int8, self.judged, joined_regions(function),
            probabilities(function),
        )  # fmt: skip
        found = merged(job, self.judged, _Scores([{} for _ in recipes]), "judging")
        for recipe, scores in zip(recipes, found.found, strict=True):
            means = {name: float(np.mean(values)) for name, values in scores.items()}
            worst = min(means, key=means.__getitem__, default="")
            self.scores[recipe] = means.get(worst, BEST)
            self.report(f'  {recipe.flags()}: {self.scores[recipe]:.1f} dB at "{worst}"')

    def ranked(self) -> list[Recipe]:
        """The best first; of equal ones that which was tried first."""
        return sorted(self.scores, key=lambda recipe: -self.scores[recipe])

    def _quantizer(self, recipe: Recipe) -> Quantizer:
        """What a recipe is settled with, gathered once for all that equalise or do not."""
        if self._channels is None:
            self._channels = ranges(self.net, self.settled, lambda line: None)
        if recipe.equalize not in self._quantizers:
            net, channels = self.net.copy(), deepcopy(self._channels)
            self._quantizers[recipe.equalize] = gathered(net, channels, self.settled, recipe, False)
        found = self._quantizers[recipe.equalize]
        if recipe.refines and not found.sample:
            found = self._quantizers[recipe.equalize] = found.with_sample(self.settled)
        return found


def probabilities(function: FuncOp) -> frozenset[str]:
    """The outputs that a softmax makes, wherever moves of data put its numbers."""
    returned = function.body.block.last_op
    assert returned is not None
    outputs = zip(names_of(function, "output_names"), returned.operands, strict=True)
    return frozenset(name for name, value in outputs if _is_probability(value))


def _is_probability(value: SSAValue) -> bool:
    op = value.owner
    if isinstance(op, Operation) and isinstance(op, MOVES):
        return _is_probability(op.operands[0])
    return isinstance(op, ops.SoftmaxOp)
