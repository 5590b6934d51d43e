"""Convolution: one command's window where the chip's fields hold it, else smaller ones."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.constant import ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.base import i64s, int_attr, ints
from dialects.quant.windows import window_size
from dialects.ufw import ops as ufw
from dialects.ufw.shapes import four_pads
from passes.layers.converter import Converter
from passes.layers.dilated import Window, stays_wide, sum_of_taps, with_met_taps
from passes.layers.weighted import operand_of, result_type, shift_of
from passes.layers.wide_window import cut_dilation, cut_stride, subsampled


def _convolution(c: Converter, op: ufw.ConvolutionOp) -> None:
    x, pad = operand_of(c, op), four_pads(ints(op.pad))
    group = op.group.value.data
    window = Window(
        op.weight, op.bias, ints(op.stride), pad, ints(op.dilation), group, shift_of(op)
    )
    if window.is_beyond_the_field() and types.is_float(x) and not c.dynamic:
        kind = result_type(c, op, types.shape_of(op.top))
        c.finish(op, sum_of_taps(c, x, window, kind, ""))
    else:
        _as_one_window(c, op, x, window)


def _as_one_window(c: Converter, op: ufw.ConvolutionOp, x: SSAValue, window: Window) -> None:
    """A dilation beyond the field becomes zeros between the weights, a stride a selection."""
    stride, steps = cut_stride(window.stride)
    weight, pad, dilation = window.weight, window.pad, window.dilation
    n, _, height, width = types.shape_of(x)
    if window.is_beyond_the_field():
        if not c.dynamic:
            window = with_met_taps(window, (height, width))
        weight, pad, dilation = window.weight, window.pad, window.dilation
        if c.dynamic or not stays_wide(window):
            weight, dilation = cut_dilation(weight, dilation)
    kh, kw = weight.shape[2:]
    rows = window_size(height, kh, stride[0], sum(pad[:2]), dilation[0])
    columns = window_size(width, kw, stride[1], sum(pad[2:]), dilation[1])
    result = result_type(c, op, (n, weight.shape[0], rows, columns))
    step = "" if steps == (1, 1) else "dense"
    settings = {
        "stride": i64s(stride), "pad": i64s(pad), "dilation": i64s(dilation),
        "group": int_attr(window.group), "shift": window.shift, "use_winograd": op.use_winograd,
    }  # fmt: skip
    parts = _parts(weight) if types.is_float(x) and window.group == 1 else 1
    if parts == 1:
        value = c.add(compute.ConvOp, [x], result, step, weight=weight, bias=op.bias, **settings)
    else:
        value = _sum_of_parts(c, op, x, weight, parts, result, step, settings)
    c.finish(op, subsampled(c, value, steps))


def _parts(weight: ConstantAttr) -> int:
    """In how many parts the input channels are, so that a command counts them, and the float
    weights of 64 outputs leave half of local memory."""
    inputs, room = weight.shape[1], BM1684.lane_bytes // 2
    return max(-(-inputs // BM1684.limits.channels), -(-4 * prod(weight.shape[1:]) // room))


def _sum_of_parts(
    c: Converter, op: Any, x: SSAValue, weight: ConstantAttr, parts: int, result: TensorType[Any],
    step: str, settings: dict[str, Any],
) -> SSAValue:
    """The sum of the convolutions of some input channels each, one after the other."""
    total: SSAValue | None = None
    each = -(-weight.shape[1] // parts)
    n, _, *size = types.shape_of(x)
    floats = types.float_tensor(types.shape_of(result))
    for begin in range(0, weight.shape[1], each):
        own = np.ascontiguousarray(weight.array[:, begin : begin + each])
        cut = {"axis": int_attr(1), "begin": int_attr(begin)}
        shape = (n, own.shape[1], *size)
        part = c.add(movement.SliceOp, [x], types.like(x, shape), f"channels{begin}", **cut)
        value = c.add(compute.ConvOp, [part], floats, f"part{begin}", weight=ConstantAttr.of(own),
                      bias=op.bias if total is None else None, **settings)
        if total is None:
            total = value
            continue
        is_last = begin + each >= weight.shape[1]
        kind = compute.EltwiseKindAttr(compute.EltwiseKind.SUM)
        total = c.add(compute.EltwiseOp, [total, value], result if is_last else floats,
                      step if is_last else f"sum{begin}", kind=kind)
    assert total is not None
    return total


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {ufw.ConvolutionOp: _convolution}
