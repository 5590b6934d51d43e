"""Convolution and pooling of N x C x L and N x C x T x H x W tensors, as those of N x C x H x W."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from xdsl.ir import Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.constant import ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.base import i64s, int_attr
from dialects.quant.windows import window_size
from dialects.ufw.pooling import PoolingKind
from dialects.ufw.shapes import sides
from dialects.ufw.spp import SPPOp
from dialects.ufw.volume import ConvolutionNdOp, PoolingNdOp, volume
from passes.layers.converter import Converter
from passes.layers.dilated import Window, stays_wide, sum_of_taps
from passes.layers.weighted import operand_of, result_type, shift_of
from passes.layers.wide_window import cut_dilation, cut_stride, subsampled

NOWHERE = -1
"""In the rows that are taken: a row of zeros."""


def _convolution(c: Converter, op: ConvolutionNdOp) -> None:
    """All frames in one tall image, [N, C, T H, W], and one 2-d convolution over it.

    For each step of the kernel along the time, the rows of the frames that it meets are taken,
    with rows of zeros between frames for the padding; these images are the channels of one. What
    windows over two frames give is left out behind.
    """
    x = operand_of(c, op)
    batch, channels, frames, height, width = volume(types.shape_of(x))
    (st, *stride), (pt, ph, pw), (dt, *dilation) = op.window
    outputs, inner, taps, kh, kw = op.kernels.shape
    out_frames, rows = volume(types.shape_of(op.top))[2:4]
    x = c.reshape(x, (batch, channels, frames * height, width), "frames")
    block = _block(height, ph, kh, stride[0])
    step = block // stride[0]
    images: list[SSAValue] = []
    for tap in range(taps):
        which = np.arange(out_frames) * st + tap * dt - pt
        images.append(_rows_of_frames(c, x, which, frames, height, block, ph, f"time{tap}"))
    groups = op.groups
    if taps > 1:
        parts = [_group(c, image, groups, g) for g in range(groups) for image in images]
        shape = types.shape_of(images[0])
        joined = types.like(x, (batch, channels * taps, *shape[2:]))
        x = c.add(movement.ConcatOp, parts, joined, "times", axis=int_attr(1))
    else:
        x = images[0]
    # The channels of a group are [time, channel].
    flat = op.kernels.transpose(0, 2, 1, 3, 4).reshape(outputs, taps * inner, kh, kw)
    window = Window(
        ConstantAttr.of(np.ascontiguousarray(flat)), op.bias, (stride[0], stride[1]),
        (0, 0, pw, pw), (dilation[0], dilation[1]), groups, shift_of(op),
    )  # fmt: skip
    value = _tall(c, op, x, window)
    kept = (np.arange(out_frames)[:, None] * step + np.arange(rows)).ravel()
    value = _taken(c, value, kept, "rows")
    c.finish(op, c.reshape(value, types.shape_of(op.top)))


def _tall(c: Converter, op: ConvolutionNdOp, x: SSAValue, window: Window) -> SSAValue:
    """The convolution over the image of all frames."""
    weight, dilation = window.weight, window.dilation
    if window.is_beyond_the_field():
        if types.is_float(x) and not c.dynamic:
            kind = result_type(c, op, _window_shape(x, window))
            return sum_of_taps(c, x, window, kind, "convolved")
        if c.dynamic or not stays_wide(window):
            weight, dilation = cut_dilation(weight, dilation)
    stride, steps = cut_stride(window.stride)
    cut = replace(window, weight=weight, stride=stride, dilation=dilation)
    value = c.add(
        compute.ConvOp,
        [x],
        result_type(c, op, _window_shape(x, cut)),
        "convolved",
        weight=weight,
        bias=window.bias,
        stride=i64s(stride),
        pad=i64s(window.pad),
        dilation=i64s(dilation),
        group=int_attr(window.group),
        shift=window.shift,
    )
    return subsampled(c, value, steps, "subsampled")


def _window_shape(x: SSAValue, window: Window) -> tuple[int, ...]:
    batch, _, *sizes = types.shape_of(x)
    maps = (
        window_size(size, k, s, sum(window.pad[2 * i : 2 * i + 2]), d)
        for i, (size, k, s, d) in enumerate(
            zip(sizes, window.kernel, window.stride, window.dilation, strict=True)
        )
    )
    return (batch, window.weight.shape[0], *maps)


def _block(height: int, pad: int, kernel: int, stride: int) -> int:
    """Rows from one frame to the next: with its padding, and a multiple of the stride."""
    if kernel == 1 and not pad and height % stride == 0:
        return height
    return -(-(height + 2 * pad) // stride) * stride


def _rows_of_frames(
    c: Converter, x: SSAValue, which: Any, frames: int, height: int, block: int, pad: int, step: str
) -> SSAValue:
    """The rows of some frames, ``block`` a frame, ``pad`` rows of zeros above each; a frame that
    does not exist is zeros."""
    rows = np.full((len(which), block), NOWHERE)
    inside = (which >= 0) & (which < frames)
    rows[inside, pad : pad + height] = which[inside, None] * height + np.arange(height)
    return _taken(c, x, rows.ravel(), step)


def _taken(c: Converter, x: SSAValue, rows: Any, step: str) -> SSAValue:
    """Some rows of an image; the image itself where these are all in order."""
    shape = types.shape_of(x)
    if np.array_equal(rows, np.arange(shape[2])):
        return x
    result = types.like(x, (*shape[:2], len(rows), shape[3]))
    indices = ConstantAttr.of(rows.astype(np.int32))
    return c.add(movement.TakeOp, [x], result, step, axis=int_attr(2), indices=indices)


def _group(c: Converter, x: SSAValue, groups: int, group: int) -> SSAValue:
    """The channels of one group."""
    if groups == 1:
        return x
    batch, channels, *sizes = types.shape_of(x)
    count = channels // groups
    result = types.like(x, (batch, count, *sizes))
    settings = {"axis": int_attr(1), "begin": int_attr(group * count)}
    return c.add(movement.SliceOp, [x], result, "group", **settings)


def _pooled(
    c: Converter,
    x: SSAValue,
    shape: Sequence[int],
    kind: PoolingKind,
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    step: str,
) -> SSAValue:
    """A 2-d pooling in the scale of its operand. Along an axis whose stride no command takes, each
    window is a pooling of its own."""
    stride = [1 if count == 1 else s for count, s in zip(shape[2:], stride, strict=True)]
    for axis in (0, 1):
        if cut_stride(stride)[0][axis] > BM1684.limits.stride:
            return _window_by_window(c, x, shape, kind, kernel, stride, pad, step, axis)
    sizes = zip(kernel, types.shape_of(x)[2:], sides(pad), strict=True)
    clipped = [min(k, size + sum(both)) for k, size, both in sizes]  # of a single window
    stride, steps = cut_stride(stride)
    dense = [(size - 1) * s + 1 for size, s in zip(shape[2:], steps, strict=True)]
    value = c.add(
        compute.MaxPoolOp if kind is PoolingKind.MAX else compute.AveragePoolOp,
        [x],
        types.like(x, (*shape[:2], *dense)),
        step,
        kernel=i64s(clipped),
        stride=i64s(stride),
        pad=i64s(pad),
    )
    return subsampled(c, value, steps, "subsampled")


def _window_by_window(
    c: Converter,
    x: SSAValue,
    shape: Sequence[int],
    kind: PoolingKind,
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    step: str,
    axis: int,
) -> SSAValue:
    """The parts of the map under each window along H (axis 0) or W, pooled and joined."""
    size, (before, after) = types.shape_of(x)[2 + axis], sides(pad)[axis]
    windows: list[SSAValue] = []
    for i in range(shape[2 + axis]):
        begin = i * stride[axis] - before
        end = min(begin + kernel[axis], size + after)
        first, last = max(begin, 0), min(end, size)
        part = [*types.shape_of(x)]
        part[2 + axis] = last - first
        settings = {"axis": int_attr(2 + axis), "begin": int_attr(first)}
        value = c.add(movement.SliceOp, [x], types.like(x, part), f"{step}/part{i}", **settings)
        own = list(pad)
        own[2 * axis : 2 * axis + 2] = (first - begin, end - last)
        one, extent = list(shape), list(kernel)
        one[2 + axis], extent[axis] = 1, end - begin
        windows.append(_pooled(c, value, one, kind, extent, stride, own, f"{step}/window{i}"))
    whole = types.like(x, shape)
    return c.add(movement.ConcatOp, windows, whole, step, axis=int_attr(2 + axis))


def _pooling(c: Converter, op: PoolingNdOp) -> None:
    """Along the time on [N, C, T, H W], then each frame on [N, C T, H, W]."""
    x, top = c.value(op.bottom), types.shape_of(op.top)
    shape, sizes = volume(types.shape_of(x)), volume(top)[3:]
    (kt, st, pt), (kh, sh, ph), (kw, sw, pw) = (op.of_axis(axis) for axis in range(3))
    times = op.in_time(shape)
    if (kt, st, pt) != (1, 1, 0):
        x = c.reshape(x, (*shape[:3], shape[3] * shape[4]), "frames")
        x = _pooled(c, x, times, op.kind.data, (kt, 1), (st, 1), (pt, pt, 0, 0), "time")
    x = c.reshape(x, (shape[0], shape[1] * times[2], *shape[3:]), "images")
    flat = (shape[0], shape[1] * times[2], *sizes)
    if ((kh, kw), (sh, sw), (ph, pw)) != ((1, 1), (1, 1), (0, 0)):
        x = _pooled(c, x, flat, op.kind.data, (kh, kw), (sh, sw), (ph, ph, pw, pw), "space")
    c.finish(op, c.reshape(x, top))


def _spp(c: Converter, op: SPPOp) -> None:
    """The levels, each as one row of numbers, joined."""
    x, (batch, count) = c.value(op.bottom), types.shape_of(op.top)
    channels = types.shape_of(x)[1]
    rows: list[SSAValue] = []
    alone = op.levels.value.data == 1
    for i, (bins, kernel, (ph, pw)) in enumerate(op.windows()):
        shape, pad = (batch, channels, bins, bins), (ph, ph, pw, pw)
        level = _pooled(c, x, shape, op.kind.data, kernel, kernel, pad, f"level{i}")
        row = (batch, channels * bins * bins)
        rows.append(c.reshape(level, row, "" if alone else f"row{i}"))
    whole, axis = types.like(x, (batch, count)), int_attr(1)
    c.finish(op, rows[0] if alone else c.add(movement.ConcatOp, rows, whole, axis=axis))


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ConvolutionNdOp: _convolution,
    PoolingNdOp: _pooling,
    SPPOp: _spp,
}
