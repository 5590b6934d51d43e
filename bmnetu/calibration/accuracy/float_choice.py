"""Chooses the layers that stay float: the worst that help, by measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.ir import Operation, SSAValue

from bmnetu.calibration.accuracy.closeness import decibels
from bmnetu.calibration.accuracy.outputs import OutputErrors, Outputs
from bmnetu.calibration.accuracy.regions import joined_regions
from bmnetu.calibration.accuracy.sensitivity import Cost, FloatPart
from bmnetu.calibration.data.accumulate import merged
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.int8.int8_module import judged_net
from bmnetu.calibration.int8.quantized_net import QuantizedNet
from bmnetu.calibration.int8.quantizer import Quantizer
from bmnetu.calibration.run.portable import PortableFunction
from bmnetu.errors import AccuracyError
from dialects.ufw.facts import JoinsOperands

LEAST_GAIN = 0.05
"""A layer is chosen when it takes away at least this part of the noise at the outputs."""
PATIENCE = 4
"""So many layers in a row that do not help, in the order of the ranking, end this search."""


@dataclass(frozen=True)
class Mixed:
    """A net with some parts in float, and how close its outputs are to the float net's.

    ``noise`` and ``cosine`` are the worst of all outputs and of all operands that one is joined of.
    """

    parts: tuple[FloatPart, ...]
    quantized: QuantizedNet
    noise: float
    cosine: float
    worst: str

    @property
    def layers(self) -> int:
        """How many parts are layers, which the budget counts."""
        return _layers(self.parts)

    def line(self) -> str:
        where = f' (worst: "{self.worst}")' if ": " in self.worst else ""
        return f"SQNR {decibels(self.noise):.1f} dB, cosine {self.cosine:.6f}{where}"


@dataclass
class FloatChoice:
    """The search. ``report`` gets a line a decision."""

    quantizer: Quantizer
    data: CalibrationData
    report: Callable[[str], None]

    def choose(
        self, start: QuantizedNet, costs: Sequence[Cost], budget: int | None, target: float | None
    ) -> Mixed:
        """The mixed net: parts are tried from the worst on, and kept when they help.

        A part that does not help alone is tried with those that read it, as what lies between two
        layers is rounded unless both are float; an input only so. Ends at ``budget`` layers, or
        when the worst cosine is at least ``target``. Where single parts do not lead
        there, the fewest of the worst that do so together. Raises :class:`AccuracyError` when it is
        not reached.
        """
        parts = [cost.part for cost in costs]
        budget = len(parts) if budget is None else budget
        found = self._measured((), start)
        self.report(f"all in 8 bits: {found.line()}")
        misses = 0
        for part in parts:
            done = target is not None and found.cosine >= target
            if done or found.layers >= budget or misses >= PATIENCE:
                break
            if part in found.parts:
                continue
            better = self._better(found, part, parts, budget)
            misses = misses + 1 if better is None else 0
            found = better or found
        if target is not None and found.cosine < target:
            found = self._together(found, parts, budget, target)
        if target is not None and found.cosine < target:
            names = ", ".join(part.name for part in found.parts) or "none"
            raise AccuracyError(
                f"-target_cosine={target:g} is not reached: {found.cosine:.6f} is the best, with "
                f"{found.layers} of at most {budget} layers in float ({names}); allow more "
                "with -float_budget, or ask for less"
            )
        return found

    def _better(
        self, found: Mixed, part: FloatPart, parts: Sequence[FloatPart], budget: int
    ) -> Mixed | None:
        """The net with one more part in float, or with its readers too, if that is better."""
        readers = [x for x in dict.fromkeys(_readers(part, parts)) if x not in found.parts]
        ways = [[part]] if part.layers or not readers else []
        ways += [[part, *readers]] if readers else []
        for more in ways:
            expected = (*found.parts, *more)
            if _layers(expected) > budget:
                continue
            trial = self._tried(expected)
            helps = trial.noise <= found.noise * (1 - LEAST_GAIN)
            names = " and ".join(each.name for each in more)
            self.report(f"{names} in float: {trial.line()}{'' if helps else '; not chosen'}")
            if helps:
                return trial
        return None

    def _together(
        self, found: Mixed, parts: Sequence[FloatPart], budget: int, target: float
    ) -> Mixed:
        """The fewest of the worst parts that reach the target; the best found if none do."""
        fits = [n for n in range(len(parts) + 1) if _layers(parts[:n]) <= budget]
        fails, reaches = 0, fits[-1]
        best = self._worst(parts[:reaches])
        if best.cosine < target:
            return max(found, best, key=lambda mixed: mixed.cosine)
        while reaches - fails > 1:
            count = (fails + reaches) // 2
            trial = self._worst(parts[:count])
            if trial.cosine >= target:
                best, reaches = trial, count
            else:
                fails = count
        return best

    def _worst(self, parts: Sequence[FloatPart]) -> Mixed:
        trial = self._tried(parts)
        self.report(f"the {len(parts)} worst in float: {trial.line()}")
        return trial

    def _tried(self, parts: Sequence[FloatPart]) -> Mixed:
        floats = {node for part in parts for node in part.nodes}
        quantized = self.quantizer.quantized(self.quantizer.net.floats | floats)
        return self._measured(tuple(parts), quantized)

    def _measured(self, parts: tuple[FloatPart, ...], quantized: QuantizedNet) -> Mixed:
        net = self.quantizer.net
        int8, function = judged_net(net, quantized), net.judged_function()
        portable, regions = PortableFunction(function), joined_regions(function)
        job = Outputs(portable, int8, self.data, OutputErrors, regions)
        found = merged(job, self.data, OutputErrors(), "measuring")
        return Mixed(parts, quantized, found.worst_noise, found.cosine, found.worst)


def _layers(parts: Sequence[FloatPart]) -> int:
    return sum(1 for part in parts if part.layers)


def _readers(maker: FloatPart, parts: Sequence[FloatPart]) -> list[FloatPart]:
    """The parts that read what one makes; a concatenation is float when its operands are."""
    blobs: set[SSAValue] = set()
    for node in maker.nodes:
        blobs.update(node.results if isinstance(node, Operation) else [node])
    found: list[FloatPart] = []
    for part in parts:
        if part is maker or not any(x in blobs for op in part.layers for x in op.operands):
            continue
        found += _readers(part, parts) if part.layers[0].has_trait(JoinsOperands) else [part]
    return found
