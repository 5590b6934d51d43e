"""Layers that cut, pad, repeat, resize and rearrange."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from xdsl.dialects.builtin import FloatAttr, StringAttr, f32
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.rewriter import Rewriter

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import PEAK_BYTES
from dialects.bm1684.cycles.tiu import float_conv_step, int8_conv_step
from dialects.bm1684.layout import lane_rows
from dialects.constant import Array, ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.arithmetic import quantize
from dialects.quant.base import i64s, int_attr, ints
from dialects.quant.movement.pixels import WEIGHT_SHIFT
from dialects.quant.windows import ROWS
from dialects.ufw import ops as ufw
from dialects.ufw.shapes import four_pads
from passes.channels.shuffles import channel_order
from passes.layers.converter import Converter
from passes.layers.wide_window import tap_places


def taken(
    c: Converter, x: SSAValue, axis: int, indices: Array, step: str, fill: float = 0.0
) -> SSAValue:
    """The elements of x at ``indices`` along an axis; ``fill``, in x's numbers, where one is -1."""
    shape = list(types.shape_of(x))
    if np.array_equal(indices, np.arange(shape[axis])) and not c.dynamic:
        return x
    shape[axis] = len(indices)
    settings: dict[str, Any] = {"axis": int_attr(axis)}
    run = indices[0] + np.arange(len(indices))
    if axis <= ROWS and indices[0] >= 0 and np.array_equal(indices, run):
        settings["begin"] = int_attr(int(indices[0]))
        return c.add(movement.SliceOp, [x], types.like(x, shape), step, **settings)
    settings["indices"] = ConstantAttr.of(np.asarray(indices, np.int32))
    settings["fill"] = FloatAttr(fill, f32)
    return c.add(movement.TakeOp, [x], types.like(x, shape), step, **settings)


def taken_along(
    c: Converter, x: SSAValue, lists: Sequence[Array], fill: float = 0.0, step: str = ""
) -> SSAValue:
    """The elements at a list of indices an axis. Axes that become shorter are first; in a dynamic
    network the order is fixed, and axes that stay are not left out, as they may not at other
    shapes. Without a ``step`` it is the layer's result."""
    shape = types.shape_of(x)
    todo = list(range(len(shape)))
    if not c.dynamic:
        order = sorted(todo, key=lambda axis: len(lists[axis]) / shape[axis])
        todo = [a for a in order if not np.array_equal(lists[a], np.arange(shape[a]))]
    for axis in todo:
        last = axis == todo[-1] and not step
        x = taken(c, x, axis, lists[axis], "" if last else f"{step or 'axis'}{axis}", fill)
    return x


def _strided_slice(c: Converter, op: ufw.StridedSliceOp) -> None:
    x = c.value(op.bottoms[0])
    lists = [op.indices(axis) for axis in range(len(types.shape_of(x)))]
    y = taken_along(c, x, lists, step="axis" if len(op.shrink) else "")
    c.finish(op, c.reshape(y, types.shape_of(op.top)))


def _pad(c: Converter, op: ufw.PadOp) -> None:
    x, fill = c.value(op.bottom), op.value.value.data
    lists = [op.indices(axis) for axis in range(len(types.shape_of(x)))]
    if fill and op.mode.data == ufw.PadMode.CONSTANT and not types.is_float(x):
        x = c.fit(x, types.tensor_type(op.top), "operand")
    if types.is_float(x):
        y = taken_along(c, x, lists, fill)
        if y is not x and types.scale_of(y) != types.scale_of(op.top):  # for its readers
            y = Rewriter.replace_value_with_new_type(y, types.float_like(op.top))
        c.finish(op, y)
        return
    numbers = quantize(np.array([fill]), types.scale_of(x) or 1.0, types.dtype_of(x))
    c.finish(op, taken_along(c, x, lists, float(numbers[0])))


def _tile(c: Converter, op: ufw.TileOp) -> None:
    x, axis = c.value(op.bottom), op.axis.value.data
    indices = np.tile(np.arange(types.shape_of(x)[axis]), op.tiles.value.data)
    c.finish(op, taken(c, x, axis, indices, ""))


# -- resizing --------------------------------------------------------------------------------------


def _resize(c: Converter, op: ufw.ResizeOp) -> None:
    """Width, then height, each as the function of one axis that it is."""
    x = c.value(op.bottom)
    for axis, step in ((3, "width"), (ROWS, "")):
        indices, weights = op.taps(axis)
        if not types.is_float(x):
            weights = np.rint(weights * np.float32(1 << WEIGHT_SHIFT)).astype(np.int32)
            carried = weights == 1 << WEIGHT_SHIFT
            indices = indices + carried.astype(np.int32)
            weights = np.where(carried, 0, weights).astype(np.int8)
        if not weights.any() and not (c.dynamic and op.mode.data == ufw.ResizeMode.LINEAR):
            x = taken(c, x, axis, indices, step)
            continue
        shape = list(types.shape_of(x))
        shape[axis] = len(indices)
        settings: dict[str, Attribute] = {
            "axis": int_attr(axis),
            "indices": ConstantAttr.of(indices),
            "weights": ConstantAttr.of(weights),
        }
        if c.dynamic and op.crop is None:
            settings["positions"] = StringAttr(op.positions.data.value)
        x = c.add(movement.InterpolateOp, [x], types.like(x, shape), step, **settings)
    c.finish(op, x)


# -- rearranging -----------------------------------------------------------------------------------


def _rearrange(c: Converter, op: ufw.RearrangeOp) -> None:
    x, split, order = c.value(op.bottom), ints(op.split), ints(op.order)
    y = types.shape_of(op.top)
    channels = channel_order(types.shape_of(x), split, order, y)
    if channels is not None and (
        len(channels) <= BM1684.limits.channels if c.dynamic else _product_is_quicker(x)
    ):
        c.finish(op, _permuted(c, x, channels))
        return
    pixels = _interleaved(c, x, split, order, y)
    if pixels is not None:
        c.finish(op, pixels)
        return
    x = c.reshape(x, split, "split")
    moved = types.like(x, [split[axis] for axis in order])
    same = types.shape_of(moved) == y
    x = c.add(movement.TransposeOp, [x], moved, "" if same else "moved", order=i64s(order))
    c.finish(op, c.reshape(x, y))


def _product_is_quicker(x: SSAValue) -> bool:
    """Whether the channels' order costs less as a product with a matrix than as a copy in DDR."""
    n, channels, *maps = types.shape_of(x)
    if channels > BM1684.limits.channels:
        return False
    is_float = types.is_float(x)
    words = n if is_float else -(-n // BM1684.int8_images_per_word)
    step = (float_conv_step if is_float else int8_conv_step)(1, channels, 1, False)
    blocks = words * lane_rows(channels) * -(-prod(maps) // 16)
    weights = channels**2 * (4 if is_float else 1) / PEAK_BYTES
    return bool(max(blocks * step, weights) < 2 * 4 * words * channels * prod(maps) / PEAK_BYTES)


def _permuted(c: Converter, x: SSAValue, channels: Array) -> SSAValue:
    """A 1x1 convolution whose weights are a 1 for each channel: exact, and within local memory."""
    count = len(channels)
    weight = np.zeros((count, count, 1, 1), np.float32 if types.is_float(x) else np.int8)
    weight[np.arange(count), channels] = 1
    return c.add(compute.ConvOp, [x], types.tensor_type(x), weight=ConstantAttr.of(weight))


def _interleaved(
    c: Converter, x: SSAValue, split: Sequence[int], order: Sequence[int], y: Sequence[int]
) -> SSAValue | None:
    """Depth to space with the phases one after the other, each of whole rows of lanes: an
    interleaving; None for anything else."""
    n, channels, height, width = (*types.shape_of(x), 0, 0, 0)[:4]
    if len(split) != 6 or tuple(order) != (0, 3, 4, 1, 5, 2) or len(y) != 4:
        return None
    if tuple(split) != (n, *split[1:3], y[1], height, width) or split[3] % BM1684.lanes:
        return None
    if tuple(y[2:]) != (height * split[1], width * split[2]) or channels != prod(split[1:4]):
        return None
    return c.add(movement.InterleaveOp, [x], types.like(x, y), "", step=i64s(split[1:3]))


def _im2col(c: Converter, op: ufw.Im2colOp) -> None:
    """Each element of the kernel at all windows, side by side."""
    x, y = c.value(op.bottom), types.shape_of(op.top)
    n, channels, *maps = types.shape_of(x)
    kernel, stride, dilation = (ints(each) for each in (op.kernel, op.stride, op.dilation))
    pads = four_pads(ints(op.pad))
    places = [
        [
            tap_places(maps[i], k, stride[i], dilation[i], pads[2 * i], y[2 + i])
            for k in range(kernel[i])
        ]
        for i in (0, 1)
    ]
    parts: list[SSAValue] = []
    for i, rows in enumerate(places[0]):
        for j, columns in enumerate(places[1]):
            lists = [np.arange(n), np.arange(channels), rows, columns]
            part = taken_along(c, x, lists, step=f"tap{i}_{j}_")
            parts.append(c.reshape(part, (n, channels, 1, prod(y[2:])), f"tap{i}_{j}"))
    joined = types.like(x, (n, channels, len(parts), prod(y[2:])))
    whole = c.add(movement.ConcatOp, parts, joined, "taps", axis=int_attr(ROWS))
    c.finish(op, c.reshape(whole, y))


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.StridedSliceOp: _strided_slice,
    ufw.PadOp: _pad,
    ufw.TileOp: _tile,
    ufw.ResizeOp: _resize,
    ufw.RearrangeOp: _rearrange,
    ufw.Im2colOp: _im2col,
}
