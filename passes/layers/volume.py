"""Convolution and pooling along one or three dimensions, by those of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue

from dialects.constant import Array, ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.base import i64s, int_attr
from dialects.quant.windows import window_size
from dialects.ufw import ops as ufw
from passes.layers.converter import Converter
from passes.layers.wide_window import cut_dilation, cut_stride, subsampled

Window = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Stride, pad and dilation of height and width."""


def _part(c: Converter, x: SSAValue, axis: int, begin: int, count: int, step: str) -> SSAValue:
    """Some elements along an axis; the value itself where these are all."""
    shape = list(types.shape_of(x))
    if shape[axis] == count:
        return x
    shape[axis] = count
    settings = {"axis": int_attr(axis), "begin": int_attr(begin)}
    return c.add(movement.SliceOp, [x], types.like(x, shape), step, **settings)


def _joined(c: Converter, parts: Sequence[SSAValue], step: str) -> SSAValue:
    """Values one behind the other along the channels."""
    if len(parts) == 1:
        return parts[0]
    n, _, *rest = types.shape_of(parts[0])
    channels = sum(types.shape_of(each)[1] for each in parts)
    kind = types.like(parts[0], (n, channels, *rest))
    return c.add(movement.ConcatOp, parts, kind, step, axis=int_attr(1))


def _image_convolution(
    c: Converter,
    op: ufw.ConvolutionNdOp,
    x: SSAValue,
    weight: Array,
    window: Window,
    step: str,
) -> SSAValue:
    """A 2-d convolution with some of the layer's weights, in the type of its result."""
    stride, steps = cut_stride(window[0])
    kernel, dilation = cut_dilation(ConstantAttr.of(np.ascontiguousarray(weight)), window[2])
    n, _, *sizes = types.shape_of(x)
    pad = window[1]
    made = [
        window_size(size, kernel.shape[2 + i], stride[i], pad[2 * i] + pad[2 * i + 1], dilation[i])
        for i, size in enumerate(sizes)
    ]
    shape = (n, len(weight), *made)
    result: TensorType[Any] = types.float_like(op.top, shape)
    if op.right_shift is not None:
        result = types.like(op.top, shape)
    y = c.add(
        compute.ConvOp,
        [x],
        result,
        step,
        weight=kernel,
        bias=op.bias,
        stride=i64s(stride),
        pad=i64s(pad),
        dilation=i64s(dilation),
        group=op.group,
        shift=None if op.right_shift is None else int_attr(op.right_shift.value.data),
    )
    return subsampled(c, y, steps)


def lower_convolution(c: Converter, op: ufw.ConvolutionNdOp) -> None:
    """One dimension: an image of one row. Three: an image a time, whose channels are those of the
    times that the window covers, so that there is one sum, and one rounding."""
    bottom = c.value(op.bottom)
    x = c.as_float(bottom) if op.right_shift is None else c.as_integer(bottom)
    if op.right_shift is not None and types.is_float(op.top):
        raise c.error("the layer has integer weights but its result has no scale")
    shape, final, weight = types.shape_of(x), types.shape_of(op.top), op.weight.array
    stride, pad, dilation = (a.get_values() for a in (op.stride, op.pad, op.dilation))
    if len(shape) == 3:
        x = c.reshape(x, (*shape[:2], 1, shape[2]), "row")
        window = ((1, *stride), (0, 0, *pad), (1, *dilation))
        y = _image_convolution(c, op, x, weight[:, :, None], window, "pixels")
        _finish(c, op, c.reshape(y, final))
        return
    n, channels, length = shape[:3]
    turned = types.like(x, (n, length, channels, *shape[3:]))
    x = c.add(movement.TransposeOp, [x], turned, "times", order=i64s([0, 2, 1, 3, 4]))
    x = c.reshape(x, (n, length * channels, *shape[3:]), "channels")
    window = (stride[1:], pad[2:], dilation[1:])
    images: list[SSAValue] = []
    for time in range(final[2]):
        first = time * stride[0] - pad[0]
        taps = range(weight.shape[2])
        inside = [tap for tap in taps if 0 <= first + tap * dilation[0] < length]
        if not inside:  # in the padding: any time, with weights 0
            inside, kept = [0], np.zeros_like(weight)
            first = 0
        else:
            kept = weight
        times = [first + tap * dilation[0] for tap in inside]
        image = _times(c, op, x, times, channels, f"time{time}")
        images.append(
            _image_convolution(
                c, op, image, _by_channels(kept[:, :, inside]), window, f"image{time}"
            )
        )
    y = _joined(c, images, "images")
    outputs = final[1]
    y = c.reshape(y, (n, final[2], outputs, *final[3:]), "result/times")
    back = types.like(y, final)
    _finish(c, op, c.add(movement.TransposeOp, [y], back, "", order=i64s([0, 2, 1, 3, 4])))


def _finish(c: Converter, op: Any, y: SSAValue) -> None:
    c.rename(y)
    c.finish(op, y)


def _by_channels(weight: Array) -> Array:
    """[O, I, kt, kh, kw] as [O, kt * I, kh, kw]."""
    outputs, inputs, times, *window = weight.shape
    return weight.transpose(0, 2, 1, 3, 4).reshape(outputs, times * inputs, *window)


def _times(
    c: Converter,
    op: ufw.ConvolutionNdOp,
    x: SSAValue,
    times: Sequence[int],
    channels: int,
    step: str,
) -> SSAValue:
    """The channels of some times, group by group."""
    groups, size = op.groups, channels // op.groups
    dense = list(range(times[0], times[0] + len(times))) == list(times)
    if groups == 1 and dense:
        return _part(c, x, 1, times[0] * channels, len(times) * channels, step)
    parts = [
        _part(c, x, 1, time * channels + group * size, size, f"{step}/part")
        for group in range(groups)
        for time in times
    ]
    return _joined(c, parts, step)


def lower_pooling(c: Converter, op: ufw.PoolingNdOp) -> None:
    """A pooling over height and width, then one over the time."""
    y, final = c.value(op.bottom), types.shape_of(op.top)
    kind = compute.MaxPoolOp if op.kind.data == "max" else compute.AveragePoolOp
    for index, (shape, kernel, stride, pad) in enumerate(op.planes):
        x = c.reshape(y, shape, f"planes{index}")
        rows, columns = op.counts(shape, kernel, stride, pad)
        cut, steps = cut_stride(stride)
        dense = [(n - 1) * step + 1 for n, step in zip((rows, columns), steps, strict=True)]
        padded = [size + pad[2 * i] + pad[2 * i + 1] for i, size in enumerate(shape[2:])]
        clipped = [min(k, size) for k, size in zip(kernel, padded, strict=True)]
        y = c.add(
            kind,
            [x],
            types.like(x, (*shape[:2], *dense)),
            f"pooled{index}",
            kernel=i64s(clipped),
            stride=i64s(cut),
            pad=i64s(pad),
        )
        y = subsampled(c, y, steps)
    _finish(c, op, c.reshape(y, final))


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.ConvolutionNdOp: lower_convolution,
    ufw.PoolingNdOp: lower_pooling,
}
