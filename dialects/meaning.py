"""The meaning of an op of any level at which functions can be run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from dialects.host.base import HostOp, filled
from dialects.host.regions import NOTHING
from dialects.quant import reference as quant
from dialects.quant.base import QuantOp
from dialects.ufw import reference as ufw


def evaluate(op: Operation, inputs: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
    """The results of a quant op, or of a ufw or host op on float32 arrays."""
    if isinstance(op, QuantOp):
        return quant.evaluate(op, inputs)
    return ufw.evaluate(op, inputs)


def evaluate_whole(op: Operation, inputs: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
    """The same, with 0 for what a host layer leaves undefined, or says by the lowest float:
    statistics take all numbers."""
    results = evaluate(op, inputs)
    if not isinstance(op, HostOp):
        return results
    return [filled(np.where(x == NOTHING, np.zeros((), x.dtype), x)) for x in results]
