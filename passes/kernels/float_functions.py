"""exp, roots and the parts of float32 tensors in local memory.

All take an aligned local tensor and return another one; error bounds are in the docstrings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log as natural_log

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.layout import Ref, i32
from passes.kernels.builder import TileBuilder, float_bits

SCRATCH = {"exp": 2}
"""Buffers that a function uses beside its operand and its result, where it uses any."""
EXP_TERMS = 7
LOG2_E = 1.4426950408889634
BIAS = 127.0
ROUND = 12582912.0 + BIAS
"""1.5 * 2^23 plus the exponent bias: x + ROUND holds round(x) + 127 in its low bits."""
TWO_23 = 8388608.0
EXPONENT_BITS = 0x7F800000


def _like(b: TileBuilder, value: SSAValue) -> SSAValue:
    return b.local(f32, Ref.of(value).shape)


def _as(b: TileBuilder, value: SSAValue, element: object) -> SSAValue:
    return b.view(value, Ref.of(value).with_(element=element))


def exp(b: TileBuilder, x: SSAValue, factor: float = 1.0) -> SSAValue:
    """e^(factor*x) = 2^k * 2^f, k = round(y), y = factor * x * log2(e) clamped to [-126, 127].

    Relative error below 3e-6; never below 2^-126.
    """
    powers = np.cumprod(natural_log(2.0) / np.arange(1, EXP_TERMS + 1)).astype(np.float32)
    y, k, result = _like(b, x), _like(b, x), _like(b, x)
    b.scalar("mul", y, x, factor * LOG2_E)
    b.arith("min", y, y, float_bits(127.0))
    b.arith("max", y, y, float_bits(-126.0))
    b.scalar("add", k, y, ROUND)
    b.arith("shift", _as(b, result, i32), _as(b, k, i32), 23)
    b.scalar("sub", k, k, ROUND)
    b.scalar("sub", y, y, k)
    b.sfu("taylor", k, y, b.table(powers.view(np.uint32)), EXP_TERMS)
    b.scalar("add", k, k, 1.0)
    return b.scalar("mul", result, result, k)


def rsqrt(b: TileBuilder, x: SSAValue) -> SSAValue:
    """1 / sqrt(x), x > 0, within 2 units in the last place."""
    return _sfu(b, "rsqrt", x)


def exponent(b: TileBuilder, x: SSAValue) -> SSAValue:
    """The k with ``2/3 <= x / 2^k < 4/3``, x > 0: put under the exponent of 2^23, which is then
    subtracted."""
    result = b.local(f32, Ref.of(x).shape)
    bits = _as(b, result, i32)
    b.sfu("exponent", bits, x)
    b.arith("or", bits, bits, float_bits(TWO_23))
    return b.scalar("sub", result, result, TWO_23 + BIAS)


def mantissa(b: TileBuilder, x: SSAValue) -> SSAValue:
    """``x / 2^k`` for that k: with all bits of the exponent turned 2^k becomes 2^(1 - k)."""
    result = _sfu(b, "power_of_two", x)
    bits = _as(b, result, i32)
    b.arith("xor", bits, bits, EXPONENT_BITS)
    b.scalar("mul", result, result, x)
    return b.scalar("mul", result, result, 0.5)


def power_of_two(b: TileBuilder, k: SSAValue) -> SSAValue:
    """2^k of a whole number -126 to 127."""
    result = _like(b, k)
    b.scalar("add", result, k, ROUND)
    bits = _as(b, result, i32)
    b.arith("shift", bits, bits, 23)
    return result


def series(b: TileBuilder, x: SSAValue, coefficients: Sequence[float]) -> SSAValue:
    """``x (c0 + x (c1 + ...))``."""
    words = np.array(coefficients, np.float32).view(np.uint32)
    result = _like(b, x)
    b.sfu("taylor", result, x, b.table(words), len(words))
    return result


def _sfu(b: TileBuilder, kind: str, x: SSAValue) -> SSAValue:
    return b.sfu(kind, _like(b, x), x)


UNARY_KERNELS: dict[str, Callable[[TileBuilder, SSAValue], SSAValue]] = {
    "rsqrt": rsqrt,
    "exponent": exponent,
    "mantissa": mantissa,
    "power_of_two": power_of_two,
}
