"""Layers with coefficients: InnerProduct, BatchNorm, Scale, Bias. All become quant.conv."""

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
from dialects.quant import compute, types
from dialects.quant.base import int_attr
from dialects.ufw import ops as ufw
from passes.layers.binary import binary, combined
from passes.layers.converter import Converter
from passes.layers.reductions.reduce import finish
from passes.layers.reductions.standardize import affine

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
    depthwise convolution on [before, covered, after, 1], where a channel has one float number
    along the rows."""
    x = operand_of(c, op)
    shape = types.shape_of(x)
    channels = prod(covered)
    plain = len(shape) == 4 and axis == 1 and len(covered) == 1
    last = not plain and prod(shape[axis + len(covered) :]) == 1
    if types.is_float(x) and len(shape) > 2 and last:
        factor = None if np.all(weight == 1) else np.broadcast_to(weight, covered)
        addend = None if bias is None else bias.reshape(covered)
        if factor is not None or addend is not None:
            finish(c, op, affine(c, x, factor, addend, axis, "affine"))
            return
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
    ufw.InnerProductOp: _inner_product,
    ufw.BatchNormOp: _batch_norm,
    ufw.ScaleOp: _scale,
    ufw.BiasOp: _bias,
}
