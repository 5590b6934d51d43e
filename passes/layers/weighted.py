"""Layers with coefficients: Convolution, InnerProduct, BatchNorm, Scale, Bias. All become
quant.conv.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.constant import ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.base import i64s, int_attr, ints
from dialects.quant.windows import window_size
from dialects.ufw import ops as ufw
from dialects.ufw.shapes import four_pads
from passes.layers.binary import binary, combined
from passes.layers.converter import Converter
from passes.layers.wide_window import Taps, cut_dilation, cut_stride, met_taps, subsampled

Array = NDArray[Any]


def operand_of(c: Converter, op: Any) -> SSAValue:
    """The layer's bottom in the kind of numbers its coefficients are in."""
    bottom = c.value(op.bottom)
    return c.as_float(bottom) if op.right_shift is None else c.as_integer(bottom)


def result_type(c: Converter, op: Any, shape: Sequence[int]) -> TensorType[Any]:
    """The declared type with another shape. Raises LayerError when integers meet a float result."""
    top = op.results[0]
    if op.right_shift is None:
        return types.float_like(top, shape)
    if types.is_float(top):
        raise c.error("the layer has integer weights but its result has no scale")
    return types.like(top, shape)


def shift_of(op: Any) -> Any:
    """The shift of integer coefficients as an attribute."""
    return None if op.right_shift is None else int_attr(op.right_shift.value.data)


def _convolution(c: Converter, op: ufw.ConvolutionOp) -> None:
    pad, dilation = four_pads(ints(op.pad)), ints(op.dilation)
    stride, steps = cut_stride(ints(op.stride))
    n, _, height, width = types.shape_of(op.bottom)
    kh, kw = op.weight.shape[2:]
    weight = op.weight
    if max(dilation) > BM1684.limits.dilation:
        down = met_taps(height, kh, stride[0], dilation[0], (pad[0], pad[1]))
        across = met_taps(width, kw, stride[1], dilation[1], (pad[2], pad[3]))
        weight, pad = _with_taps(weight, down, across), (*down.pad, *across.pad)
    weight, dilation = cut_dilation(weight, dilation)
    kh, kw = weight.shape[2:]
    rows = window_size(height, kh, stride[0], sum(pad[:2]), dilation[0])
    columns = window_size(width, kw, stride[1], sum(pad[2:]), dilation[1])
    result = result_type(c, op, (n, op.weight.shape[0], rows, columns))
    x, step = operand_of(c, op), "" if steps == (1, 1) else "dense"
    settings = {
        "stride": i64s(stride), "pad": i64s(pad), "dilation": i64s(dilation),
        "group": int_attr(op.group.value.data), "shift": shift_of(op),
        "use_winograd": op.use_winograd,
    }  # fmt: skip
    parts = _parts(weight) if types.is_float(x) and op.group.value.data == 1 else 1
    if parts == 1:
        value = c.add(compute.ConvOp, [x], result, step, weight=weight, bias=op.bias, **settings)
    else:
        value = _sum_of_parts(c, op, x, weight, parts, result, step, settings)
    c.finish(op, subsampled(c, value, steps))


def _with_taps(weight: ConstantAttr, down: Taps, across: Taps) -> ConstantAttr:
    """The weights of these taps alone."""
    rows = slice(down.first, down.first + down.count)
    columns = slice(across.first, across.first + across.count)
    if (down.count, across.count) == weight.shape[2:]:
        return weight
    return ConstantAttr.of(np.ascontiguousarray(weight.array[:, :, rows, columns]))


def _parts(weight: ConstantAttr) -> int:
    """In how many parts the input channels are, so that the float weights of 64 outputs leave half
    of local memory."""
    return -(-4 * prod(weight.shape[1:]) // (BM1684.lane_bytes // 2))


def _sum_of_parts(
    c: Converter, op: Any, x: SSAValue, weight: ConstantAttr, parts: int, result: TensorType[Any],
    step: str, settings: dict[str, Any],
) -> SSAValue:
    """The sum of the convolutions of some input channels each."""
    found: list[SSAValue] = []
    each = -(-weight.shape[1] // parts)
    n, _, *size = types.shape_of(x)
    for begin in range(0, weight.shape[1], each):
        own = np.ascontiguousarray(weight.array[:, begin : begin + each])
        cut = {"axis": int_attr(1), "begin": int_attr(begin)}
        shape = (n, own.shape[1], *size)
        part = c.add(movement.SliceOp, [x], types.like(x, shape), f"channels{begin}", **cut)
        bias = op.bias if begin == 0 else None
        kind = types.float_tensor(types.shape_of(result))
        found.append(c.add(compute.ConvOp, [part], kind, f"part{begin}",
                           weight=ConstantAttr.of(own), bias=bias, **settings))
    kind = compute.EltwiseKindAttr(compute.EltwiseKind.SUM)
    return c.add(compute.EltwiseOp, found, result, step, kind=kind)


def _factor(count: int) -> tuple[int, int]:
    """count = channels * width with as many channels as a command takes."""
    limit = BM1684.limits.channels
    channels = max(d for d in range(1, min(count, limit) + 1) if count % d == 0)
    return channels, count // channels


def _inner_product(c: Converter, op: ufw.InnerProductOp) -> None:
    """A convolution whose kernel covers the whole map: one output pixel a row of the matrix."""
    x = operand_of(c, op)
    shape, axis = types.shape_of(x), op.axis.value.data
    outputs, count = op.weight.shape
    if axis == 1 and len(shape) == 4 and shape[1] <= BM1684.limits.channels:
        four = shape
    else:
        channels, width = _factor(count)
        four = (prod(shape[:axis]), channels, 1, width)
    x = c.reshape(x, four, "rows")
    weight = op.weight.array.reshape(outputs, *four[1:])
    out, final = (four[0], outputs, 1, 1), types.shape_of(op.results[0])
    same = out == final
    value = c.add(
        compute.ConvOp,
        [x],
        result_type(c, op, out),
        "" if same else "product",
        weight=ConstantAttr.of(weight),
        bias=op.bias,
        shift=shift_of(op),
    )
    c.finish(op, c.reshape(value, final))


def _per_channel(
    c: Converter, op: Any, weight: Array, bias: Array | None, axis: int, covered: Sequence[int]
) -> None:
    """``y = weight * x + bias``, coefficients along ``covered`` dims from ``axis`` on: a 1x1
    depthwise convolution on [before, covered, after, 1]."""
    x = operand_of(c, op)
    shape = types.shape_of(x)
    channels = prod(covered)
    plain = len(shape) == 4 and axis == 1 and len(covered) == 1
    before, after = prod(shape[:axis]), prod(shape[axis + len(covered) :])
    four = shape if plain else (before, channels, after, 1)
    x = c.reshape(x, four, "channels")
    kernel = np.broadcast_to(weight.reshape(-1), (channels,)).reshape(channels, 1, 1, 1)
    value = c.add(
        compute.ConvOp,
        [x],
        result_type(c, op, four),
        "" if four == shape else "product",
        weight=ConstantAttr.of(np.ascontiguousarray(kernel)),
        bias=None if bias is None else ConstantAttr.of(np.ascontiguousarray(bias.reshape(-1))),
        group=int_attr(channels),
        shift=shift_of(op),
    )
    c.finish(op, c.reshape(value, shape))


def _batch_norm(c: Converter, op: ufw.BatchNormOp) -> None:
    if op.weight is not None and op.bias is not None:
        weight, bias = op.weight.array, op.bias.array
    else:
        assert op.mean is not None
        assert op.variance is not None
        assert op.eps is not None
        deviation = np.sqrt(op.variance.array.astype(np.float64) + op.eps.value.data)
        weight = (1 / deviation).astype(np.float32)
        bias = (-op.mean.array.astype(np.float64) / deviation).astype(np.float32)
    _per_channel(c, op, weight, bias, 1, weight.shape)


def _with_operand(c: Converter, op: Any, kind: str, operand: SSAValue) -> SSAValue:
    """The first bottom and the second one, which repeats over the dims that it does not cover."""
    shape, small = types.shape_of(op.bottom), types.shape_of(operand)
    axis = op.axis.value.data
    wide = (1,) * axis + small + (1,) * (len(shape) - axis - len(small))
    return combined(c, op, kind, [c.value(op.bottom), c.reshape(operand, wide, "operand")])


def _scale(c: Converter, op: ufw.ScaleOp) -> None:
    axis = op.axis.value.data
    if op.weight is not None:
        bias = None if op.bias is None else op.bias.array
        _per_channel(c, op, op.weight.array, bias, axis, op.weight.shape)
        return
    assert op.operand is not None
    if op.bias is None:
        c.finish(op, _with_operand(c, op, "mul", c.value(op.operand)))
        return
    if op.right_shift is not None:
        raise c.error("a two-input Scale with a bias has no INT8 form; mark it forward_with_float")
    shape, small = types.shape_of(op.bottom), types.shape_of(op.operand)
    wide = (1,) * axis + small + (1,) * (len(shape) - axis - len(small))
    factor = c.reshape(c.as_float(c.value(op.operand)), wide, "operand")
    _shifted(c, op, binary(c, "mul", c.as_float(c.value(op.bottom)), factor, "product"), axis)


def _shifted(c: Converter, op: ufw.ScaleOp, product: SSAValue, axis: int) -> None:
    """Adds the float bias of a two-input Scale: a depthwise convolution with weights 1."""
    assert op.bias is not None
    shape, covered = types.shape_of(product), op.bias.shape
    channels = prod(covered)
    four = (prod(shape[:axis]), channels, prod(shape[axis + len(covered) :]), 1)
    x = c.reshape(product, four, "channels")
    value = c.add(
        compute.ConvOp,
        [x],
        types.float_like(op.top, four),
        "sum",
        weight=ConstantAttr.of(np.ones((channels, 1, 1, 1), np.float32)),
        bias=ConstantAttr.of(op.bias.array.reshape(-1)),
        group=int_attr(channels),
    )
    c.finish(op, c.reshape(value, shape))


def _bias(c: Converter, op: ufw.BiasOp) -> None:
    axis = op.axis.value.data
    if op.operand is not None:
        c.finish(op, _with_operand(c, op, "add", c.value(op.operand)))
        return
    assert op.bias is not None
    weight = np.ones(1, np.float32) if op.weight is None else op.weight.array
    _per_channel(c, op, weight, op.bias.array, axis, op.bias.shape)


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.ConvolutionOp: _convolution,
    ufw.InnerProductOp: _inner_product,
    ufw.BatchNormOp: _batch_norm,
    ufw.ScaleOp: _scale,
    ufw.BiasOp: _bias,
}
