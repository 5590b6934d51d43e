"""Expressions of one tensor and constants: how a pointwise function is computed on the chip, as
data.

``1 / (1 + exp(-X))`` is a tree of :class:`Expr`. Every kind of node is something that the kernels
can do; the order of the operations is the order in the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Operand: TypeAlias = "Expr | float"

UNARY = ("exp", "log")
BINARY = ("add", "sub", "mul", "div", "min", "max")


@dataclass(frozen=True, eq=False)
class Expr:
    """A node: ``kind`` is "x" (the tensor itself), or one of UNARY or BINARY.

    An expression that stands in several places of a tree, as the same object, is computed once.
    """

    kind: str
    operands: tuple[Operand, ...] = ()

    def __add__(self, other: Operand) -> Expr:
        return Expr("add", (self, other))

    def __radd__(self, other: float) -> Expr:
        return Expr("add", (self, other))

    def __sub__(self, other: Operand) -> Expr:
        return Expr("sub", (self, other))

    def __rsub__(self, other: float) -> Expr:
        return Expr("sub", (other, self))

    def __mul__(self, other: Operand) -> Expr:
        return Expr("mul", (self, other))

    def __rmul__(self, other: float) -> Expr:
        return Expr("mul", (self, other))

    def __truediv__(self, other: Operand) -> Expr:
        return Expr("div", (self, other))

    def __rtruediv__(self, other: float) -> Expr:
        return Expr("div", (other, self))

    def __neg__(self) -> Expr:
        return self * -1.0


X = Expr("x")
"""The operand of the function."""


def exp(x: Expr) -> Expr:
    """e^x. A factor, as in ``exp(2 * x)``, costs nothing."""
    return Expr("exp", (x,))


def log(x: Expr) -> Expr:
    """The natural logarithm of normal positive numbers; of others it is not defined."""
    return Expr("log", (x,))


def minimum(a: Expr, b: Operand) -> Expr:
    """The smaller of both."""
    return Expr("min", (a, b))


def maximum(a: Expr, b: Operand) -> Expr:
    """The larger of both."""
    return Expr("max", (a, b))


def whole_power(x: Expr, exponent: int) -> Expr:
    """x^exponent as a chain of products; exponent at least 1."""
    found = x
    for _ in range(exponent - 1):
        found = found * x
    return found
