"""The tables in L2 that the firmware fills before any command runs."""

from __future__ import annotations

from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.chip import BM1684


@cache
def fixed_tables() -> NDArray[np.uint8]:
    """The bytes of L2 from ``BM1684.tables.start`` to ``.end``."""
    at = BM1684.tables
    memory = np.zeros(at.end - at.start, np.uint8)

    def put(offset: int, values: NDArray[np.float64]) -> None:
        with np.errstate(under="ignore"):
            data = values.astype(np.float32).view(np.uint8)
        memory[offset - at.start :][: data.size] = data

    unsigned = np.arange(256.0)
    signed = np.where(unsigned < 128, unsigned, unsigned - 256)
    put(at.float_of_index, np.where((signed >= -103) & (signed <= 88), signed, 0))
    put(at.exp, np.where((signed >= -103) & (signed <= 88), np.exp(np.clip(signed, -104, 89)), 0))
    put(at.log_of_exponent, (unsigned - 127) * np.log(2))
    k = np.arange(64)
    put(at.taylor_exp, _inverse_factorials(64))
    put(at.taylor_log, (1 - 2 * (k % 2)) / (k + 1))
    put(at.taylor_arcsin, _arcsin(58))
    put(at.float_of_uint8, unsigned)
    put(at.float_of_int8, signed)
    put(at.taylor_sin, np.where(k % 2, 0, (1 - k % 4) * _inverse_factorials(64)))
    put(at.float_of_integer, np.arange(2048.0))
    index = np.arange(1 << 16)
    memory[at.low_byte - at.start :][: index.size] = index & 255
    memory[at.high_byte - at.start :][: index.size] = index >> 8
    return memory


def _inverse_factorials(terms: int) -> NDArray[np.float64]:
    """1/(k+1)! by repeated division in float32, as the firmware computes them."""
    value = np.float32(1)
    series: list[float] = []
    with np.errstate(under="ignore"):
        for k in range(terms):
            value = value / np.float32(k + 1)
            series.append(float(value))
    return np.array(series)


def _arcsin(terms: int) -> NDArray[np.float64]:
    """Coefficients c of arcsin(x) = x*(c0 + x*(c1 + ...)): every odd one is 0."""
    series = [comb(k, k // 2) / (2.0**k * (k + 1)) if k % 2 == 0 else 0.0 for k in range(terms)]
    return np.array(series)
