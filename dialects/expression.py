"""Expressions of one tensor and constants: how a pointwise function is computed on the chip, as
data.

``1 / (1 + exp(-X))`` is a tree of :class:`Expr`. Every kind of node is something that the kernels
can do; the order of the operations is the order in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import TypeAlias

Operand: TypeAlias = "Expr | float"

UNARY = ("exp", "rsqrt", "exponent", "mantissa", "power_of_two")
BINARY = ("add", "sub", "mul", "div", "min", "max", "gt", "eq")
OTHERS = ("series", "select")


@dataclass(frozen=True, eq=False)
class Expr:
    """A node: ``kind`` is "x" (the tensor itself), "y" (a second one, in kernels of two), or one of
    UNARY, BINARY or OTHERS.

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
Y = Expr("y")
"""The second operand of what takes two."""

# -- what the chip has -----------------------------------------------------------------------------


def exp(x: Expr) -> Expr:
    """e^x; relative error below 6e-6. A factor, as in ``exp(2 * x)``, costs nothing. Never below
    2^-126, never above 2^127."""
    return Expr("exp", (x,))


def rsqrt(x: Expr) -> Expr:
    """1 / sqrt(x), x > 0; 4.459e19 for 0."""
    return Expr("rsqrt", (x,))


def exponent(x: Expr) -> Expr:
    """The k with ``2/3 <= x / 2^k < 4/3``, as a float, x > 0."""
    return Expr("exponent", (x,))


def mantissa(x: Expr) -> Expr:
    """``x / 2^k`` for the k of :func:`exponent`."""
    return Expr("mantissa", (x,))


def power_of_two(k: Expr) -> Expr:
    """2^k of a whole number -126 to 127."""
    return Expr("power_of_two", (k,))


def series(x: Expr, coefficients: Sequence[float]) -> Expr:
    """``x (c0 + x (c1 + x (...)))``."""
    return Expr("series", (x, *coefficients))


def minimum(a: Expr, b: Operand) -> Expr:
    """The smaller of both."""
    return Expr("min", (a, b))


def maximum(a: Expr, b: Operand) -> Expr:
    """The larger of both."""
    return Expr("max", (a, b))


def greater(a: Operand, b: Operand) -> Expr:
    """1 where a > b, else 0."""
    if isinstance(a, Expr):
        return Expr("gt", (a, b))
    assert isinstance(b, Expr)
    return Expr("gt", (-b, -a))


def equal(a: Expr, b: Operand) -> Expr:
    """1 where a = b, else 0."""
    return Expr("eq", (a, b))


def select(a: Expr, b: Operand, c: Operand, d: Operand) -> Expr:
    """``a > b ? c : d``."""
    return Expr("select", (a, b, c, d))


# -- what follows from it --------------------------------------------------------------------------

ROUND = 12582912.0
"""1.5 * 2^23: added to a float and subtracted again it leaves the nearest whole number, half to
even."""
LARGEST_FRACTION = 2.0**22
"""Larger numbers cannot be rounded so; halves among them are left."""
LN2 = 0.6931471805599453
LOG2_E = 1.4426950408889634
LOG_SERIES = (
    1.0, -0.5, 0.333331615, -0.24999842, 0.200122982, -0.166779742, 0.139825791, -0.122213595,
    0.140788898, -0.12726289,
)  # fmt: skip
"""log(1 + t) for t from -1/3 to 1/3."""
LOG2_SERIES = tuple(c * LOG2_E for c in LOG_SERIES)
"""log2(1 + t)."""
EXP2_SERIES = (
    0.693147182, 0.240226507, 0.0555035695, 0.00961808302, 0.00133908633, 0.000154531634,
)  # fmt: skip
"""2^f - 1 for f from -1/2 to 1/2."""
SIN_SERIES = (-0.166666657, 0.00833324157, -0.000198226931, 2.63460561e-06)
"""sin(r) / r - 1 as a series of r^2, r from -pi/2 to pi/2."""
LOG_ERFC_SERIES = (
    -1.12837958, -0.636602402, -0.102906182, 0.0195205193, -0.000351800089, -0.00128681911,
    0.000484475109, -9.26152716e-05, 9.55092946e-06, -4.20140111e-07,
)  # fmt: skip
"""log(erfc(x)) for x from 0 to ERFC_END."""
ERFC_END = 4.2426
"""Where erfc(x) is 2e-9."""
PI_PARTS = (201 / 64, 1015 / 2.0**20, pi - 201 / 64 - 1015 / 2.0**20)
"""They add up to pi; halves of whole numbers up to 2^14 times the first two are exact."""
LARGEST_ANGLE = 25000.0
LARGEST_SPLIT = 64.0
"""Of a smaller power the leading bits times an exponent are exact."""


def absolute(x: Expr) -> Expr:
    """|x|."""
    return maximum(x, -x)


def clip(x: Expr, low: float, high: float) -> Expr:
    """``min(max(x, low), high)``."""
    return minimum(maximum(x, low), high)


def nearest(x: Expr) -> Expr:
    """The nearest whole number, half to even, for ``|x| <= 2^22``."""
    return (x + ROUND) - ROUND


def rounded(x: Expr, whole: Expr) -> Expr:
    """``whole``, made of :func:`nearest`, or x itself beyond 2^22."""
    return select(absolute(x), LARGEST_FRACTION, x, whole)


def log(x: Expr) -> Expr:
    """The natural logarithm of normal positive numbers; of others it is not defined. Error below
    3e-7 (relative above 1, absolute below)."""
    return exponent(x) * LN2 + series(mantissa(x) - 1.0, LOG_SERIES)


def whole_power(x: Expr, exponent: int) -> Expr:
    """x^exponent as products of squares; exponent at least 1."""
    if exponent == 1:
        return x
    half = whole_power(x, exponent // 2)
    square = half * half
    return square * x if exponent % 2 else square


def any_power(x: Expr, power: Operand) -> Expr:
    """``x ^ power`` of normal positive numbers, ``2^(power log2(x))``; relative error below 1e-5.

    The exponent of x times the leading bits of a number is exact, so that little is rounded before
    the nearest whole number is taken off. Never below 2^-127, never above 2^128.
    """
    k = exponent(x)
    rest = series(mantissa(x) - 1.0, LOG2_SERIES) * power
    leading = power
    if isinstance(power, float) and abs(power) < LARGEST_SPLIT:
        leading = round(power * 2.0**8) / 2.0**8
        if leading != power:
            rest = rest + k * (power - leading)
    exact = k * leading
    whole = nearest(clip(exact + rest, -126.0, 127.0))
    fraction = clip((exact - whole) + rest, -0.51, 0.51)
    return power_of_two(whole) * (1.0 + series(fraction, EXP2_SERIES))


def erfc_power(a: Expr) -> Expr:
    """erfc(a) of 0 <= a <= ERFC_END; relative error below 1e-5."""
    return exp(series(a, LOG_ERFC_SERIES))


def sine(x: Expr, quarter: float = 0.0) -> Expr:
    """``sin(x + quarter * pi)`` for quarter 0 or 1/2; ``|x| <= LARGEST_ANGLE``.

    x is ``(k - quarter) pi + r`` with the least r, and the sine ``(-1)^k sin(r)``. Half of an odd k
    is 1/2 beside the nearest even number.
    """
    k = nearest(x * (1 / pi) + quarter)
    turns = k - quarter if quarter else k
    r = x
    for part in PI_PARTS:
        r = r - turns * part
    half = k * 0.5
    odd = half - nearest(half)
    sign = 1.0 - odd * odd * 8.0
    return (r + r * series(r * r, SIN_SERIES)) * sign
