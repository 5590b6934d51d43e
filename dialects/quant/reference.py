"""The meaning of the quant ops in numpy: exact integers, or float32.

``evaluate(op, inputs)`` computes one op. Integer sums run in float64 matrix products, which are
exact here: every partial sum is an integer below 2^53.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from xdsl.ir import Operation

from dialects.quant import compute, movement, strips, types
from dialects.quant.arithmetic import mean_factor, quantize, rounding_shift, saturate
from dialects.quant.base import ints
from dialects.quant.winograd import winograd_sums

Array = NDArray[Any]


def padded(x: Array, pad: Sequence[int], fill: float) -> Array:
    """[N, C, H, W] with ``fill`` around its maps: rows above, below, columns left, right."""
    top, bottom, left, right = pad
    if not any(pad):
        return x
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)


def windows(
    x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Array:
    """A view [N, C, oh, ow, kh, kw] of all windows of [N, C, H, W]."""
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    view = sliding_window_view(x, extent, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def _products(x: Array, weight: Array, op: compute.ConvOp) -> Array:
    """sum x*w as an array [N, O, oh, ow] of x's dtype (float64 or float32)."""
    group, (_, per_group, kh, kw) = op.group.value.data, weight.shape
    view = windows(padded(x, ints(op.pad), 0), (kh, kw), ints(op.stride), ints(op.dilation))
    n, _, oh, ow = view.shape[:4]
    outputs = weight.shape[0] // group
    if per_group == 1:
        taps = view.reshape(n, group, 1, oh, ow, kh, kw)
        kernel = weight.reshape(group, outputs, kh, kw)
        parts = (
            taps[..., i, j] * kernel[None, :, :, i, j, None, None]
            for i in range(kh)
            for j in range(kw)
        )
        return reduce(np.add, parts).reshape(n, weight.shape[0], oh, ow)
    result = np.empty((n, group, outputs, oh * ow), x.dtype)
    for image in range(n):
        for g in range(group):
            part = view[image, g * per_group : (g + 1) * per_group].transpose(0, 3, 4, 1, 2)
            columns = part.reshape(per_group * kh * kw, oh * ow)
            rows = weight[g * outputs : (g + 1) * outputs].reshape(outputs, -1)
            np.matmul(rows, columns, out=result[image, g])
    return result.reshape(n, weight.shape[0], oh, ow)


def _sums(x: Array, weight: Array, op: compute.ConvOp) -> Array:
    if op.winograd.value.data:
        return winograd_sums(padded(x, ints(op.pad), 0), weight)
    return _products(x, weight, op)


def _conv(op: compute.ConvOp, x: Array) -> Array:
    bias = None if op.bias is None else op.bias.array[:, None, None]
    if types.is_float(op.x):
        y = _sums(x, op.weight.array, op)
        y = y if bias is None else y + bias
        return np.maximum(y, 0) if op.relu.value.data else y
    weight = op.weight.array
    largest = np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(axis=1).max()
    exact = largest * 255 <= 1 << 24 and not op.winograd.value.data
    kind = np.float32 if exact else np.float64
    total = _sums(x.astype(kind), weight.astype(kind), op)
    total = total.astype(np.int64) + (0 if bias is None else bias.astype(np.int64))
    return saturate(rounding_shift(total, op.shift.value.data), types.dtype_of(op.y))


def _pool_windows(op: compute.PoolOp, x: Array, fill: float) -> tuple[Array, Array]:
    """All windows of a pooling, clipped parts holding ``fill``, and the divisor of each window."""
    pad, kernel, stride = ints(op.pad), ints(op.kernel), ints(op.stride)
    shape, out = types.shape_of(op.x), types.shape_of(op.y)
    over = [0, 0]
    counts: list[Array] = []
    for axis in (0, 1):
        end = shape[2 + axis] + pad[2 * axis] + pad[2 * axis + 1]
        starts = np.arange(out[2 + axis]) * stride[axis]
        over[axis] = max(0, int(starts[-1]) + kernel[axis] - end)
        counts.append(np.minimum(starts + kernel[axis], end) - starts)
    grown = (pad[0], pad[1] + over[0], pad[2], pad[3] + over[1])
    view = windows(padded(x, grown, fill), kernel, stride, (1, 1))
    return view[:, :, : out[2], : out[3]], np.outer(counts[0], counts[1])


def _max_pool(op: compute.MaxPoolOp, x: Array) -> Array:
    lowest = float(np.finfo(np.float32).min) if types.is_float(op.x) else np.iinfo(x.dtype).min
    view, _ = _pool_windows(op, x, lowest)
    kh, kw = view.shape[4:]
    rows = reduce(np.maximum, (view[..., i, :] for i in range(kh)))
    return reduce(np.maximum, (rows[..., j] for j in range(kw)))


def _average_pool(op: compute.AveragePoolOp, x: Array) -> Array:
    work = x if types.is_float(op.x) else x.astype(np.int64)
    view, area = _pool_windows(op, work, 0)
    total = view.sum(axis=(4, 5))
    if types.is_float(op.x):
        return total / area.astype(np.float32)
    y = np.empty(total.shape, types.dtype_of(op.y))
    for value in np.unique(area):
        multiplier, shift = mean_factor(int(value), types.scale_ratio(op.x, op.y))
        where = (..., area == value)
        y[where] = saturate(rounding_shift(total[where] * multiplier, shift), types.dtype_of(op.y))
    return y


def _sum(op: compute.EltwiseOp, xs: Sequence[Array]) -> Array:
    assert op.multipliers is not None
    total = np.zeros(xs[0].shape, np.int64)
    for x, multiplier in zip(xs, ints(op.multipliers), strict=True):
        total = np.clip(total + x.astype(np.int64) * multiplier, -32768, 32767)
    return total


def _eltwise(op: compute.EltwiseOp, *xs: Array) -> Array:
    kind = op.kind.data
    if types.is_float(op.y):
        if kind == "sum":
            factors = [1.0] * len(xs)
            if op.coefficients is not None:
                factors = [float(c) for c in op.coefficients.iter_values()]
            y = reduce(np.add, (x * np.float32(c) for x, c in zip(xs, factors, strict=True)))
        else:
            y = reduce(np.multiply if kind == "product" else np.maximum, xs)
        return np.maximum(y, 0) if op.relu.value.data else y
    if kind == "max":
        return reduce(np.maximum, xs)
    total = _sum(op, xs) if kind == "sum" else xs[0].astype(np.int64) * xs[1].astype(np.int64)
    return saturate(rounding_shift(total, op.shift.value.data), types.dtype_of(op.y))


def _requantize(op: compute.RequantizeOp, x: Array) -> Array:
    product = x.astype(np.int64) * op.multiplier.value.data
    return saturate(rounding_shift(product, op.shift.value.data), types.dtype_of(op.y))


def _prelu(op: compute.PReluOp, x: Array) -> Array:
    slope = op.slope.array
    if slope.size > 1:
        slope = slope.reshape((1, -1) + (1,) * (x.ndim - 2))
    if op.upper is not None:
        return np.clip(x, np.float32(0), np.float32(op.upper.value.data))
    if types.is_float(op.x):
        return np.maximum(x, 0) + slope * np.minimum(x, 0)
    product = x.astype(np.int64) * slope.astype(np.int64)
    negative = saturate(rounding_shift(product, op.shift.value.data), types.dtype_of(op.y))
    product = x.astype(np.int64) * op.multiplier.value.data
    positive = rounding_shift(product, op.multiplier_shift.value.data)
    return np.where(x >= 0, saturate(positive, types.dtype_of(op.y)), negative)


def _lookup(op: compute.LookupOp, x: Array) -> Array:
    return np.take(op.table.array, x.view(np.uint8)).view(types.dtype_of(op.y))


def _quantize(op: compute.QuantizeOp, x: Array) -> Array:
    return quantize(x, types.scale_of(op.y) or 1.0, types.dtype_of(op.y))


def _dequantize(op: compute.DequantizeOp, x: Array) -> Array:
    return x.astype(np.float32) * np.float32(types.scale_of(op.x) or 1.0)


def _function(op: compute.PointwiseFunctionOp, x: Array) -> Array:
    return op.row.of(x, op.settings)


def _softmax(op: compute.SoftmaxOp, x: Array) -> Array:
    axis = op.axis.value.data
    power = np.exp(x - x.max(axis=axis, keepdims=True))
    return power / power.sum(axis=axis, keepdims=True)


def _reshape(op: movement.ReshapeOp, x: Array) -> Array:
    return x.reshape(types.shape_of(op.y))


def _transpose(op: movement.TransposeOp, x: Array) -> Array:
    return x.transpose(ints(op.order))


def _concat(op: movement.ConcatOp, *xs: Array) -> Array:
    return np.concatenate(xs, op.axis.value.data)


def _broadcast(op: movement.BroadcastOp, x: Array) -> Array:
    return np.broadcast_to(x, types.shape_of(op.y))


def _slice(op: movement.SliceOp, x: Array) -> Array:
    axis, begin = op.axis.value.data, op.begin.value.data
    index = slice(begin, begin + types.shape_of(op.y)[axis])
    return x[(slice(None),) * axis + (index,)]


def join_strips(x: Array, height: int) -> Array:
    """Strips [4, C, rows, W] as one image [1, C, height, W]."""
    image = x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1, x.shape[3])
    return np.ascontiguousarray(image[None, :, :height])


def _join_strips(op: strips.JoinStripsOp, x: Array) -> Array:
    return join_strips(x, types.shape_of(op.y)[2])


def split_strips(x: Array, rows: int) -> Array:
    """An image [1, C, H, W] as strips [4, C, rows, W], zeros below the image."""
    _, c, height, w = x.shape
    image = np.zeros((c, strips.STRIPS * rows, w), x.dtype)
    image[:, :height] = x[0]
    return np.ascontiguousarray(image.reshape(c, strips.STRIPS, rows, w).transpose(1, 0, 2, 3))


def _split_strips(op: strips.SplitStripsOp, x: Array) -> Array:
    return split_strips(x, types.shape_of(op.y)[2])


def _quantize_strips(op: strips.QuantizeStripsOp, x: Array) -> Array:
    whole = quantize(x, types.scale_of(op.y) or 1.0, types.dtype_of(op.y))
    return split_strips(whole, types.shape_of(op.y)[2])


def _exchange_halo(op: strips.ExchangeHaloOp, x: Array) -> Array:
    n, c, rows, w = x.shape
    top, bottom = op.above.value.data, op.below.value.data
    image = np.full((c, top + n * rows + bottom, w), op.fill.value.data, x.dtype)
    height = op.height.value.data
    image[:, top : top + height] = join_strips(x, height)[0]
    return np.stack([image[:, k * rows : (k + 1) * rows + top + bottom] for k in range(n)])


_TABLE: dict[type[Operation], Callable[..., Array]] = {
    compute.ConvOp: _conv,
    compute.MaxPoolOp: _max_pool,
    compute.AveragePoolOp: _average_pool,
    compute.EltwiseOp: _eltwise,
    compute.RequantizeOp: _requantize,
    compute.PReluOp: _prelu,
    compute.LookupOp: _lookup,
    compute.QuantizeOp: _quantize,
    compute.DequantizeOp: _dequantize,
    compute.PointwiseFunctionOp: _function,
    compute.SoftmaxOp: _softmax,
    movement.ReshapeOp: _reshape,
    movement.TransposeOp: _transpose,
    movement.ConcatOp: _concat,
    movement.SliceOp: _slice,
    movement.BroadcastOp: _broadcast,
    strips.SplitStripsOp: _split_strips,
    strips.JoinStripsOp: _join_strips,
    strips.ExchangeHaloOp: _exchange_halo,
    strips.QuantizeStripsOp: _quantize_strips,
}


def evaluate(op: Operation, inputs: Sequence[Array]) -> list[Array]:
    """The results of one quant op. Arrays have the dtype and shape of the op's types."""
    return [_TABLE[type(op)](op, *inputs)]
