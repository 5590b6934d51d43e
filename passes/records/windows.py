"""Layers that go over windows, as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute

from dialects.bm1684.record import movement, windows
from dialects.quant import types
from dialects.quant.arithmetic import mean_factor
from dialects.quant.base import ints
from dialects.quant.compute import AveragePoolOp, ConvOp, MaxPoolOp, PoolOp
from passes.layers.wide_window import divided, spread
from passes.records.recorder import NoRecord, Recorder, element_of, shapes_of, varies

Array = NDArray[Any]
Shape = tuple[int, ...]
EXACT_SIDE = 31
"""Windows of 8-bit numbers are exact up to here; the firmware's product of 8-bit numbers with a
matrix is not where that has many rows."""


def packed_weight(weight: Array, group: int) -> Array:
    """Weights [O, I, kh, kw] as the firmware's kernel reads them."""
    outputs, inputs, kh, kw = weight.shape
    flat = weight.reshape(outputs, inputs, kh * kw).transpose(0, 2, 1)
    if inputs == 1 and group == outputs > 1:
        return np.ascontiguousarray(flat)
    each = 2 if weight.dtype == np.float32 else 4
    wide = np.zeros((outputs, kh * kw, -(-inputs // each) * each), weight.dtype)
    wide[:, :, :inputs] = flat
    return wide


def conv(c: Recorder, ops: Sequence[ConvOp]) -> None:
    """A convolution, or the product with a matrix where the window is the whole map."""
    op = ops[0]
    if op.winograd.value.data:
        raise NoRecord("its Winograd form is for static networks")
    x, weight = c.value(op.x), op.weight.array
    bias = None if op.bias is None else op.bias.array
    side = max(weight.shape[2:])
    if _is_matrix(ops) and side > (1 if element_of(op.y) == f32 else EXACT_SIDE):
        c.values[op.y] = _matrix(c, ops, x, weight, bias)
        return
    c.values[op.y] = conv_record(
        c, x, weight, bias, element_of(op.y), stride=ints(op.stride), pad=ints(op.pad),
        dilation=ints(op.dilation), group=op.group.value.data, shift=op.shift.value.data,
        relu=bool(op.relu.value.data),
    )  # fmt: skip


def conv_record(
    c: Recorder, x: Any, weight: Array, bias: Array | None, element: Any, *,
    stride: Sequence[int] = (1, 1), pad: Sequence[int] = (0, 0, 0, 0),
    dilation: Sequence[int] = (1, 1), group: int = 1, shift: int = 0, relu: bool = False,
) -> Any:
    """A convolution; without a ``bias`` there is none. 8 bits: an unsigned result is a ReLU."""
    depthwise = group > 1 and weight.shape[1] == 1
    if depthwise and element_of(x) != f32 and max(dilation) > 1:
        weight, dilation = spread(weight, dilation), (1, 1)
    if max(dilation) > windows.LARGEST_PAD:
        (h, rows), (w, columns) = (divided(each, windows.LARGEST_PAD) for each in dilation)
        weight, dilation = spread(weight, (rows, columns)), (h, w)
    reach = [(k - 1) * d for k, d in zip(weight.shape[2:], dilation, strict=True)]
    alone = max(pad[:2]) > reach[0] or max(pad[2:]) > reach[1]
    below = pad[1] + stride[0] - 1 if pad[1] and element_of(x) == f32 and not depthwise else 0
    if max(*pad, below) > windows.LARGEST_PAD or alone:
        x, pad = padded(c, x, pad), (0, 0, 0, 0)
    outputs, inputs, kh, kw = weight.shape
    unsigned = element == types.ui8
    coefficients = {"weight": packed_weight(weight, group)}
    if bias is not None:
        coefficients["bias"] = bias
    integer: dict[str, Any] = {} if element == f32 else {
        "shift": shift, "input_sign": int(element_of(x) != types.ui8),
        "weight_sign": int(weight.dtype == np.int8), "bias_sign": 1,
        "output_sign": int(not unsigned),
    }  # fmt: skip
    return c.one(
        windows.ConvOp, [x], element, coefficients=coefficients,
        channels=windows.joined(inputs * group, outputs), groups=group,
        kernel=windows.joined(kh, kw), stride=tuple(stride), dilation=tuple(dilation),
        pad=tuple(pad), has_bias=int(bias is not None), relu=int(relu or unsigned), **integer,
    )  # fmt: skip


def _is_matrix(ops: Sequence[ConvOp]) -> bool:
    """Whether the window is the whole map in every sample."""
    return all(
        op.kernel == types.shape_of(op.x)[2:] and not any(ints(op.pad))
        and op.group.value.data == 1 and set(ints(op.dilation)) == {1}
        for op in ops
    )  # fmt: skip


def _matrix(
    c: Recorder, ops: Sequence[ConvOp], x: Any, weight: Array, bias: Array | None
) -> Any:
    op = ops[0]
    element = element_of(op.y)
    outputs = len(weight)
    matrix = np.ascontiguousarray(weight.reshape(outputs, -1).T)
    coefficients = {"weight": matrix} if bias is None else {"weight": matrix, "bias": bias}
    unsigned = element == types.ui8
    relu = bool(op.relu.value.data) or unsigned
    integer: dict[str, Any] = {} if element == f32 else {
        "shift": op.shift.value.data, "input_sign": int(element_of(x) != types.ui8),
        "weight_sign": 1, "bias_sign": 1, "scale": 1.0, "output_sign": int(not unsigned),
    }  # fmt: skip
    if types.shape_of(x)[1] == 1:
        x = c.reshaped(x, [(shape[0], matrix.shape[0]) for shape in c.shapes[x]])
    y = c.one(
        windows.MatrixOp, [x], element, coefficients=coefficients, inputs=matrix.shape[0],
        outputs=outputs, has_bias=int(bias is not None), has_activation=int(relu),
        activation=int(relu), **integer,
    )  # fmt: skip
    return c.reshaped(y, shapes_of(ops))


# -- pooling ---------------------------------------------------------------------------------------


def _end_pads(ops: Sequence[PoolOp]) -> tuple[int, int]:
    """The pads behind height and width with which windows counted by rounding down are those of
    the network at every size. Caffe rounds up, and has no window that begins behind the map."""
    op = ops[0]
    pad, kernel, stride = ints(op.pad), ints(op.kernel), ints(op.stride)
    down = (pad[1], pad[3])
    upward = [min(end + s - 1, k - 1) for end, k, s in zip(down, kernel, stride, strict=True)]
    up = (upward[0], upward[1])
    for ends in (up, down) if op.ceil_mode.value.data else (down, up):
        if all(_window_counts(each, ends) == types.shape_of(each.y)[2:] for each in ops):
            return ends
    raise NoRecord("no pads give its windows at every size")


def _window_counts(op: PoolOp, ends: tuple[int, int]) -> tuple[int, ...]:
    pad = ints(op.pad)
    sides = zip(types.shape_of(op.x)[2:], ints(op.kernel), ints(op.stride), (pad[0], pad[2]), ends,
                strict=True)  # fmt: skip
    return tuple(windows.grid(size, k, s, 1, (b, e)) for size, k, s, b, e in sides)


def is_whole(ops: Sequence[PoolOp]) -> bool:
    """Whether the window is the whole map, which has several sizes."""
    maps = [types.shape_of(op.x)[2:] for op in ops]
    whole = all(tuple(ints(op.kernel)) == size for op, size in zip(ops, maps, strict=True))
    return whole and varies(maps)


def has_one_divisor(op: PoolOp) -> bool:
    """Whether every window at every size holds as many numbers, padding counted."""
    excluded = isinstance(op, AveragePoolOp) and op.exclude_pad.value.data and any(ints(op.pad))
    whole = not op.ceil_mode.value.data or max(ints(op.stride)) == 1
    return whole and not excluded


LOWEST: dict[Attribute, float] = {
    f32: float(np.finfo(np.float32).min), types.si8: -128.0, types.ui8: 0.0,
}  # fmt: skip
"""What stands for no number in a maximum."""


def max_pool(c: Recorder, ops: Sequence[MaxPoolOp]) -> None:
    op = ops[0]
    x, element = c.value(op.x), element_of(op.y)
    window = _window(ops, x)
    if not _fits(ops, window):
        x = padded(c, x, window.pop("pad"), LOWEST[element])
    c.values[op.y] = c.one(windows.PoolOp, [x], element, **window)


def _window(ops: Sequence[PoolOp], x: Any) -> dict[str, Any]:
    op = ops[0]
    sign = int(element_of(x) != types.ui8)
    settings: dict[str, Any] = {
        "channels": types.shape_of(x)[1], "input_sign": sign, "output_sign": sign,
        "kernel": windows.joined(*ints(op.kernel)),
    }  # fmt: skip
    if is_whole(ops):
        return settings | {"is_global": 1}
    pad, (bottom, right) = ints(op.pad), _end_pads(ops)
    return settings | {"stride": tuple(ints(op.stride)), "pad": (pad[0], bottom, pad[2], right)}


def _fits(ops: Sequence[PoolOp], window: dict[str, Any]) -> bool:
    """Whether the firmware's kernel is right with the pads: they are small, and no window is larger
    than the map itself."""
    pad, maps = window.get("pad", (0,)), [types.shape_of(op.x)[2:] for op in ops]
    sides = [pair for each in maps for pair in zip(ints(ops[0].kernel), each, strict=True)]
    small = all(k <= size for k, size in sides)
    return max(pad) <= windows.LARGEST_PAD and ("pad" not in window or small)


def average_pool(c: Recorder, ops: Sequence[AveragePoolOp]) -> None:
    """The firmware's divisor is Caffe's where the pads are alike on both sides; else zeros are put
    around the map, and only what lies in it counts."""
    op = ops[0]
    x = c.value(op.x)
    if element_of(op.y) != f32:
        c.values[op.y] = _integer_mean(c, ops, x)
        return
    window = _window(ops, x)
    if "is_global" in window:
        c.values[op.y] = c.one(windows.PoolOp, [x], f32, is_average=1, **window)
        return
    top, bottom, left, right = ints(op.pad)
    excluded = bool(op.exclude_pad.value.data)
    if not _fits(ops, window) or (not excluded and (top, left) != (bottom, right)):
        if excluded:
            raise NoRecord("its pads are wider, or its window is larger, than the firmware takes")
        x = padded(c, x, (top, bottom, left, right))
        below, beside = (e - p for e, p in zip(_end_pads(ops), (bottom, right), strict=True))
        window["pad"], excluded = (0, below, 0, beside), True
    c.values[op.y] = c.one(
        windows.PoolOp, [x], f32, is_average=1, valid_only=int(excluded), **window
    )


def padded(c: Recorder, x: Any, pad: Sequence[int], value: float = 0.0) -> Any:
    """Numbers around height and width: top, bottom, left, right."""
    top, bottom, left, right = pad
    return c.one(
        movement.PadOp, [x], element_of(x), channels=types.shape_of(x)[1], value=value,
        pads=(0, 0, 0, 0, top, bottom, left, right),
    )  # fmt: skip


def _integer_mean(c: Recorder, ops: Sequence[AveragePoolOp], x: Any) -> Any:
    """A depthwise convolution whose weights are the one multiplier."""
    op = ops[0]
    if is_whole(ops) or not has_one_divisor(op):
        raise NoRecord("an integer mean whose divisor varies has no record: run"
                       " quant-float-means before")
    (kh, kw), channels = ints(op.kernel), types.shape_of(x)[1]
    multiplier, shift = mean_factor(kh * kw, types.scale_ratio(op.x, op.y))
    weight = np.full((channels, 1, kh, kw), multiplier, np.uint8)
    return conv_record(
        c, x, weight, None, element_of(op.y), stride=ints(op.stride), pad=ints(op.pad),
        group=channels, shift=shift,
    )  # fmt: skip


WINDOWS = {ConvOp: conv, MaxPoolOp: max_pool, AveragePoolOp: average_pool}
