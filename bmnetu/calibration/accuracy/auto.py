"""Chooses a recipe by measurement: each is tried on a part of the data that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from bmnetu.calibration.accuracy.regions import Regions, joined_regions
from bmnetu.calibration.data.accumulate import merged
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.int8.gathered import gathered, ranges
from bmnetu.calibration.int8.int8_module import judged_net
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.calibration.int8.quantizer import Quantizer
from bmnetu.calibration.int8.recipe import Recipe
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.run.portable import PortableFunction
from bmnetu.calibration.thresholds.channels import Channels
from bmnetu.note import Note
from dialects.constant import Array
from dialects.execute import execute, names_of
from dialects.meaning import evaluate_whole
from dialects.ufw.facts import GivesProbabilities, MovesData
from dialects.ufw.layer import LayerOp

Report = Callable[[str], None]

METHODS = ("KL", "MSE", "PERCENTILE", "MAX")
"""What is tried, the usual one first."""
TRIED_BATCHES = 64
"""At most so many batches are used, spread over the data."""
JUDGED_SAMPLES = 32
"""So many samples, or one batch, are kept for judging, but at most half of the batches: AUTO then
takes less than three times what the first method takes."""
MARGIN = 2.0
"""By so many dB over the root of the number of judged samples another recipe has to be better than
the usual one."""
SURE = 2.0
"""And by so many standard errors of the difference: the best of several is often so by chance."""
LEAST_ERROR = 1e-5
"""Relative errors below it are alike."""
LEAST_PROBABILITY = 1e-3
"""Probabilities below it are alike: samples that are decided count little."""


def best_recipe(net: FloatNet, data: CalibrationData, usual: Recipe, report: Report) -> Recipe:
    """The recipe whose outputs are nearest to the float net's on data that it has not seen.

    Tried are all METHODS, equalised and not, without refined weights; then the usual recipe and the
    best other one with them. A switch that is off in ``usual`` stays off. The usual recipe, with
    the first method, stays unless another is better by more than chance, see MARGIN and SURE. The
    net stays as it is.
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
    if judged.samples == 1:
        report(Note("one-sample", "-th_method=AUTO: one sample is too few for a judgement; give"
                                  " more data").line)  # fmt: skip
    report("SQNR of the worst output, by the mean size of its errors:")
    for equalize in (True, False) if usual.equalize else (False,):
        trials.run([replace(usual, method=m, equalize=equalize).plain() for m in METHODS])
    if usual.refines:
        others = [recipe for recipe in trials.ranked() if recipe != usual.plain()]
        trials.run([usual, replace(usual, method=others[0].method, equalize=others[0].equalize)])
    doubts = {recipe: trials.doubt(recipe, usual) for recipe in trials.ranked()}
    best = next(recipe for recipe, doubt in doubts.items() if not doubt)
    first = next(iter(doubts))
    if best != first:
        stays = f"{METHODS[0]} stays" if best == usual else "not chosen"
        report(f"{stays}: {first.flags()} is better by {doubts[first]}")
    report(f"chosen: {best.flags()}")
    return best


def _parts(data: CalibrationData) -> tuple[CalibrationData, CalibrationData]:
    """What recipes are settled on, and what they are judged on: the same where there is but one."""
    if data.count == 1:
        return data, data
    count = min(data.count, TRIED_BATCHES)
    places = [i * data.count // count for i in range(count)]
    size = next(iter(data.inputs.values()))[0]
    kept = min(max(1, JUDGED_SAMPLES // size), count // 2)
    judged = [places[(2 * i + 1) * count // (2 * kept)] for i in range(kept)]
    return data.chosen([i for i in places if i not in judged]), data.chosen(judged)


@dataclass
class _Errors:
    """By recipe and output: of each judged sample, the length of its error and of itself."""

    found: list[dict[str, list[tuple[float, float]]]]

    def merge(self, other: _Errors) -> None:
        for mine, more in zip(self.found, other.found, strict=True):
            for name, pairs in more.items():
                mine.setdefault(name, []).extend(pairs)


@dataclass(frozen=True)
class _Judgement:
    """Integer nets beside the float net, run over a batch."""

    net: PortableFunction
    int8: Sequence[Int8Net]
    data: CalibrationData
    regions: Regions
    probabilities: frozenset[str]

    def run(self, index: int) -> _Errors:
        batch, function = self.data.batch(index), self.net.function
        outputs = names_of(function, "output_names")
        real = dict(zip(outputs, execute(function, batch, evaluate_whole), strict=True))
        size, new = len(next(iter(batch.values()))), self.data.new(index)
        apart = all(len(array) == size for array in real.values())
        samples = [slice(i, i + 1) for i in range(new)] if apart else [slice(None)]
        expected = [self._judged(real, rows) for rows in samples]
        found: list[dict[str, list[tuple[float, float]]]] = []
        for each in self.int8:
            held = each.run(batch)
            pairs = zip(expected, (self._judged(held, rows) for rows in samples), strict=True)
            errors: dict[str, list[tuple[float, float]]] = {}
            for x, y in pairs:
                for name, array in x.items():
                    lengths = _length(array - y[name]), _length(array)
                    errors.setdefault(name, []).append(lengths)
            found.append(errors)
        return _Errors(found)

    def _judged(self, outputs: Mapping[str, Array], rows: slice) -> dict[str, Array]:
        """What is compared of some rows: probabilities as logarithms, and the regions."""
        found: dict[str, Array] = {}
        for name, array in outputs.items():
            if name in self.probabilities:
                array = np.log(np.maximum(array, LEAST_PROBABILITY))
            found[name] = array[rows]
            for part, mask in self.regions.get(name, {}).items():
                found[f"{name}: {part}"] = array[rows][mask[rows]]
        return found


def _length(array: Array) -> float:
    return float(np.linalg.norm(np.nan_to_num(array.astype(np.float64).ravel())))


@dataclass(frozen=True)
class _Score:
    """Of one recipe: the ``errors`` of the judged samples at its worst output, relative to the
    output's size, and what they are together ``in_db``."""

    errors: Array

    @staticmethod
    def of(found: Mapping[str, Sequence[tuple[float, float]]]) -> _Score:
        parts = [np.array(pairs) for pairs in found.values()]
        parts = [
            pairs[:, 0] / np.sqrt(np.mean(pairs[:, 1] ** 2)) for pairs in parts if pairs[:, 1].any()
        ]
        return _Score(max(parts, key=np.mean, default=np.zeros(1)))

    @property
    def in_db(self) -> float:
        return -20 * float(np.log10(max(self.errors.mean(), LEAST_ERROR)))

    def doubt(self, usual: _Score) -> str:
        """Why it may be better than the usual one by chance alone; nothing where it is surely."""
        gains, count = usual.errors - self.errors, len(self.errors)
        gain, margin = self.in_db - usual.in_db, MARGIN / np.sqrt(count)
        if gain < margin:
            return f"{gain:.2f} dB only, less than {margin:.2f}"
        chance = gains.std() / np.sqrt(max(1, count - 1))
        if gains.mean() < SURE * chance:
            errors = gains.mean() / chance
            return f"{gain:.1f} dB, {errors:.1f} standard errors only, less than {SURE:g}"
        return ""


@dataclass
class _Trials:
    """Recipes settled on one part of the data and judged on another."""

    net: FloatNet
    settled: CalibrationData
    judged: CalibrationData
    report: Report
    scores: dict[Recipe, _Score] = field(default_factory=dict[Recipe, _Score])
    _quantizers: dict[bool, Quantizer] = field(default_factory=dict[bool, Quantizer])
    _channels: Channels | None = None

    def run(self, recipes: Sequence[Recipe]) -> None:
        """Settles, judges and reports them."""
        int8: list[Int8Net] = []
        for recipe in recipes:
            made = replace(self._quantizer(recipe), recipe=recipe)
            int8.append(judged_net(made.net, made.quantized(made.net.floats)))
        function = self.net.judged_function()
        job = _Judgement(
            PortableFunction(function), int8, self.judged, joined_regions(function),
            probabilities(function),
        )  # fmt: skip
        found = merged(job, self.judged, _Errors([{} for _ in recipes]), "judging")
        for recipe, scores in zip(recipes, found.found, strict=True):
            self.scores[recipe] = _Score.of(scores)
            self.report(f"  {recipe.flags()}: {self.scores[recipe].in_db:.1f} dB")

    def ranked(self) -> list[Recipe]:
        """The best first; of equal ones that which was tried first."""
        return sorted(self.scores, key=lambda recipe: -self.scores[recipe].in_db)

    def doubt(self, recipe: Recipe, usual: Recipe) -> str:
        """Why a recipe is not surely better than the usual one, which has no doubt."""
        return "" if recipe == usual else self.scores[recipe].doubt(self.scores[usual])

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
    if not isinstance(op, LayerOp):
        return False
    if op.has_trait(MovesData):
        return _is_probability(op.operands[0])
    return op.has_trait(GivesProbabilities)
