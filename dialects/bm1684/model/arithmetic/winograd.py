"""Winograd convolution F(2x2, 3x3)."""

from __future__ import annotations

from functools import partial

import numpy as np

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Instruction, Precision
from dialects.bm1684.model.arithmetic.conv import (
    ConvOperands,
    conv_bias,
    conv_input,
    conv_result,
    read_bias,
    requantise,
    result_type,
)
from dialects.bm1684.model.arithmetic.exact import FLOAT32_EXACT
from dialects.bm1684.model.arithmetic.window import Window
from dialects.bm1684.model.memory.access import PreparedCommand
from dialects.bm1684.model.memory.lanes import LaneTensor, compact_strides
from dialects.bm1684.model.memory.npu import Array, Npu
from dialects.bm1684.model.memory.operands import WORD, integer_type, local_place, same_lane

INPUT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
OUTPUT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
GAIN = 4
"""Largest factor by which the input transform enlarges a value."""


def plan_winograd(inst: Instruction) -> PreparedCommand:
    """Stride 1; the weights are transformed already: opd1 is [ic, oc, 4, 4]."""
    int8 = inst["opt_opd0_prec"] == Precision.INT8
    x, result, bias = conv_input(inst), conv_result(inst), conv_bias(inst)
    shape = (inst["opd0_c"], inst["res0_c"], 4, 4)
    lane, offset = local_place("opd1_addr", inst["opd1_addr"], BM1684.alignment)
    strides = compact_strides(lane, shape)
    pack = BM1684.channels_per_weight_word if int8 else 1
    weights = LaneTensor("opd1", lane, offset, WORD, pack, shape, strides)
    same_lane(result, weights, bias)
    operands = ConvOperands(x, weights, bias, result)
    run = partial(_run_int8 if int8 else _run_fp32, inst, x, weights, bias, result)
    return operands.step(run, accumulate=False)


def _tiles(window: Window, x: Array) -> Array:
    """The transformed 4x4 tiles [4, 4, c, rows * columns * n] of a padded input [c, h, w, n]."""
    height, width = (-(-size // 2) for size in window.output)
    c, _, _, n = x.shape
    padded = np.zeros((c, 2 * height + 2, 2 * width + 2, n), x.dtype)
    part = x[:, : padded.shape[1], : padded.shape[2]]
    padded[:, : part.shape[1], : part.shape[2]] = part
    tiles = np.empty((4, 4, c, height, width, n), x.dtype)
    for i in range(4):
        for j in range(4):
            tiles[i, j] = padded[:, i : i + 2 * height : 2, j : j + 2 * width : 2]
    half = np.tensordot(INPUT.astype(x.dtype), tiles, (1, 0))
    return np.tensordot(INPUT.astype(x.dtype), half, (1, 1)).transpose(1, 0, 2, 3, 4, 5).reshape(
        4, 4, c, -1
    )


def _convolve(window: Window, x: Array, taps: Array) -> Array:
    """Sums [oc, oh, ow, n] of a padded input [c, h, w, n] with weights [4, 4, oc, ic]."""
    height, width = (-(-size // 2) for size in window.output)
    products = taps @ _tiles(window, x)
    form = OUTPUT.astype(x.dtype)
    half = np.tensordot(form, products, (1, 0))
    whole = np.tensordot(form, half, (1, 1))
    shape = (2, 2, taps.shape[2], height, width, x.shape[3])
    whole = whole.reshape(shape).transpose(2, 3, 1, 4, 0, 5)
    whole = whole.reshape(taps.shape[2], 2 * height, 2 * width, -1)
    return whole[:, : window.output[0], : window.output[1]]


def _run_int8(
    inst: Instruction,
    x: LaneTensor,
    weights: LaneTensor,
    bias: LaneTensor | None,
    result: LaneTensor,
    npu: Npu,
) -> None:
    window = Window.of(inst)
    types = [integer_type(8, bool(inst[f"opt_opd{i}_sign"])) for i in (0, 1)]
    taps = weights.read(npu.lmem, types[1]).transpose(2, 3, 1, 0).astype(np.float32)
    bound = float(np.abs(taps).sum(3).max()) * 255 * GAIN * 9
    dtype = np.float32 if bound < FLOAT32_EXACT else np.float64
    data = window.padded(x, npu.lmem, types[0], dtype, 0).transpose(1, 2, 3, 0)
    total = _convolve(window, data, taps.astype(dtype)).astype(np.int64)
    start = read_bias(inst, bias, npu, result.shape[1]).reshape(-1, 1, 1, 1)
    out = requantise(inst, total, start, result_type(inst))
    result.write(npu.lmem, out.transpose(3, 0, 1, 2))


def _run_fp32(
    inst: Instruction,
    x: LaneTensor,
    weights: LaneTensor,
    bias: LaneTensor | None,
    result: LaneTensor,
    npu: Npu,
) -> None:
    window = Window.of(inst)
    taps = weights.read(npu.lmem, np.float32).transpose(2, 3, 1, 0)
    data = window.padded(x, npu.lmem, np.float32, np.float32, 0).transpose(1, 2, 3, 0)
    total = _convolve(window, data, taps)
    if bias is not None:
        total = total + bias.read(npu.lmem, np.float32).reshape(-1, 1, 1, 1)
    if inst["opt_res_add"]:
        total = total + result.read(npu.lmem, np.float32).transpose(1, 2, 3, 0)
    result.write(npu.lmem, total.transpose(3, 0, 1, 2))
