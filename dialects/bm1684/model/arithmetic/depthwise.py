"""Depthwise convolution, average and max pooling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from dialects.bm1684.isa import Instruction, Precision
from dialects.bm1684.model.arithmetic.conv import read_bias, signed_result
from dialects.bm1684.model.arithmetic.exact import bounds, saturate, shift_right
from dialects.bm1684.model.arithmetic.window import Window
from dialects.bm1684.model.memory.access import PreparedCommand
from dialects.bm1684.model.memory.lanes import LaneTensor
from dialects.bm1684.model.memory.npu import Array, DType, Npu
from dialects.bm1684.model.memory.operands import (
    UNIT_AND_PACK,
    WORD,
    integer_type,
    local_place,
    per_channel,
    same_lane,
    sizes,
    tensor,
)

FLOAT32_LOWEST = float(np.finfo(np.float32).min)


def average_multiplier(area: int) -> tuple[int, int]:
    """(m, s) of the built-in table: m / 2^s is about 1 / area, m an odd number below 256.

    The largest s with ``round(2^s / area) <= 255``, then common factors of two removed.
    """
    shift, factor = 20, 256
    while factor > 255:
        shift -= 1
        factor = ((2 << shift) + area) // (2 * area)
    while factor % 2 == 0 and shift:
        factor, shift = factor // 2, shift - 1
    return factor, shift


@dataclass(frozen=True)
class _Input:
    """What a window reads: the input, or some rows of it, one after the other."""

    tensors: tuple[LaneTensor, ...]
    window: Window

    @staticmethod
    def of(inst: Instruction) -> _Input:
        """Of one row of results on a wider input: what its windows meet and nothing else, since
        what lies between, and behind, may be another tensor's. All of it must lie in the lane."""
        window = Window.of(inst)
        shape = (inst["res0_n"], inst["res0_c"], inst["opd0_h"], inst["opd0_w"])
        columns = window.span(1, window.kernel[1] - 1).stop
        plain = not any((*window.insert, *window.before, *window.after))
        unit, pack = UNIT_AND_PACK[Precision(inst["opt_opd0_prec"])]
        whole = tensor(inst, "opd0", shape, unit, pack)
        if not plain or window.output[0] > 1 or columns >= shape[3]:
            return _Input((whole,), window)
        rows = (
            replace(
                whole,
                offset=whole.offset + row * window.dilation[0] * shape[3] * unit,
                shape=(*shape[:2], 1, columns),
            )
            for row in range(window.kernel[0])
        )
        return _Input(tuple(rows), replace(window, dilation=(1, window.dilation[1])))

    def padded(self, npu: Npu, dtype: DType, out: DTypeLike) -> Array:
        """The padded input [n, c, h, w] of these rows."""
        parts = [self.window.padded(x, npu.lmem, dtype, out, 0) for x in self.tensors]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def plan_depthwise(inst: Instruction) -> PreparedCommand:
    """Depthwise convolution; with a constant kernel, average pooling."""
    given, result = _Input.of(inst), _result(inst)
    channels = inst["res0_c"]
    int8 = _is_int8(inst)
    weights = None if inst["opt_opd1_const"] else _kernel(inst)
    bias = None
    if inst["tsk_opd_num"] == 3:
        bias = per_channel(inst, "opd2", channels, 2 if int8 else WORD)
    same_lane(result, given.tensors[0], weights, bias)
    reads = (*given.tensors, *(t for t in (weights, bias) if t is not None))
    if int8 and weights is None:
        return PreparedCommand(reads, (result,), partial(_average_int8, inst, given, result))
    run = _depthwise_int8 if int8 else _depthwise_fp32
    return PreparedCommand(reads, (result,), partial(run, inst, given, weights, bias, result))


def plan_max_pool(inst: Instruction) -> PreparedCommand:
    """Max pooling."""
    unit, pack = UNIT_AND_PACK[Precision(inst["opt_opd0_prec"])]
    shape = (inst["res0_n"], inst["res0_c"], inst["opd0_h"], inst["opd0_w"])
    x, result = tensor(inst, "opd0", shape, unit, pack), _result(inst)
    same_lane(result, x)
    return PreparedCommand((x,), (result,), partial(_max_pool, inst, x, result))


def _is_int8(inst: Instruction) -> bool:
    return inst["opt_opd0_prec"] == Precision.INT8


def _result(inst: Instruction) -> LaneTensor:
    unit, pack = UNIT_AND_PACK[Precision(inst["opt_opd0_prec"])]
    return tensor(inst, "res0", sizes(inst, "res0"), unit, pack)


def _kernel(inst: Instruction) -> LaneTensor:
    kh, kw = inst["opd1_h"], inst["opd1_w"]
    unit = 1 if _is_int8(inst) else WORD
    lane, offset = local_place("opd1_addr", inst["opd1_addr"], unit)
    shape = (1, inst["res0_c"], kh, kw)
    return LaneTensor("opd1", lane, offset, unit, 1, shape, (0, kh * kw, kw, 1))


def _depthwise_int8(
    inst: Instruction,
    x: _Input,
    weights: LaneTensor,
    bias: LaneTensor | None,
    result: LaneTensor,
    npu: Npu,
) -> None:
    sign = bool(inst["opt_opd0_sign"])
    data = x.padded(npu, integer_type(8, sign), np.int32)
    kernel = weights.read(npu.lmem, integer_type(8, bool(inst["opt_opd1_sign"]))).astype(np.int32)
    start = read_bias(inst, bias, npu, result.shape[1]).astype(np.int32).reshape(1, -1, 1, 1)
    total = _zeros(result, np.int32)
    total += start
    for i, j, view in x.window.taps(data):
        total += view * kernel[:, :, i : i + 1, j : j + 1]
    dtype = integer_type(8, signed_result(inst))
    result.write(npu.lmem, saturate(shift_right(total, inst["opt_right_shift"]), dtype))


def _depthwise_fp32(
    inst: Instruction,
    x: _Input,
    weights: LaneTensor | None,
    bias: LaneTensor | None,
    result: LaneTensor,
    npu: Npu,
) -> None:
    data = x.padded(npu, np.dtype(np.float32), np.float32)
    if weights is None:
        kernel = np.array([inst["opd1_addr"]], np.uint32).view(np.float32)
        kernel = np.broadcast_to(kernel, (1, 1, *x.window.kernel))
    else:
        kernel = weights.read(npu.lmem, np.float32)
    total = _sum_of_products(x.window, data, kernel)
    if bias is not None:
        total += bias.read(npu.lmem, np.float32)
    result.write(npu.lmem, total)


def _sum_of_products(window: Window, data: Array, kernel: Array) -> Array:
    """Sums [n, c, oh, ow] of floats, rounded as the chip does: it adds up every other tap, the taps
    between, and then both sums."""
    sums: list[Array] = []
    for at, (i, j, view) in enumerate(window.taps(data)):
        product = view * kernel[:, :, i : i + 1, j : j + 1]
        if at < 2:
            sums.append(product)
        else:
            sums[at % 2] += product
    return sums[0] if len(sums) == 1 else sums[0] + sums[1]


def _average_int8(inst: Instruction, x: _Input, result: LaneTensor, npu: Npu) -> None:
    sign = bool(inst["opt_opd0_sign"])
    data = x.padded(npu, integer_type(8, sign), np.int32)
    factor, _ = average_multiplier(inst["opd1_h"] * inst["opd1_w"])
    total = window_sum(x.window, data) * factor
    dtype = integer_type(8, sign and not inst["opt_relu"])
    result.write(npu.lmem, saturate(shift_right(total, inst["opt_right_shift"]), dtype))


def _max_pool(inst: Instruction, x: LaneTensor, result: LaneTensor, npu: Npu) -> None:
    window = Window.of(inst)
    if _is_int8(inst):
        dtype = integer_type(8, bool(inst["opt_opd0_sign"]))
        fill: float = bounds(dtype)[0]
    else:
        dtype, fill = np.dtype(np.float32), FLOAT32_LOWEST
    data = window.padded(x, npu.lmem, dtype, dtype, fill)
    best = data[:, :, :, window.span(1, 0)].copy(order="K")
    for j in range(1, window.kernel[1]):
        np.maximum(best, data[:, :, :, window.span(1, j)], out=best)
    out = best[:, :, window.span(0, 0)].copy(order="K")
    for i in range(1, window.kernel[0]):
        np.maximum(out, best[:, :, window.span(0, i)], out=out)
    result.write(npu.lmem, out)


def window_sum(window: Window, data: Array) -> Array:
    """Sums [n, c, oh, ow] over the windows of a padded input, first along rows."""
    partial_sums = data[:, :, :, window.span(1, 0)].copy(order="K")
    for j in range(1, window.kernel[1]):
        partial_sums += data[:, :, :, window.span(1, j)]
    total = partial_sums[:, :, window.span(0, 0)].copy(order="K")
    for i in range(1, window.kernel[0]):
        total += partial_sums[:, :, window.span(0, i)]
    return total


def _zeros(result: LaneTensor, dtype: type[np.generic]) -> Array:
    """Zeros of the result's shape; images innermost in memory when they are packed."""
    n, c, h, w = result.shape
    if result.pack > 1:
        return np.zeros((c, h, w, n), dtype).transpose(3, 0, 1, 2)
    return np.zeros(result.shape, dtype)
