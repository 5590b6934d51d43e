"""Convolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Instruction, Precision, StrideMode
from dialects.bm1684.model.arithmetic.exact import ExactMatrix, saturate
from dialects.bm1684.model.arithmetic.products import in_channel_pairs, multiplier
from dialects.bm1684.model.arithmetic.window import Window
from dialects.bm1684.model.errors import limit_elements
from dialects.bm1684.model.memory.access import PreparedCommand
from dialects.bm1684.model.memory.lanes import LaneTensor, Shape, aligned_strides
from dialects.bm1684.model.memory.npu import Array, DType, Npu
from dialects.bm1684.model.memory.operands import (
    WORD,
    integer_type,
    local_place,
    per_channel,
    same_lane,
    tensor,
)

PAIR = 2 * WORD


@dataclass(frozen=True, slots=True)
class ConvOperands:
    """Input, weights [ic, oc, kh, kw] (None: one constant), bias, result."""

    x: LaneTensor
    weights: LaneTensor | None
    bias: LaneTensor | None
    result: LaneTensor

    def step(self, run: Callable[[Npu], None], accumulate: bool) -> PreparedCommand:
        """The command that reads and writes them."""
        reads = [t for t in (self.x, self.weights, self.bias) if t is not None]
        if accumulate:
            reads.append(self.result)
        return PreparedCommand(tuple(reads), (self.result,), run)


def plan_conv(inst: Instruction) -> PreparedCommand:
    """Direct convolution, int8 or fp32."""
    operands = _operands(inst)
    run = _run_int8 if inst["opt_opd0_prec"] == Precision.INT8 else _run_fp32
    return operands.step(partial(run, inst, operands), bool(inst["opt_res_add"]))


def _operands(inst: Instruction) -> ConvOperands:
    int8 = inst["opt_opd0_prec"] == Precision.INT8
    x = conv_input(inst)
    result = conv_result(inst)
    bias = conv_bias(inst)
    weights = None
    if not inst["opt_opd1_const"]:
        unit, pack = (WORD, BM1684.channels_per_weight_word) if int8 else (
            PAIR, BM1684.channels_per_weight_pair)
        shape = (inst["opd0_c"], inst["res0_c"], inst["opd1_h"], inst["opd1_w"])
        mode = inst["short_opd1_str"] or StrideMode.COMPACT
        weights = tensor(inst, "opd1", shape, unit, pack, mode, align=unit)
    same_lane(result, weights, bias)
    return ConvOperands(x, weights, bias, result)


def conv_input(inst: Instruction) -> LaneTensor:
    """opd0 of a convolution; its n is the result's."""
    pack = BM1684.int8_images_per_word if inst["opt_opd0_prec"] == Precision.INT8 else 1
    shape = (inst["res0_n"], inst["opd0_c"], inst["opd0_h"], inst["opd0_w"])
    return tensor(inst, "opd0", shape, WORD, pack, inst["short_opd0_str"])


def conv_bias(inst: Instruction) -> LaneTensor | None:
    """opd2 of a convolution, when it has one."""
    if inst["tsk_opd_num"] < 3:
        return None
    unit = 2 if inst["opt_opd0_prec"] == Precision.INT8 else WORD
    row = inst["opd2_c_str"] if inst["short_opd2_str"] == StrideMode.EXPLICIT else 1
    return per_channel(inst, "opd2", inst["res0_c"], unit, row)


def conv_result(inst: Instruction) -> LaneTensor:
    """res0 of a convolution: always aligned, only the n stride may be explicit."""
    shape: Shape = (inst["res0_n"], inst["res0_c"], inst["res0_h"], inst["res0_w"])
    unit, pack = WORD, 1
    if inst["opt_opd0_prec"] == Precision.INT8:
        pack = BM1684.int8_images_per_word
        unit = PAIR if inst["opt_res0_prec"] == Precision.INT16 else WORD
    lane, offset = local_place("res0_addr", inst["res0_addr"], BM1684.alignment)
    n, c, h, w = aligned_strides(lane, shape, WORD)
    if inst["short_res0_str"] == StrideMode.EXPLICIT:
        n = inst["res0_n_str"]
    return LaneTensor("res0", lane, offset, unit, pack, shape, (n, c, h, w))


def signed_result(inst: Instruction) -> bool:
    """Whether an int8 result is signed: no relu, and any operand in use is signed."""
    signed = inst["opt_opd0_sign"] or inst["opt_opd1_sign"]
    if inst["tsk_opd_num"] > 2:
        signed = signed or inst["opt_opd2_sign"]
    return not inst["opt_relu"] and bool(signed)


def largest(signed: int) -> int:
    """The largest magnitude of an 8-bit operand."""
    return 128 if signed else 255


def read_bias(inst: Instruction, bias: LaneTensor | None, npu: Npu, count: int) -> Array:
    """int16 bias as int64 [count, 1]; zeros without one."""
    if bias is None:
        return np.zeros((count, 1), np.int64)
    dtype = integer_type(16, bool(inst["opt_opd2_sign"]))
    return bias.read(npu.lmem, dtype).reshape(-1, 1).astype(np.int64)


def requantise(inst: Instruction, total: Array, bias: Array, dtype: DType) -> Array:
    """``sat((total + bias + 2^(r-1)) >> r)``, r the right shift; ``total`` is used up."""
    shift = inst["opt_right_shift"]
    total += (bias + (1 << shift >> 1)).astype(total.dtype)
    total >>= shift
    return saturate(total, dtype)


def result_type(inst: Instruction) -> DType:
    """The numpy type of an integer result."""
    bits = 16 if inst["opt_res0_prec"] == Precision.INT16 else 8
    return integer_type(bits, signed_result(inst))


def _matrix(inst: Instruction, weights: LaneTensor | None, npu: Npu, dtype: DType
            ) -> Array:
    """Weights as [oc, kh * kw * ic]."""
    if weights is None:
        value = np.array([inst["opd1_addr"]], np.uint32).view(dtype)[0]
        depth = inst["opd0_c"] * inst["opd1_h"] * inst["opd1_w"]
        limit_elements("the kernel opd1", inst["res0_c"], depth)
        return np.full((inst["res0_c"], depth), value)
    taps = weights.read(npu.lmem, dtype).transpose(1, 2, 3, 0)
    if inst["opt_kernel_rotate"]:
        taps = taps[:, ::-1, ::-1]
    return taps.reshape(inst["res0_c"], -1)


def _run_int8(inst: Instruction, operands: ConvOperands, npu: Npu) -> None:
    window = Window.of(inst)
    n, oc, oh, ow = operands.result.shape
    sign = inst["opt_opd0_sign"]
    x = window.padded(operands.x, npu.lmem, integer_type(8, bool(sign)), np.float32, 0)
    weight_type = integer_type(8, bool(inst["opt_opd1_sign"]))
    matrix = ExactMatrix(_matrix(inst, operands.weights, npu, weight_type), largest(sign))
    bias = read_bias(inst, operands.bias, npu, oc)
    dtype = result_type(inst)
    out = np.empty((oc, oh, ow, n), dtype)
    for rows, columns in window.columns(x.transpose(1, 2, 3, 0), oc):
        block = requantise(inst, matrix.times(columns), bias, dtype)
        out[:, rows] = block.reshape(oc, -1, ow, n)
    operands.result.write(npu.lmem, out.transpose(3, 0, 1, 2))


def _run_fp32(inst: Instruction, operands: ConvOperands, npu: Npu) -> None:
    window = Window.of(inst)
    _, oc, _, ow = operands.result.shape
    f32 = np.dtype(np.float32)
    x = window.padded(operands.x, npu.lmem, f32, f32, 0)
    matrix = _matrix(inst, operands.weights, npu, f32)
    bias = operands.bias.read(npu.lmem, f32).reshape(-1, 1) if operands.bias else None
    out = np.empty(operands.result.shape, f32)
    sums = in_channel_pairs(inst["opd0_c"], prod(window.kernel))
    multiply = multiplier(sums, out.size * matrix.shape[1])
    for image, result in zip(x, out, strict=True):
        for rows, columns in window.columns(image[..., None], oc):
            block = multiply(matrix, columns)
            if bias is not None:
                block += bias
            result[:, rows] = block.reshape(oc, -1, ow)
    if inst["opt_res_add"]:
        out += operands.result.read(npu.lmem, f32)
    operands.result.write(npu.lmem, out)
