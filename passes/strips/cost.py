"""Cycles of 8-bit layers by their shapes alone, on one image or on strips of so many rows."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from xdsl.ir import Operation, SSAValue

from dialects.bm1684.cycles.tiu import (
    STEP_PIXELS,
    WIDE_STEP_PIXELS,
    ceil_div,
    int8_conv_step,
    winograd_step,
    winograd_tiles,
)
from dialects.bm1684.layout import rows_of
from dialects.quant import compute, movement, types
from dialects.quant.base import ints
from dialects.quant.windows import RowWindow

COPY, SHIFT, SPLIT, JOIN = 1, 2, 20, 8
"""Cycles a step: a copy of words, a shift, and the commands that split and join strips."""


def steps(value: SSAValue, rows: int) -> int:
    """Steps of 16 pixels that ``rows`` rows of a tensor take in one word group."""
    _, channels, _, width = types.shape_of(value)
    return rows_of(channels) * ceil_div(rows * width, STEP_PIXELS)


def _wide_steps(value: SSAValue, rows: int, images: int) -> int:
    _, channels, _, width = types.shape_of(value)
    return images * rows_of(channels) * ceil_div(rows * width, WIDE_STEP_PIXELS)


def _conv(op: compute.ConvOp, rows: int, images: int) -> float:
    outputs, inputs = op.weight.shape[:2]
    (kh, kw), bias = op.kernel, op.bias is not None
    group = op.group.value.data
    if group == outputs and inputs == 1:
        taps = kh * kw * (ints(op.stride)[1] + 1)
        return _wide_steps(op.y, rows, images) * (taps + 1)
    width = types.shape_of(op.y)[3]
    if op.winograd.value.data:
        return rows_of(outputs) * winograd_tiles(rows, width) * winograd_step(inputs, bias)
    step = float(int8_conv_step(kh * kw, inputs, min(ints(op.stride)), bias))
    return group * rows_of(outputs // group) * ceil_div(rows * width, STEP_PIXELS) * step


def _pool(op: compute.PoolOp, rows: int, images: int) -> float:
    taps = prod(ints(op.kernel)) * (ints(op.stride)[1] + 1)
    return _wide_steps(op.y, rows, images) * (taps + 1)


def _eltwise(op: compute.EltwiseOp, rows: int, images: int) -> float:
    return steps(op.y, rows) * (4 * len(op.xs) + 4)


def _prelu(op: compute.PReluOp, rows: int, images: int) -> float:
    return steps(op.y, rows) * 7


def _requantize(op: compute.RequantizeOp, rows: int, images: int) -> float:
    return steps(op.y, rows) * 5


def _lookup(op: compute.LookupOp, rows: int, images: int) -> float:
    return steps(op.y, rows) * (30 * images - 4)


def _move(op: movement.ConcatOp | movement.SliceOp, rows: int, images: int) -> float:
    return steps(op.y, rows) * COPY


_TABLE: dict[type[Operation], Callable[[Any, int, int], float]] = {
    compute.ConvOp: _conv,
    compute.MaxPoolOp: _pool,
    compute.AveragePoolOp: _pool,
    compute.EltwiseOp: _eltwise,
    compute.RequantizeOp: _requantize,
    compute.PReluOp: _prelu,
    compute.LookupOp: _lookup,
    movement.ConcatOp: _move,
    movement.SliceOp: _move,
}


def layer_cycles(op: Operation, rows: int, images: int) -> float:
    """TIU cycles of a layer whose result has ``rows`` rows in each of ``images`` images, 1 to
    4."""
    return _TABLE[type(op)](op, rows, images)


def exchange_cycles(op: Operation, window: RowWindow, rows: int) -> float:
    """Cycles of the halo exchange of a layer's operand, in strips of so many rows."""
    if not window.needs_exchange:
        return 0
    x = op.operands[0]
    halo = steps(x, window.top) + steps(x, window.bottom)
    return (COPY + SHIFT * window.reads_below) * steps(x, rows) + SHIFT * halo
