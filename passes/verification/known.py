"""A tensor of the CPU: its numbers, and which of them are undefined.

Outside of a layer's domain, and beyond float32, the CPU has NaN or an infinity where the chip may
have any number. Such elements, and all that is computed from them, are compared with nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from dialects.host.base import HostOp, undefined
from dialects.meaning import evaluate as meaning_of
from dialects.quant.compute import CastOp, QuantizeOp
from dialects.ufw import ops as ufw

Array = NDArray[Any]
DRAWS = 4
"""How many numbers stand in turn for an undefined integer, to see what depends on it."""


@dataclass(frozen=True)
class Known:
    """A tensor; ``undefined`` marks elements without a meaning, None: there are none.

    Undefined elements of a float tensor are NaN, so that they pass on through arithmetic.
    """

    array: Array
    undefined: Array | None = None

    @staticmethod
    def of(array: Array, undefined: Array | None = None) -> Known:
        """A tensor. Elements that are no finite numbers are undefined."""
        if array.dtype.kind == "f":
            finite = np.isfinite(array)
            undefined = ~finite if undefined is None else undefined | ~finite
        if undefined is None or not undefined.any():
            return Known(array)
        if array.dtype.kind == "f":
            array = np.where(undefined, np.float32(np.nan), array)
        return Known(array, undefined)

    def filled(self, numbers: Array) -> Known:
        """The tensor with the chip's ``numbers`` where it is undefined.

        Numbers that are larger than all defined ones, as a division by 0 leaves them, stay
        undefined: sums of these may overflow in one order and not in another.
        """
        if self.undefined is None:
            return self
        usual = np.max(np.abs(self.array), initial=1.0, where=~self.undefined)
        with np.errstate(invalid="ignore"):
            taken = self.undefined & (np.abs(numbers.astype(np.float64)) <= usual)
        if numbers.dtype.kind != "f":
            taken = self.undefined & ~undefined(numbers)
        return Known.of(np.where(taken, numbers, self.array), self.undefined & ~taken)

    def replaced(self, numbers: Array) -> Known:
        """The chip's ``numbers`` in place of all of this tensor; as in :meth:`filled`, absurd ones
        stay undefined."""
        return Known.of(numbers, self.filled(numbers).undefined)

    def same(self, other: Known) -> bool:
        """Whether both hold the same numbers, none of them undefined."""
        defined = self.undefined is None and other.undefined is None
        return defined and np.array_equal(self.array, other.array)


def evaluate(op: Operation, inputs: Sequence[Known]) -> list[Known]:
    """The results of a ufw or quant op."""
    with np.errstate(all="ignore"):
        results = meaning_of(op, [x.array for x in inputs])
        undefined = _dependent(op, inputs, results)
    return [Known.of(array, mask) for array, mask in zip(results, undefined, strict=True)]


def _dependent(
    op: Operation, inputs: Sequence[Known], results: Sequence[Array]
) -> list[Array | None]:
    """Which elements of the results come from undefined ones, where NaN does not show it."""
    if isinstance(op, (QuantizeOp, CastOp, ufw.CastOp)):
        return [inputs[0].undefined]
    if isinstance(op, HostOp):
        return [undefined(array) for array in results]
    if not any(x.undefined is not None and x.array.dtype.kind != "f" for x in inputs):
        return [None] * len(results)
    rng, found = np.random.default_rng(0), [np.zeros(array.shape, bool) for array in results]
    for _ in range(DRAWS):
        drawn = meaning_of(op, [_drawn(x, rng) for x in inputs])
        for mask, array, other in zip(found, results, drawn, strict=True):
            mask |= array != other
    return [mask if mask.any() else None for mask in found]


def _drawn(x: Known, rng: np.random.Generator) -> Array:
    if x.undefined is None or x.array.dtype.kind == "f":
        return x.array
    info = np.iinfo(x.array.dtype)
    numbers = rng.integers(info.min, info.max, x.array.shape, x.array.dtype, endpoint=True)
    return np.where(x.undefined, numbers, x.array)
