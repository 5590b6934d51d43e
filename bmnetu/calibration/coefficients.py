"""Integer coefficients of the layers: int8 weights, an int16 bias, one right shift a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.calibration.scales import Numbers
from dialects.ufw import ops
from dialects.ufw.layer import MAX_SHIFT, LayerOp, shape_of
from passes.ufw.ufw_fold_batch_norm import affine_of

Array = NDArray[Any]

LARGEST_WEIGHT = 127
BIAS_RANGE = (-32768, 32767)
BIAS_OVERFLOW = 0.03
"""The part of a layer's biases that may overflow 16 bits before the shift is lowered."""


@dataclass(frozen=True)
class Integers:
    """``y = sat((sum weight * x + bias + 2^(shift-1)) >> shift)``."""

    weight: Array
    bias: Array | None
    shift: int


def largest_shift(largest: float) -> int:
    """The largest r up to 31 with ``largest * 2^r <= 127``; -1 when there is none."""
    shift = MAX_SHIFT
    while shift >= 0 and largest * 2.0**shift > LARGEST_WEIGHT:
        shift -= 1
    return shift


def integers(weight: Array, bias: Array | None) -> Integers | None:
    """Coefficients in result steps, float64, as integers; None when a weight exceeds 127.

    Rounded half to even.
    """
    shift = largest_shift(float(np.abs(weight).max(initial=0.0)))
    if shift < 0:
        return None
    low, high = BIAS_RANGE
    if bias is not None:
        while shift and _overflow(np.rint(bias * 2.0**shift)) > BIAS_OVERFLOW:
            shift -= 1
        bias = np.clip(np.rint(bias * 2.0**shift), low, high).astype(np.int16)
    return Integers(np.rint(weight * 2.0**shift).astype(np.int8), bias, shift)


def _overflow(bias: Array) -> float:
    """The part of the biases that do not fit 16 bits."""
    low, high = BIAS_RANGE
    return float(np.mean((bias < low) | (bias > high)))


def real_coefficients(op: LayerOp) -> tuple[Array, Array | None] | None:
    """Weight and bias of a layer, float64; None for a layer without coefficients."""
    match op:
        case ops.ConvolutionOp() | ops.InnerProductOp():
            weight, bias = op.weight, op.bias
        case ops.BatchNormOp():
            return affine_of(op, shape_of(op.top)[1])
        case ops.ScaleOp() if op.weight is not None:
            weight, bias = op.weight, op.bias
        case ops.BiasOp() if op.bias is not None:
            return np.ones(op.bias.shape), op.bias.array.astype(np.float64)
        case _:
            return None
    return weight.array.astype(np.float64), None if bias is None else bias.array.astype(np.float64)


def integer_coefficients(op: LayerOp, x: Numbers, y: Numbers) -> Integers | None:
    """The layer's coefficients from scale to scale; None when it has none, or none that fit."""
    if isinstance(op, ops.PReLUOp):
        return integers(op.slope.array.astype(np.float64), None)
    found = real_coefficients(op)
    if found is None:
        return None
    weight, bias = found
    return integers(weight * (x.scale / y.scale), None if bias is None else bias / y.scale)
