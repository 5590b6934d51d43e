"""What a ufw op means in float32: the one entry to the meanings that the ops state.

Integer layers have their meaning in the quant dialect and are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import i32
from xdsl.ir import Operation

from dialects.ufw.facts import EvaluationError, FloatArray, LayerFacts
from dialects.ufw.layer import tensor_type

__all__ = ["EvaluationError", "evaluate"]


def evaluate(op: Operation, inputs: Sequence[NDArray[Any]]) -> list[FloatArray]:
    """The results of one ufw op on float32 inputs, in the order of its results.

    Raises :class:`EvaluationError` for an op of another dialect, one without a meaning, and one
    with integer coefficients.
    """
    if not isinstance(op, LayerFacts):
        raise EvaluationError(f"{op.name} has no meaning in float32")
    if "right_shift" in op.properties:
        raise EvaluationError(f"{op.name} has integer coefficients: convert it to quant first")
    with np.errstate(all="ignore"):
        results = op.meaning([_real(x) for x in inputs])
    return [
        result if tensor_type(value).element_type == i32 else np.asarray(result, dtype=np.float32)
        for value, result in zip(op.results, results, strict=True)
    ]


def _real(array: NDArray[Any]) -> NDArray[Any]:
    """An operand: float32, or 32-bit integers of a host layer."""
    return array if array.dtype == np.int32 else np.asarray(array, dtype=np.float32)
