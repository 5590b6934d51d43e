"""Where the single elements of a tensor lie in local memory: the plain formulas, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.model import Npu

Array = NDArray[Any]
Shape = tuple[int, int, int, int]


def auto(lane: int, shape: Shape, unit: int) -> Shape:
    """Aligned strides in units."""
    step = 128 // unit
    row = -(-shape[2] * shape[3] // step) * step
    return (-(-(lane + shape[1]) // 64) * row, row, shape[3], 1)


def locate(
    index: tuple[int, ...], lane: int, offset: int, unit: int, pack: int, strides: Shape
) -> tuple[int, int]:
    """(lane, byte) of element (n, c, h, w)."""
    n, c, h, w = index
    row, own = divmod(lane + c, 64)
    units = n // pack * strides[0] + row * strides[1] + h * strides[2] + w * strides[3]
    return own, offset + unit * units + n % pack * (unit // pack)


def store(
    npu: Npu, data: Array, lane: int, offset: int, unit: int, pack: int = 1,
    strides: Shape | None = None,
) -> None:
    """Write an array [n, c, h, w] element by element."""
    n, c, h, w = data.shape
    steps = strides or auto(lane, (n, c, h, w), unit)
    for index in np.ndindex(n, c, h, w):
        own, byte = locate(index, lane, offset, unit, pack, steps)
        value = np.frombuffer(data[index].tobytes(), np.uint8)
        npu.lmem[own, byte : byte + value.size] = value


def load(
    npu: Npu, shape: Shape, dtype: str, lane: int, offset: int, unit: int, pack: int = 1,
    strides: Shape | None = None,
) -> Array:
    """Read an array [n, c, h, w] element by element."""
    steps = strides or auto(lane, shape, unit)
    out = np.empty(shape, dtype)
    for index in np.ndindex(*shape):
        own, byte = locate(index, lane, offset, unit, pack, steps)
        out[index] = npu.lmem[own, byte : byte + out.itemsize].copy().view(dtype)[0]
    return out


def half_up(total: int, shift: int, low: int, high: int) -> int:
    """floor(total / 2^shift + 1/2), saturated."""
    return min(max((total * 2 + (1 << shift)) // (2 << shift), low), high)
