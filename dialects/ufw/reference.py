"""What a ufw op means in float32: the one entry to the meanings that the ops state.

Integer layers have their meaning in the quant dialect and are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from dialects.ufw.facts import EvaluationError, FloatArray, LayerFacts

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
        results = op.meaning([np.asarray(x, dtype=np.float32) for x in inputs])
    return [np.asarray(result, dtype=np.float32) for result in results]
