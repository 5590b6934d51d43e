"""Functions of one tensor as records: expressions of what the firmware has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.record import pointwise
from dialects.expression import LN2, LOG2_E, Expr, Operand, X
from dialects.quant.functions import PointwiseFunctionOp
from passes.records.pointwise import CODES, combined, with_number
from passes.records.recorder import Recorder

TANH, SIGMOID, EXP, RSQRT, LOG = 0, 1, 3, 7, 9
"""Codes of functions that the firmware has."""
DIRECT = {"tanh": TANH, "sigmoid": SIGMOID}
"""Functions that are one record."""
LEAST = 2.0**-126
"""The least normal number; the logarithm and the inverse root of 0 are taken of it, so that 0 times
the inverse root is 0."""

Number = SSAValue | float


def function(c: Recorder, x: Any, code: int) -> Any:
    """A function of the firmware."""
    shape = c.shapes[x][0]
    channels = shape[1] if len(shape) > 1 else 1
    return c.one(pointwise.FunctionOp, [x], f32, channels=channels, function=code)


def pointwise_function(c: Recorder, ops: Sequence[PointwiseFunctionOp]) -> None:
    op = ops[0]
    x = c.value(op.x)
    code = DIRECT.get(op.function.data)
    if code is not None:
        c.values[op.y] = function(c, x, code)
        return
    y = _Evaluation(c, x).of(op.row.recipe(X, op.settings))
    c.values[op.y] = with_number(c, pointwise.ADD, x, 0.0) if y is x else y


class _Evaluation:
    """One expression, whose common parts are computed once."""

    def __init__(self, c: Recorder, x: SSAValue) -> None:
        self.c = c
        self.x = x
        self.known: dict[Expr, Number] = {}

    def of(self, node: Operand) -> Any:
        if not isinstance(node, Expr):
            return float(node)
        if node not in self.known:
            self.known[node] = self._compute(node)
        return self.known[node]

    def _compute(self, node: Expr) -> Number:
        if node.kind == "x":
            return self.x
        first, *rest = (self.of(operand) for operand in node.operands)
        match node.kind:
            case "exp":
                return function(self.c, first, EXP)
            case "rsqrt":
                return function(self.c, self._binary("max", first, LEAST), RSQRT)
            case "exponent":  # with a mantissa of 1: x = 2^k all the same
                return self._binary("mul", self._log(first), LOG2_E)
            case "mantissa":
                return 1.0
            case "power_of_two":
                return function(self.c, self._binary("mul", first, LN2), EXP)
            case "series":
                return self._series(first, rest)
            case "select":
                return self._select(first, *rest)
            case kind:
                return self._binary(kind, first, rest[0])

    def _log(self, x: Any) -> Any:
        return function(self.c, self._binary("max", x, LEAST), LOG)

    def _series(self, x: Number, coefficients: Sequence[float]) -> Number:
        total: Number = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            total = self._binary("add", self._binary("mul", x, total), coefficient)
        return self._binary("mul", x, total)

    def _select(self, a: Number, b: Number, one: Number, other: Number) -> Number:
        """``a > b ? one : other``: both masked and added."""
        mask = self._binary("gt", a, b)
        rest = self._binary("sub", 1.0, mask)
        return self._binary(
            "add", self._binary("mul", mask, one), self._binary("mul", rest, other)
        )

    def _binary(self, kind: str, a: Number, b: Number) -> Number:
        if not isinstance(a, SSAValue) and not isinstance(b, SSAValue):
            return float(pointwise.BINARY[CODES[kind]](a, b))  # pyright: ignore
        if isinstance(a, SSAValue) and isinstance(b, SSAValue):
            return combined(self.c, CODES[kind], a, b)
        if isinstance(a, SSAValue):
            assert isinstance(b, float)
            return with_number(self.c, CODES[kind], a, b)
        assert isinstance(b, SSAValue)
        return with_number(self.c, CODES[kind], b, a, inversed=True)
