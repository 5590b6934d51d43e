"""exp and log of float32 tensors in local memory, out of table lookups and Taylor series.

Both take an aligned local tensor and return another one; error bounds are in the docstrings.
"""

from __future__ import annotations

from math import log as natural_log

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, i32
from passes.kernels.builder import TileBuilder, float_bits

SCRATCH = {"exp": 2, "log": 2}
"""Buffers that each uses beside its operand and its result."""
EXP_TERMS = 7
LOG_TERMS = 14
LOG2_E = 1.4426950408889634
ROUND = 12582912.0 + 127
"""1.5 * 2^23 plus the exponent bias: x + ROUND holds round(x) + 127 in its low bits."""


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


def log(b: TileBuilder, x: SSAValue) -> SSAValue:
    """Natural logarithm of normal x > 0; error below 5e-7 (relative above 1, absolute below)."""
    series = np.array([(-1.0) ** k / (k + 1) for k in range(LOG_TERMS)], np.float32)
    index, result, power_of_two = _like(b, x), _like(b, x), _like(b, x)
    b.sfu("exponent", _as(b, index, i32), x)
    b.lookup(result, _as(b, index, i32), offset=BM1684.tables.log_of_exponent)
    b.sfu("power_of_two", power_of_two, x)
    b.scalar("div", power_of_two, x, power_of_two)
    b.scalar("sub", power_of_two, power_of_two, 1.0)
    b.sfu("taylor", index, power_of_two, b.table(series.view(np.uint32)), LOG_TERMS)
    return b.scalar("add", result, result, index)
