"""Cycles of the tensor unit's commands.

A command works on a row of 64 channels at a time (one channel a lane), and on 16 pixels of it at a
step; convolutions on four 8-bit images at once. The formulas are those of the vendor's estimators;
nothing here was measured on silicon. They count neither bank conflicts nor the start of a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod

import numpy as np

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Eu, Instruction, InstructionKind, Precision

STEP_PIXELS = 16
WIDE_STEP_PIXELS = 64
"""Pixels a step of 8-bit depthwise and pooling, and columns a step of an 8-bit matmul."""
TILE = 2
"""Rows and columns of a winograd output tile."""
BIAS_CYCLES = 2

Formula = Callable[[Instruction], int | None]


def ceil_div(value: int, by: int) -> int:
    """The quotient rounded up."""
    return -(-value // by)


def is_int8(inst: Instruction) -> bool:
    """Whether the operands hold 8-bit integers."""
    return inst["opt_opd0_prec"] == Precision.INT8


def has_bias(inst: Instruction) -> bool:
    """Whether a convolution, depthwise or matmul reads a third operand."""
    return inst["tsk_opd_num"] == 3


def _rows(inst: Instruction, address: str = "res0_addr") -> int:
    """Rows of 64 lanes that the result's channels fill, from its start lane on."""
    lane, _ = BM1684.local_place(inst[address])
    return ceil_div(inst["res0_c"] + lane, BM1684.lanes)


def _word_groups(inst: Instruction) -> int:
    return ceil_div(inst["res0_n"], BM1684.int8_images_per_word)


def _steps(inst: Instruction, pixels: int = STEP_PIXELS) -> int:
    return ceil_div(inst["res0_h"] * inst["res0_w"], pixels)


def _blocks(inst: Instruction, address: str = "res0_addr") -> int:
    """Steps of a command that takes one 32-bit image at a time."""
    return inst["res0_n"] * _rows(inst, address) * _steps(inst)


# fmt: off
SLOW_DOWN: tuple[tuple[float, ...], ...] = (
    (6.82, 7.89, 9.56, 9.94, 11.27, 12.04, 7.31, 13.78, 14.18, 15.62),
    (3.91, 4.43, 5.26, 5.43, 6.07, 6.51, 5.11, 7.36, 7.56, 8.3),
    (1.55, 3.29, 3.84, 3.95, 4.38, 4.67, 3.98, 5.24, 5.37, 5.84),
    (1.3, 1.35, 3.12, 3.21, 3.53, 3.75, 3.4, 4.18, 4.28, 4.63),
    (1.15, 1.2, 1.34, 2.77, 3.02, 3.2, 3.04, 3.54, 3.62, 3.9),
    (1.05, 1.09, 1.21, 1.24, 1.23, 2.83, 2.74, 3.11, 3.18, 3.42),
    (1, 1.03, 1.12, 1.14, 1.15, 1.28, 2.5, 2.81, 2.87, 3.07),
    (1, 1, 1.05, 1.07, 1.09, 1.19, 1.22, 2.59, 2.64, 2.81),
    (1, 1, 1.01, 1.02, 1.04, 1.13, 1.16, 1.22, 2.42, 2.61),
    (1, 1, 1, 1, 1.01, 1.07, 1.1, 1.15, 1.19, 2.45),
    (1, 1, 1, 1, 1, 1.03, 1.05, 1.1, 1.13, 2.24),
    (1, 1, 1, 1, 1, 1, 1.02, 1.05, 1.09, 1.14),
    (1, 1, 1, 1, 1, 1, 1, 1.02, 1.05, 1.09),
    (1, 1, 1, 1, 1, 1, 1, 1, 1.01, 1.06),
    (1, 1, 1, 1, 1, 1, 1, 1, 1, 1.02),
    (1,) * 10,
)
"""Cycles a tap and weight word of an 8-bit convolution: row ``min(words, 16) - 1`` of input
channels, column ``min(stride, 10) - 1`` of the smaller stride. Few channels keep the multipliers
waiting for input."""
# fmt: on


def _conv(inst: Instruction) -> int:
    if inst["opt_winograd"]:
        return _winograd(inst)
    taps = inst["opd1_h"] * inst["opd1_w"]
    return _conv_int8(inst, taps) if is_int8(inst) else _conv_fp32(inst, taps)


def int8_conv_step(taps: int, channels: int, stride: int, bias: bool) -> np.float32:
    """Cycles of 16 pixels of four 8-bit images and 64 output channels; ``stride``: the smaller
    one."""
    words = ceil_div(channels, BM1684.channels_per_weight_word)
    row, column = min(words, len(SLOW_DOWN)) - 1, min(stride, len(SLOW_DOWN[0])) - 1
    factor = np.float32(SLOW_DOWN[row][column])
    return np.float32(taps * words) * factor + np.float32(BIAS_CYCLES * bias) + np.float32(8)


def float_conv_step(taps: int, channels: int, stride: int, bias: bool) -> float:
    """Cycles of 16 pixels of a float image and 64 output channels; ``stride``: along x."""
    seen = min(channels, BM1684.lanes)
    factor = np.float32(1 if seen > stride else (stride + 1) / seen)
    pairs = ceil_div(channels, BM1684.channels_per_weight_pair)
    step = float(np.float32(taps * pairs) * factor) * (2.5 if channels == 3 else 1)
    return step + BIAS_CYCLES * bias + 3


def _conv_int8(inst: Instruction, taps: int) -> int:
    stride = min(inst["res_op_y_str"], inst["res_op_x_str"])
    blocks = _word_groups(inst) * _rows(inst) * _steps(inst)
    return int(int8_conv_step(taps, inst["opd0_c"], stride, has_bias(inst)) * np.float32(blocks))


def _conv_fp32(inst: Instruction, taps: int) -> int:
    step = float_conv_step(taps, inst["opd0_c"], inst["res_op_x_str"], has_bias(inst))
    return int(np.float32(step * _blocks(inst)))


def winograd_tiles(height: int, width: int) -> int:
    """2x2 tiles of a result."""
    return ceil_div(height, TILE) * ceil_div(width, TILE)


def winograd_step(channels: int, bias: bool) -> int:
    """Cycles of a tile of four 8-bit images and 64 output channels."""
    words = ceil_div(channels, BM1684.channels_per_weight_word)
    return words + 4 * (channels == 3) + 11 - bias


def float_winograd_halves(channels: int, bias: bool) -> int:
    """Half cycles of a tile of a float image and 64 output channels."""
    return channels + (13 if bias else 6)


def _winograd(inst: Instruction) -> int:
    tiles = winograd_tiles(inst["res0_h"], inst["res0_w"]) * _rows(inst)
    channels, bias = inst["opd0_c"], has_bias(inst)
    if is_int8(inst):
        return _word_groups(inst) * tiles * winograd_step(channels, bias)
    return inst["res0_n"] * tiles * float_winograd_halves(channels, bias) // 2


def window_step(kernel: tuple[int, int], stride: int, is_float: bool, weighted: bool) -> int:
    """Cycles of a step of depthwise, average and max pooling; ``stride``: along x. A max takes no
    weights, so it waits for none."""
    taps = kernel[0] * kernel[1] * (stride + 1)
    if is_float:
        return taps - kernel[0] + 5 * weighted
    return taps - 1 + BIAS_CYCLES * weighted


def _window(inst: Instruction) -> int:
    int8 = is_int8(inst)
    kernel = inst["opd1_h"], inst["opd1_w"]
    step = window_step(kernel, inst["res_op_x_str"], not int8, inst.kind is not isa.MAX_POOL)
    steps = _steps(inst, WIDE_STEP_PIXELS if int8 else STEP_PIXELS)
    return inst["res0_n"] * _rows(inst) * steps * step


def _matmul(inst: Instruction) -> int | None:
    if inst["opt_left_tran"]:
        return None
    depth = (inst["opd0_c"] - 1) * inst["opd0_w"] + inst["opd1_w"]
    columns, fixed = (WIDE_STEP_PIXELS, 5) if is_int8(inst) else (STEP_PIXELS, 6)
    step = depth + fixed + BIAS_CYCLES * (has_bias(inst) + inst["opt_res_add"])
    return inst["opd0_n"] * _rows(inst) * ceil_div(inst["res0_w"], columns) * step


FLOAT_ARITH: Mapping[int, int] = {
    Eu.MAC: 5, Eu.DIV: 30, Eu.COPY: 1,
    **dict.fromkeys((Eu.MUL, Eu.ADD, Eu.SUB, Eu.MAX, Eu.MIN, Eu.SHIFT), 2),
    **dict.fromkeys((Eu.AND, Eu.OR, Eu.XOR, Eu.SELECT_GT, Eu.SELECT_EQ), 2),
}
"""Cycles a step of 32-bit arithmetic."""

FIXED_ARITH: Mapping[int, tuple[int, int, int, int]] = {
    Eu.MUL: (2, 2, 3, 3), Eu.MAC: (4, 4, 4, 4), Eu.ADD: (3, 2, 4, 2), Eu.SUB: (3, 2, 3, 2),
    Eu.MAX: (3, 1, 1, 1), Eu.MIN: (2, 1, 1, 1), Eu.AND: (2, 1, 1, 1), Eu.OR: (2, 1, 1, 1),
    Eu.XOR: (2, 1, 1, 1), Eu.SHIFT: (3, 3, 3, 3), Eu.COPY: (1, 1, 1, 1),
}
"""Cycles a step of 8 and 16-bit arithmetic; (result, operand) bits (16, 16) (16, 8) (8, 16)
(8, 8)."""

LOOKUP_STEP = 24
"""Cycles a step of looking up words in a table."""

FIXED = (Precision.INT8, Precision.INT16)


def _arith(inst: Instruction) -> int | None:
    result, operand = inst["opt_res0_prec"], inst["opt_opd0_prec"]
    if result not in FIXED or operand not in FIXED:
        return _pointwise(FLOAT_ARITH, inst)
    costs = FIXED_ARITH.get(inst["tsk_eu_typ"])
    if costs is None:
        return None
    bits = 2 * (result == Precision.INT8) + (operand == Precision.INT8)
    return _word_groups(inst) * _rows(inst) * _steps(inst) * costs[bits]


SFU: Mapping[int, int] = {Eu.FLOAT_TO_INT: 1, Eu.EXPONENT: 1, Eu.POWER_OF_TWO: 1, Eu.RSQRT: 27}
SCALAR: Mapping[int, int] = {Eu.MUL: 1, Eu.ADD: 1, Eu.SUB: 1, Eu.DIV: 30}


def _pointwise(costs: Mapping[int, int], inst: Instruction) -> int | None:
    """``costs``: cycles a step by operation."""
    cost = costs.get(inst["tsk_eu_typ"])
    return None if cost is None else cost * _blocks(inst)


def _sfu(inst: Instruction) -> int | None:
    if inst["tsk_eu_typ"] == Eu.TAYLOR:
        return (4 * inst["opd1_n"] + 2) * _blocks(inst)
    return _pointwise(SFU, inst)


def _compare(inst: Instruction) -> int:
    return 2 * _blocks(inst, "res0_addr" if inst["tsk_eu_typ"] == Eu.COMPARE else "res1_addr")


FORMULAS: Mapping[InstructionKind, Formula] = {
    isa.CONV: _conv,
    isa.DEPTHWISE: _window,
    isa.MAX_POOL: _window,
    isa.MATMUL: _matmul,
    isa.ARITH: _arith,
    isa.LOOKUP: lambda inst: LOOKUP_STEP * _blocks(inst),
    isa.SCALAR: partial(_pointwise, SCALAR),
    isa.SFU: _sfu,
    isa.LINEAR: lambda inst: 4 * _blocks(inst),
    isa.COMPARE: _compare,
}


PEAK_MACS: Mapping[int, int] = {
    Precision.INT8: BM1684.lanes * STEP_PIXELS * 16,
    Precision.FP32: BM1684.lanes * STEP_PIXELS * 2,
}
"""Products a cycle by precision of the operands: 16 pixels a lane, times four images of four input
channels in 8 bits, or times two input channels in float."""


def macs_of(inst: Instruction) -> int:
    """Multiply-accumulates of a command, by its sizes; 0 for what is no sum of products.

    Winograd counts its 4x4 products, not those of the 3x3 convolution it stands for.
    """
    outputs = prod(inst[f"res0_{axis}"] for axis in "nchw")
    taps = inst["opd1_h"] * inst["opd1_w"]
    if inst.kind is isa.CONV:
        return outputs * taps * inst["opd0_c"]
    if inst.kind is isa.DEPTHWISE:
        return outputs * taps
    if inst.kind is isa.MATMUL:
        depth = (inst["opd0_c"] - 1) * inst["opd0_w"] + inst["opd1_w"]
        return inst["opd0_n"] * inst["res0_c"] * inst["res0_w"] * depth
    return 0
