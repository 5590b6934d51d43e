"""Thresholds of all blobs, from those of the measured ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.ir import SSAValue

from bmnetu.calibration.thresholds.measured import Measured
from bmnetu.calibration.thresholds.scale_plan import ScalePlan
from bmnetu.frontend.weights.scales import FULL_SCALE_SIGNED, FULL_SCALE_UNSIGNED
from dialects.constant import Array
from dialects.ufw.facts import JoinsOperands
from dialects.ufw.layer import MAX_SHIFT, LayerOp
from passes.layers.arithmetic import MAX_SUM_SHIFT, product_shift

LARGEST_RATIO = 64
"""No operand's step may be worth more result steps than this: multipliers are below 128."""
OCTAVES: Array = np.arange(-16, 17) / 32
"""Where around a method's threshold the search looks, in powers of two: one octave holds every
use that a shift can make of the weights."""


@dataclass(frozen=True)
class Numbers:
    """How a blob is held: 8-bit steps of threshold / 127 (signed) or / 255, or float32.

    A float's threshold and sign are those it gets where an INT8 layer reads it.
    """

    threshold: float
    unsigned: bool = False
    is_float: bool = False

    @property
    def full_scale(self) -> int:
        return FULL_SCALE_UNSIGNED if self.unsigned else FULL_SCALE_SIGNED

    @property
    def scale(self) -> float:
        """The real value of one step."""
        return self.threshold / self.full_scale


class Thresholds:
    """The threshold of every class of values that share a scale, rounded to float32.

    A class starts from the largest threshold that its measured values ask for. Where a layer's
    integer coefficients or multipliers make it, it moves by up to half an octave to where clipping
    and rounding of the values and rounding of the coefficients cost least together. A class is
    settled after those that its layers read.
    """

    def __init__(self, plan: ScalePlan, values: Sequence[SSAValue], data: Measured) -> None:
        self.plan = plan
        self._data = data
        self._found: dict[SSAValue, float] = {}
        self._members: dict[SSAValue, list[SSAValue]] = defaultdict(list)
        for value in values:
            self._members[plan.root(value)].append(value)
        self._measured = set(plan.measured)

    def numbers(self, value: SSAValue) -> Numbers:
        """How the value is held as an integer."""
        root = self.plan.root(value)
        if root not in self._found:
            self._settle(root)
        return Numbers(self._found[root], value in self.plan.unsigned)

    def _settle(self, root: SSAValue) -> None:
        measured = [value for value in self._members[root] if value in self._measured]
        expected = max((self._data.threshold(value) for value in measured), default=0.0)
        self._found[root] = _float32(expected)  # what a class that reads itself sees meanwhile
        makers = [
            value.owner
            for value in self._members[root]
            if isinstance(value.owner, LayerOp) and value.owner not in self.plan.floats
        ]
        full_scale = Numbers(1.0, root in self.plan.unsigned).full_scale
        for op in makers:
            if op.is_product:
                operands = [self.numbers(x) for x in op.operands]
                expected = product_threshold(operands, self.numbers(root))
                measured = []
        least = max((self._least(op, full_scale) for op in makers), default=0.0)
        expected = max(expected, least)
        free = bool(measured) and not any(self._data.is_fixed(value) for value in measured)
        candidates = (expected * 2.0**OCTAVES).astype(np.float32).astype(np.float64)
        candidates = candidates[(candidates >= least) & (candidates <= self._most(makers))]
        if free and len(candidates):
            expected = self._best(candidates, full_scale, measured, makers) or expected
        self._found[root] = _float32(expected)

    def _most(self, makers: Sequence[LayerOp]) -> float:
        """The largest threshold that is of use: a ReLU's upper limit, where saturation is it."""
        return min((op.upper_limit for op in makers), default=float("inf"))

    def _least(self, op: LayerOp, full_scale: int) -> float:
        """The least threshold that integer arithmetic can reach from the operands'."""
        if op.has_trait(JoinsOperands):
            return max(self.numbers(x).threshold for x in op.operands)
        factors = op.operand_factors
        if factors is None:
            return 0.0
        scales = (abs(f) * self.numbers(x).scale for f, x in zip(factors, op.operands, strict=True))
        return max(scales) / LARGEST_RATIO * full_scale

    def _best(
        self,
        candidates: Array,
        full_scale: int,
        measured: Sequence[SSAValue],
        makers: Sequence[LayerOp],
    ) -> float | None:
        """The candidate of least cost; None where no layer's rounding depends on it."""
        costs = [
            cost for op in makers if (cost := self._cost(op, candidates / full_scale)) is not None
        ]
        if not costs:
            return None
        alive = float(np.mean([self._data.alive(value) for value in measured]))
        noise = [self._data.noise(value, candidates) for value in measured]
        cost = np.sum(costs, axis=0)
        reached = np.isfinite(cost)  # zeros alone would make a number of an infinite cost
        total = np.sum(noise, axis=0) + np.where(reached, alive * np.where(reached, cost, 0), cost)
        best = int(total.argmin())
        return float(candidates[best]) if np.isfinite(total[best]) else None

    def _cost(self, op: LayerOp, scales: Array) -> Array | None:
        """What rounding the layer's coefficients costs at each scale of its result."""
        if op.slopes is not None:
            return None
        coefficients = self._data.coefficients(op)
        if coefficients is not None:
            ratios = self.numbers(op.operands[0]).scale / scales
            return coefficients.shifts(ratios, scales)[1] * self._data.count(op.results[0])
        factors = op.sum_factors
        if factors is None:
            return None
        operands = list(zip(factors, op.operands, strict=True))
        steps = np.array([[self.numbers(x).scale] for _, x in operands]) / scales
        ratios = np.array([[f] for f, _ in operands]) * steps
        largest = np.abs(ratios).max(axis=0)
        shifts = np.floor(np.log2(127.5 / np.maximum(largest, 2.0**-MAX_SUM_SHIFT)))
        shifts = shifts.clip(0, MAX_SUM_SHIFT)
        off = (np.rint(ratios * 2.0**shifts) / 2.0**shifts - ratios) / steps
        energy = np.array([self._data.energy(x) for _, x in operands])
        return np.sum(off**2 * energy[:, None], axis=0)


def _float32(value: float) -> float:
    return float(np.float32(value))


def product_threshold(operands: Sequence[Numbers], expected: Numbers) -> float:
    """The least threshold that reaches the expected one, with a scale of s0 * s1 * 2^r, r >= 0.

    Products of more than two are made pair by pair, each pair in 8 bits.
    """
    scale, unsigned = operands[0].scale, operands[0].unsigned
    for x in operands[1:-1]:
        scale *= x.scale * 2.0 ** product_shift(unsigned, x.unsigned)
        unsigned = unsigned and x.unsigned
    full = scale * operands[-1].scale * expected.full_scale
    shifts = (r for r in range(MAX_SHIFT) if full * 2.0**r >= expected.threshold)
    return full * 2.0 ** next(shifts, MAX_SHIFT)
