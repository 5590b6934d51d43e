"""How far sums of floats may be off because of the order of their terms.

A sum rounds by its largest terms, however small it is itself: sums of centred numbers cancel. What
the chip adds one after the other is off by about a unit in the last place of the sum of the
magnitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from dialects.constant import ConstantAttr
from dialects.meaning import evaluate
from dialects.quant import compute, types
from dialects.quant.reductions import reduce
from dialects.ufw import ops as ufw

Array = NDArray[Any]
UNITS = 4 * float(np.finfo(np.float32).eps)
"""Of the sum of all magnitudes, that a sum may be off."""


def rounding_of(op: Operation, inputs: Sequence[Array]) -> Array | None:
    """What each number of an op's result may be off by rounding alone; None for what is no sum of
    floats."""
    sums = _on_magnitudes(op)
    if sums is None:
        return None
    with np.errstate(all="ignore"):
        (found,) = evaluate(sums, [np.abs(x) for x in inputs])
    return UNITS * np.nan_to_num(np.abs(found).astype(np.float64), nan=0.0, posinf=0.0)


def _on_magnitudes(op: Operation) -> Operation | None:
    """The op that adds up the magnitudes of the terms of another one's sums, from those of its
    operands."""
    match op:
        case compute.ConvOp() if types.is_float(op.x):
            found = op.clone()
            found.weight = ConstantAttr.of(np.abs(op.weight.array))
            if op.bias is not None:
                found.bias = ConstantAttr.of(np.abs(op.bias.array))
            return found
        case reduce.ReduceOp() if op.kind.data is reduce.ReduceKind.SUM:
            return op
        case ufw.ReduceOp() if op.operation.data is ufw.ReduceOperation.SUM:
            return op
        case _:
            return None
