"""Element-wise layers, activations, pooling, softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseArrayBase, f32
from xdsl.ir import Operation, SSAValue

from dialects.constant import ConstantAttr
from dialects.quant import compute, types
from dialects.quant.arithmetic import (
    LARGEST_FACTOR,
    fixed_point,
    quantize,
    rounding_shift,
    saturate,
)
from dialects.quant.base import i64s, int_attr, ints
from dialects.ufw import ops as ufw
from dialects.ufw.shapes import four_pads
from passes.layers.converter import SAME_SCALE, Converter
from passes.layers.wide_window import cut_stride, subsampled

Array = NDArray[Any]
LARGEST_RATIO = 127
"""The multiplier of a change of scale has 7 bits."""
MAX_SUM_SHIFT = 7
"""Shift of an integer sum: the 16-bit sum then still reaches beyond 8 bits before it saturates."""


def is_integer(c: Converter, op: Any) -> bool:
    """Whether a layer computes in integers: its result is 8 bit, and so are its operands."""
    operands = [c.value(x) for x in op.operands]
    return not types.is_float(op.results[0]) and not any(types.is_float(x) for x in operands)


# -- sums, products, maxima ------------------------------------------------------------------------


def plain_sum(
    c: Converter, op: Any, xs: Sequence[SSAValue], factors: Sequence[float] | None = None
) -> SSAValue:
    """``sum factor * x`` in the result's type."""
    weighted = factors is not None and any(f != 1 for f in factors)
    factors = factors or [1.0] * len(xs)
    top, kind = op.results[0], compute.EltwiseKindAttr(compute.EltwiseKind.SUM)
    if types.is_float(top) or any(types.is_float(x) for x in xs):
        return c.add(
            compute.EltwiseOp,
            [c.as_float(x) for x in xs],
            types.float_like(top),
            kind=kind,
            coefficients=DenseArrayBase.from_list(f32, list(factors)) if weighted else None,
        )
    scale = types.scale_of(top) or 1.0
    ratios = [f * (types.scale_of(x) or 1.0) / scale for f, x in zip(factors, xs, strict=True)]
    c.ratio(max(abs(r) for r in ratios))  # raises when one is too large
    shift = MAX_SUM_SHIFT
    while shift and max(abs(round(r * 2.0**shift)) for r in ratios) > 127:
        shift -= 1
    return c.add(
        compute.EltwiseOp,
        xs,
        types.tensor_type(top),
        kind=kind,
        multipliers=i64s([round(r * 2.0**shift) for r in ratios]),
        shift=int_attr(shift),
    )


def product_shift(a_unsigned: bool, b_unsigned: bool) -> int:
    """The right shift with which every product of two 8-bit numbers fits 8 bits, unsigned when
    both are."""
    bits = sum(8 if unsigned else 7 for unsigned in (a_unsigned, b_unsigned))
    return bits - (8 if a_unsigned and b_unsigned else 7)


def multiply(c: Converter, op: Any, xs: Sequence[SSAValue]) -> SSAValue:
    """The product of all xs, pair by pair; integers keep one power of two between the scales."""
    top, kind = op.results[0], compute.EltwiseKindAttr(compute.EltwiseKind.PRODUCT)
    if types.is_float(top) or any(types.is_float(x) for x in xs):
        result = types.float_like(top)
        return c.add(compute.EltwiseOp, [c.as_float(x) for x in xs], result, kind=kind)
    value = xs[0]
    for i, x in enumerate(xs[1:]):
        last = i == len(xs) - 2
        unsigned = types.is_unsigned(value) and types.is_unsigned(x)
        scale = (types.scale_of(value) or 1.0) * (types.scale_of(x) or 1.0)
        if last:
            unsigned = types.is_unsigned(top)
            ratio = (types.scale_of(top) or 1.0) / scale
            shift = ceil(log2(ratio) - SAME_SCALE)  # upwards: nothing that fits the top is clipped
        else:
            shift = product_shift(types.is_unsigned(value), types.is_unsigned(x))
        shift = min(max(shift, 0), 31)
        result = types.int_tensor(types.shape_of(top), scale * 2.0**shift, unsigned)
        exact = types.scale_of(top) or 1.0
        if last and abs(scale * 2.0**shift / exact - 1) < SAME_SCALE:
            result = types.tensor_type(top)
        step = "" if result == top.type else f"product{i}"
        value = c.add(compute.EltwiseOp, [value, x], result, step, kind=kind, shift=int_attr(shift))
    return value


def maximum(
    c: Converter,
    op: Any,
    xs: Sequence[SSAValue],
    kind: compute.EltwiseKind = compute.EltwiseKind.MAX,
) -> SSAValue:
    """The largest (with MIN the least) of xs, all brought to the type of the layer's result."""
    required = types.tensor_type(op.results[0])
    if any(types.is_float(x) for x in xs):
        required = types.float_like(op.results[0])
    fitted = [c.fit(x, required, f"operand{i}") for i, x in enumerate(xs)]
    return c.add(compute.EltwiseOp, fitted, required, kind=compute.EltwiseKindAttr(kind))


def _eltwise(c: Converter, op: ufw.EltwiseOp) -> None:
    xs = [c.value(x) for x in op.bottoms]
    match op.operation.data:
        case "sum":
            factors = None
            if op.coefficients is not None:
                factors = [float(v) for v in op.coefficients.iter_values()]
            value = plain_sum(c, op, xs, factors)
        case "product" if len(xs) > 1:
            value = multiply(c, op, xs)
        case "min":
            value = maximum(c, op, xs, compute.EltwiseKind.MIN)
        case _:
            value = maximum(c, op, xs)
    c.finish(op, value)


# -- activations -----------------------------------------------------------------------------------


def _clips(op: ufw.ReLUOp) -> bool:
    """Whether the result's 8 bits reach beyond the layer's upper limit."""
    if op.upper is None:
        return False
    full_scale = 255 if types.is_unsigned(op.top) else 127
    largest = full_scale * (types.scale_of(op.top) or 1.0)
    return largest > op.upper.value.data * (1 + SAME_SCALE)


def _relu(c: Converter, op: ufw.ReLUOp) -> None:
    x, slope = c.value(op.bottom), op.negative_slope.value.data
    if is_integer(c, op) and _clips(op):
        upper = op.upper.value.data if op.upper is not None else np.inf
        _tabled(c, op, lambda x: np.clip(x, 0, upper))
    elif not types.is_float(x) and types.is_unsigned(x):
        _pass_on(c, op, x)
    elif types.is_float(x) or types.is_float(op.top):
        x = c.as_float(x)
        result = types.float_like(op.top)
        slopes = ConstantAttr.of(np.array([slope], np.float32))
        c.finish(op, c.add(compute.PReluOp, [x], result, slope=slopes, upper=op.upper))
    elif slope == 0:
        scale = types.scale_of(op.top) or 1.0
        multiplier, shift = c.ratio((types.scale_of(x) or 1.0) / scale)
        result = types.int_tensor(types.shape_of(x), scale, unsigned=True)
        settings = {"multiplier": int_attr(multiplier), "shift": int_attr(shift)}
        c.finish(op, c.add(compute.RequantizeOp, [x], result, **settings))
    else:
        ratio = (types.scale_of(x) or 1.0) / (types.scale_of(op.top) or 1.0)
        multiplier, shift = c.ratio(abs(slope) * ratio)
        signed = multiplier if slope > 0 else -multiplier
        _integer_prelu(c, op, x, ConstantAttr.of(np.array([signed], np.int8)), shift)


def _pass_on(c: Converter, op: Any, value: SSAValue) -> None:
    """A layer that changes nothing: its result is its operand, under the layer's name."""
    if op.operands[0].has_one_use():
        c.rename(value)
    c.finish(op, value)


def _prelu(c: Converter, op: ufw.PReLUOp) -> None:
    x = c.value(op.bottom)
    if op.right_shift is None:
        x = c.as_float(x)
        result = types.float_like(op.top)
        c.finish(op, c.add(compute.PReluOp, [x], result, slope=op.slope))
        return
    x = c.as_integer(x)
    if types.is_unsigned(x):
        _pass_on(c, op, x)
        return
    _integer_prelu(c, op, x, op.slope, op.right_shift.value.data)


def _integer_prelu(
    c: Converter, op: ufw.ReLUOp | ufw.PReLUOp, x: SSAValue, slope: ConstantAttr, shift: int
) -> None:
    """``slope`` and ``shift`` lead from the operand's scale to the result's; that of a float
    result is the operand's."""
    scale = types.scale_of(x if types.is_float(op.top) else op.top) or 1.0
    multiplier, multiplier_shift = c.ratio((types.scale_of(x) or 1.0) / scale)
    settings = {
        "shift": int_attr(shift),
        "multiplier": int_attr(multiplier),
        "multiplier_shift": int_attr(multiplier_shift),
    }
    result = types.tensor_type(x)
    if (multiplier, multiplier_shift) != (1, 0):
        result = types.int_tensor(types.shape_of(x), scale, types.is_unsigned(x))
    c.finish(op, c.add(compute.PReluOp, [x], result, slope=slope, **settings))


def _tabled(c: Converter, op: Any, function: Callable[[Array], Array]) -> None:
    """The function of every 8-bit value as a table."""
    x, top = c.value(op.bottom), op.results[0]
    index = np.arange(256).astype(np.uint8).view(types.dtype_of(x)).astype(np.float64)
    with np.errstate(all="ignore"):
        real = function(index * (types.scale_of(x) or 1.0)).astype(np.float32)
    table = quantize(real, types.scale_of(top) or 1.0, types.dtype_of(top)).view(np.uint8)
    kind, found = types.tensor_type(top), _as_product(index, table.view(types.dtype_of(top)))
    if found is not None:
        settings = {"multiplier": int_attr(found[0]), "shift": int_attr(found[1])}
        c.finish(op, c.add(compute.RequantizeOp, [x], kind, **settings))
        return
    c.finish(op, c.add(compute.LookupOp, [x], kind, table=ConstantAttr.of(table)))


def _as_product(x: Array, y: Array) -> tuple[int, int] | None:
    """The multiplier and the shift that make all y of x as the table does, in fewer cycles; None
    where there are none. The largest ones decide on the ratio, but for a step of rounding."""
    at = int(np.abs(y.astype(np.int64)).argmax())
    ratio = float(y[at]) / float(x[at]) if x[at] else 0.0
    if not 0 < ratio <= LARGEST_RATIO:
        return None
    nearest, shift = fixed_point(ratio)
    for multiplier in (nearest, nearest - 1, nearest + 1):
        product = rounding_shift(x.astype(np.int64) * multiplier, shift)
        if 0 < multiplier <= LARGEST_RATIO and (saturate(product, y.dtype.type) == y).all():
            return multiplier, shift
    return None


def _pointwise(c: Converter, op: ufw.PointwiseOp) -> None:
    """A table on 8-bit data, else computed in float."""
    if is_integer(c, op):
        _tabled(c, op, lambda x: op.row.of(x, op.settings))
        return
    x = c.as_float(c.value(op.bottom))
    settings = {"function": op.function, "parameters": op.parameters}
    result = types.float_like(op.top)
    c.finish(op, c.add(compute.PointwiseFunctionOp, [x], result, **settings))


def _softmax(c: Converter, op: ufw.SoftmaxOp) -> None:
    x = c.as_float(c.value(op.bottom))
    result = types.float_like(op.top)
    c.finish(op, c.add(compute.SoftmaxOp, [x], result, axis=int_attr(op.axis.value.data)))


def _pooling(c: Converter, op: ufw.PoolingOp) -> None:
    x = c.value(op.bottom)
    pad = four_pads(ints(op.pad))
    kind = compute.MaxPoolOp if op.kind.data == "max" else compute.AveragePoolOp
    n, channels, *sizes = types.shape_of(op.top)
    # A kernel larger than the padded map has one window, which is clipped to it.
    height, width = types.shape_of(x)[2:]
    extents = [height + sum(pad[:2]), width + sum(pad[2:])]
    kernel = [min(k, extent) for k, extent in zip(ints(op.kernel), extents, strict=True)]
    apart = zip(ints(op.stride), kernel, extents, strict=True)
    stride, steps = cut_stride([s if k < extent else 1 for s, k, extent in apart])
    averages = kind is compute.AveragePoolOp and is_integer(c, op)
    own = averages and types.dtype_of(x) == types.dtype_of(op.top)
    own = own and types.scale_ratio(x, op.top) <= LARGEST_FACTOR
    excludes = op.exclude_pad.value.data and kind is compute.AveragePoolOp and any(pad)
    excluded = {"exclude_pad": op.exclude_pad} if excludes else {}
    dense = [(size - 1) * step + 1 for size, step in zip(sizes, steps, strict=True)]
    value = c.add(
        kind,
        [x],
        types.like(op.top if own else x, (n, channels, *dense)),
        "" if steps == (1, 1) else "dense",
        kernel=i64s(kernel),
        stride=i64s(stride),
        pad=i64s(pad),
        ceil_mode=op.ceil_mode,
        **excluded,
    )
    c.finish(op, subsampled(c, value, steps))


def _dropout(c: Converter, op: ufw.DropoutOp) -> None:
    _pass_on(c, op, c.value(op.bottom))


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.EltwiseOp: _eltwise,
    ufw.ReLUOp: _relu,
    ufw.PReLUOp: _prelu,
    ufw.PointwiseOp: _pointwise,
    ufw.SoftmaxOp: _softmax,
    ufw.PoolingOp: _pooling,
    ufw.DropoutOp: _dropout,
}
