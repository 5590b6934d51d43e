"""What rows of tensors and layers take: bytes and cycles, by their shapes alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from xdsl.ir import BlockArgument, Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.tiu import (
    STEP_PIXELS,
    ceil_div,
    float_conv_step,
    float_winograd_halves,
    winograd_tiles,
)
from dialects.bm1684.layout import align, rows_of
from dialects.quant import compute, movement, types
from dialects.quant.base import ints
from dialects.quant.strips import STRIPS
from passes.strips.cost import JOIN, SPLIT, layer_cycles

WORD = 4
"""Bytes."""
FUNCTION_CYCLES = 60
"""Cycles a step of sigmoid, tanh, power and softmax; about."""


@dataclass(frozen=True)
class TensorCost:
    """``whole_bytes``: of each lane, for all of it, an image in a word of its own.
    ``turn_cycles_a_row``: of making strips of a single 8-bit image and whole rows of strips."""

    whole_bytes: int
    row_bytes: int
    """In DDR, an 8-bit image in a word of its own."""
    turn_cycles_a_row: float
    lanes_rows: int
    """Rows of lanes, of all words of images."""
    line_bytes: int
    in_strips: bool
    is_input: bool

    @staticmethod
    def of(value: SSAValue) -> TensorCost:
        n, c, h, w = types.shape_of(value)
        is_float = types.is_float(value)
        strips = not is_float and n == 1
        groups = n if is_float else ceil_div(n, BM1684.int8_images_per_word)
        rows, line = groups * rows_of(c), w * WORD
        turn = (SPLIT + JOIN) * rows * w / STEP_PIXELS / STRIPS if strips else 0.0
        whole = rows * align(h * line, BM1684.alignment)
        is_input = isinstance(value, BlockArgument)
        return TensorCost(whole, groups * c * line, turn, rows, line, strips, is_input)

    def ddr_bytes_a_row(self, joined: bool) -> float:
        """Of a single 8-bit image as four strips, unless it is ``joined``; one that enters the
        network lies there byte by byte."""
        quarter = self.in_strips and (self.is_input or not joined)
        return self.row_bytes / STRIPS if quarter else self.row_bytes

    def lane_bytes(self, rows: int) -> int:
        """Bytes of each lane that so many rows take; a single 8-bit image is cut into strips."""
        if self.in_strips:
            rows = ceil_div(rows, STRIPS)
        return self.lanes_rows * align(rows * self.line_bytes, BM1684.alignment)


@dataclass(frozen=True)
class LayerCost:
    """``weights`` in bytes, ``lane_weights`` of each lane; ``wide``: there are 16-bit numbers in
    between."""

    cycles_a_row: float
    weights: int
    lane_weights: int
    wide: bool

    @staticmethod
    def of(op: Operation) -> LayerCost:
        height = types.shape_of(op.results[0])[2]
        weights = lane = 0
        if isinstance(op, compute.ConvOp):
            weights = op.weight.array.nbytes
            lane = weights // min(op.weight.shape[0], BM1684.lanes)
        wide = isinstance(op, _WIDE) and not types.is_float(op.results[0])
        return LayerCost(_cycles(op, height) / height, weights, lane, wide)


_WIDE = (compute.EltwiseOp, compute.RequantizeOp, compute.PReluOp)


def _steps(value: SSAValue, rows: int) -> int:
    n, c, _, w = types.shape_of(value)
    return n * rows_of(c) * ceil_div(rows * w, STEP_PIXELS)


def _conv(op: compute.ConvOp, rows: int) -> float:
    outputs, inputs = op.weight.shape[:2]
    taps, stride, group = prod(op.kernel), ints(op.stride)[1], op.group.value.data
    bias = op.bias is not None
    if group == outputs and inputs == 1:
        return _steps(op.y, rows) * (taps * (stride + 1) - op.kernel[0] + 5)
    n, _, _, width = types.shape_of(op.y)
    if op.winograd.value.data:
        halves = float_winograd_halves(inputs, bias)
        return n * rows_of(outputs) * winograd_tiles(rows, width) * halves / 2
    blocks = n * group * rows_of(outputs // group) * ceil_div(rows * width, STEP_PIXELS)
    return blocks * float_conv_step(taps, inputs, stride, bias)


def _pool(op: compute.PoolOp, rows: int) -> float:
    taps = prod(ints(op.kernel)) * (ints(op.stride)[1] + 1)
    return _steps(op.y, rows) * taps


def _steps_times(cycles: float) -> Callable[[Operation, int], float]:
    return lambda op, rows: cycles * sum(_steps(x, rows) for x in op.operands)


_FLOAT: dict[type[Operation], Callable[[Any, int], float]] = {
    compute.ConvOp: _conv,
    compute.MaxPoolOp: _pool,
    compute.AveragePoolOp: _pool,
    compute.EltwiseOp: _steps_times(2),
    compute.PReluOp: _steps_times(4),
    compute.QuantizeOp: _steps_times(6),
    compute.DequantizeOp: _steps_times(6),
    movement.ConcatOp: _steps_times(1),
    movement.SliceOp: _steps_times(1),
}


def _cycles(op: Operation, rows: int) -> float:
    """Cycles of the tensor unit for so many rows of a layer's result; about."""
    values = (*op.operands, *op.results)
    if any(types.is_float(value) for value in values):
        return _FLOAT.get(type(op), _steps_times(FUNCTION_CYCLES))(op, rows)
    images = types.shape_of(op.results[0])[0]
    if images == 1:
        return min(layer_cycles(op, ceil_div(rows, STRIPS), STRIPS), layer_cycles(op, rows, 1))
    words = ceil_div(images, BM1684.int8_images_per_word)
    return words * layer_cycles(op, rows, min(images, BM1684.int8_images_per_word))
