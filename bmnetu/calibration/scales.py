"""Thresholds of all blobs, from those of the measured ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.ir import SSAValue

from bmnetu.calibration.plan import Plan, is_product, sum_factors
from bmnetu.frontend.scales import FULL_SCALE_SIGNED, FULL_SCALE_UNSIGNED
from dialects.ufw import ops
from dialects.ufw.layer import MAX_SHIFT, LayerOp

LARGEST_RATIO = 64
"""No operand's step may be worth more result steps than this: multipliers are below 128."""


@dataclass(frozen=True)
class Numbers:
    """How a blob is held: 8-bit steps of threshold / 127 (signed) or / 255, or float32.

    A float's threshold is the one it gets, signed, where an INT8 layer reads it.
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

    ``choose`` gives the threshold of a measured value.
    """

    def __init__(
        self, plan: Plan, layers: Sequence[LayerOp], choose: Callable[[SSAValue], float]
    ) -> None:
        self.plan = plan
        self._found: dict[SSAValue, float] = {}
        for value in plan.measured:
            self._raise(value, choose(value))
        for op in layers:
            self._adjust(op)

    def numbers(self, value: SSAValue) -> Numbers:
        """How the value is held as an integer."""
        return Numbers(self._found[self.plan.root(value)], value in self.plan.unsigned)

    def _raise(self, value: SSAValue, threshold: float) -> None:
        root = self.plan.root(value)
        self._found[root] = max(self._found.get(root, 0.0), float(np.float32(threshold)))

    def _adjust(self, op: LayerOp) -> None:
        """Makes the result's scale one that integer arithmetic can reach from its operands'."""
        operands = [self.numbers(x) for x in op.operands]
        if isinstance(op, ops.ConcatOp):
            self._raise(op.top, max(x.threshold for x in operands))
            return
        if is_product(op):
            result = self.numbers(op.results[0])
            root = self.plan.root(op.results[0])
            self._found[root] = float(np.float32(product_threshold(operands, result)))
            return
        factors = sum_factors(op)
        if isinstance(op, (ops.EltwiseOp, ops.ReLUOp)):
            factors = factors or [1.0] * len(operands)
        if factors is not None:
            coarsest = max(abs(f) * x.scale for f, x in zip(factors, operands, strict=True))
            result = self.numbers(op.results[0])
            self._raise(op.results[0], coarsest / LARGEST_RATIO * result.full_scale)


def product_threshold(operands: Sequence[Numbers], wanted: Numbers) -> float:
    """The least threshold that reaches the wanted one, with a scale of s0 * s1 * 2^r, r >= 0.

    Products of more than two are made pair by pair, each pair in 8 bits.
    """
    scale, unsigned = operands[0].scale, operands[0].unsigned
    for x in operands[1:-1]:
        unsigned = unsigned and x.unsigned
        scale *= x.scale * 2.0 ** (8 if unsigned else 7)
    full = scale * operands[-1].scale * wanted.full_scale
    shifts = (r for r in range(MAX_SHIFT) if full * 2.0**r >= wanted.threshold)
    return full * 2.0 ** next(shifts, MAX_SHIFT)
