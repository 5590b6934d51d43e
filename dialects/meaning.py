"""The meaning of an op of any level at which functions can be run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from xdsl.ir import Operation

from dialects.host.base import HostOp, filled
from dialects.quant import reference as quant
from dialects.quant.base import QuantOp
from dialects.ufw import reference as ufw


def evaluate(op: Operation, inputs: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
    """The results of a quant op, or of a ufw or host op on float32 arrays."""
    if isinstance(op, QuantOp):
        return quant.evaluate(op, inputs)
    return ufw.evaluate(op, inputs)


def evaluate_whole(op: Operation, inputs: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
    """The same, with 0 for what a host layer leaves undefined: statistics take all numbers."""
    results = evaluate(op, inputs)
    return [filled(array) for array in results] if isinstance(op, HostOp) else results
