"""The meaning of the quant ops in numpy: each op states its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from dialects.quant import compute
from dialects.quant.base import QuantOp

Array = NDArray[Any]


def _sigmoid(op: compute.SigmoidOp, x: Array) -> Array:
    return (1 / (1 + np.exp(-np.clip(x.astype(np.float64), -700, 700)))).astype(np.float32)


def _tanh(op: compute.TanhOp, x: Array) -> Array:
    return np.tanh(x)


def _power(op: compute.PowerOp, x: Array) -> Array:
    base = x * np.float32(op.scale.value.data) + np.float32(op.offset.value.data)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.power(base, np.float32(op.power.value.data))


_TABLE: dict[type[Operation], Callable[..., Array]] = {
    compute.SigmoidOp: _sigmoid,
    compute.TanhOp: _tanh,
    compute.PowerOp: _power,
}


def evaluate(op: Operation, inputs: Sequence[Array]) -> list[Array]:
    """The results of one quant op. Arrays have the dtype and shape of the op's types."""
    if type(op) in _TABLE:
        return [_TABLE[type(op)](op, *inputs)]
    if not isinstance(op, QuantOp):
        raise TypeError(f"{op.name} is no op of the quant level")
    return [op.meaning(inputs)]
