"""Sliding-window layers, tile by tile: convolution, depthwise convolution, pooling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref
from dialects.quant import compute, types
from dialects.quant.arithmetic import reciprocal
from dialects.quant.base import i64s, ints
from passes.kernels.builder import TileBuilder, float_bits, int_attr
from passes.kernels.tiling import Axis, CannotLower, Problem, TilingError, choose_tile, ranges
from passes.kernels.weights import (
    CONV_FLOAT,
    CONV_INT8,
    DEPTHWISE_FLOAT,
    DEPTHWISE_INT8,
    WeightForm,
    load_weights,
)

Array = NDArray[Any]
Weights = tuple[SSAValue, SSAValue | None]
Pads = tuple[int, int, int, int]


@dataclass(frozen=True)
class Region:
    """A box of the output that one kernel size serves; ``origin``: its first output row and
    column.
    """

    origin: tuple[int, int]
    height: Axis
    width: Axis


@dataclass(frozen=True)
class Step:
    """What computes one tile: ``weights(begin, extent)`` loads those of a chunk of channels,
    ``compute(dst, src, weights, pads)`` emits the command."""

    compute: Callable[[SSAValue, SSAValue, Weights | None, Pads], None]
    weights: Callable[[int, int], Weights] | None = None
    relu: bool = False


def _tile_size(b: TileBuilder, p: Problem) -> Any:
    try:
        return choose_tile(p, b.budget)
    except TilingError:
        return choose_tile(p, BM1684.lane_bytes)


def _boxes(p: Problem, n: int, h: int, w: int) -> Iterator[tuple[tuple[int, int], ...]]:
    for batch in ranges(p.batch, n):
        for rows in ranges(p.height.out, h):
            for columns in ranges(p.width.out, w):
                yield batch, rows, columns


def run_window(
    b: TileBuilder, p: Problem, region: Region, source: SSAValue, dest: SSAValue, step: Step
) -> None:
    """Emits all tiles of one region: loads, computes, stores. ``source`` and ``dest`` lie in
    DDR.
    """
    size = _tile_size(b, p)
    loaded: tuple[object, SSAValue] | None = None
    element, pack = Ref.of(source).element, p.pack
    for c0, cn in ranges(p.channels_out, size.c):
        weights = None if step.weights is None else step.weights(c0, cn)
        for (n0, nn), (h0, hn), (w0, wn) in _boxes(p, size.n, size.h, size.w):
            y0, yn, up, down = p.height.source(h0, hn)
            x0, xn, left, right = p.width.source(w0, wn)
            first, channels = (0, p.channels_in) if p.dense else (c0, cn)
            key = (n0, first, y0, x0, yn, xn)
            if loaded is None or loaded[0] != key:
                src = b.local(element, (nn, channels, yn, xn), 4, pack)
                b.load(src, b.window(source, (n0, first, y0, x0), (nn, channels, yn, xn)))
                loaded = key, src
            if max(up, down, left, right) > BM1684.limits.pad:
                raise CannotLower(f"a pad above {BM1684.limits.pad} is not possible on this chip")
            dst = b.local(Ref.of(dest).element, (nn, cn, hn, wn), 4, pack)
            step.compute(dst, loaded[1], weights, (up, down, left, right))
            if step.relu:
                b.arith("max", dst, dst, float_bits(0.0))
            begin = (n0, c0, region.origin[0] + h0, region.origin[1] + w0)
            b.store(b.window(dest, begin, (nn, cn, hn, wn)), dst)


def _check_fields(stride: tuple[int, ...], dilation: tuple[int, ...]) -> None:
    limits = BM1684.limits
    if max(stride) > limits.stride:
        raise CannotLower(f"a stride of {max(stride)} is above the chip's {limits.stride}")
    if max(dilation) > limits.dilation:
        raise CannotLower(f"a dilation of {max(dilation)} is above the chip's {limits.dilation}")


def _whole(height: Axis, width: Axis) -> Region:
    return Region((0, 0), height, width)


def lower_conv(b: TileBuilder, op: compute.ConvOp, source: SSAValue, dest: SSAValue) -> None:
    """Convolution; groups run one after the other unless each has one channel (depthwise)."""
    stride, dilation, pad = ints(op.stride), ints(op.dilation), ints(op.pad)
    _check_fields(stride, dilation)
    x, y, weight = types.shape_of(op.x), types.shape_of(op.y), op.weight.array
    kh, kw = weight.shape[2:]
    height = Axis(x[2], y[2], kh, stride[0], dilation[0], pad[0])
    width = Axis(x[3], y[3], kw, stride[1], dilation[1], pad[2])
    group = op.group.value.data
    bias = None if op.bias is None else op.bias.array
    if group == x[1] == y[1]:
        conv_group(b, op, source, dest, (height, width), weight, bias, depthwise=True)
        return
    ins, outs = x[1] // group, y[1] // group
    for g in range(group):
        src = b.window(source, (0, g * ins, 0, 0), (x[0], ins, x[2], x[3]))
        dst = b.window(dest, (0, g * outs, 0, 0), (y[0], outs, y[2], y[3]))
        part = slice(g * outs, (g + 1) * outs)
        part_bias = None if bias is None else bias[part]
        conv_group(b, op, src, dst, (height, width), weight[part], part_bias, depthwise=False)


def conv_group(
    b: TileBuilder,
    op: compute.ConvOp,
    source: SSAValue,
    dest: SSAValue,
    axes: tuple[Axis, Axis],
    weight: Array,
    bias: Array | None,
    depthwise: bool,
) -> None:
    """One dense convolution, or one depthwise convolution."""
    is_float = types.is_float(op.x)
    forms = (DEPTHWISE_INT8, DEPTHWISE_FLOAT) if depthwise else (CONV_INT8, CONV_FLOAT)
    form: WeightForm = forms[is_float]
    outputs, inputs, kh, kw = weight.shape
    if not depthwise and inputs > BM1684.limits.channels:
        raise CannotLower(
            f"{inputs} input channels in one convolution, {BM1684.limits.channels} fit"
        )
    problem = Problem(
        batch=types.shape_of(op.x)[0],
        channels_in=inputs,
        channels_out=outputs,
        height=axes[0],
        width=axes[1],
        pack=1 if is_float else 4,
        dense=not depthwise,
        weight_row=form.row_bytes(inputs, kh * kw, bias is not None),
    )
    kind = tile.DepthwiseOp if depthwise else tile.ConvOp

    def weights(begin: int, extent: int) -> Weights:
        part = slice(begin, begin + extent)
        return load_weights(b, form, weight[part], None if bias is None else bias[part])

    def emit(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        assert loaded is not None
        kernel, offset = loaded
        properties: dict[str, Attribute] = {
            "stride": op.stride,
            "pad": i64s(pads),
            "dilation": op.dilation,
            "shift": int_attr(op.shift.value.data),
        }
        b.add(kind, [dst, src, kernel, [] if offset is None else [offset]], properties)

    relu = is_float and bool(op.relu.value.data)
    run_window(b, problem, _whole(*axes), source, dest, Step(emit, weights, relu))


def _pool_axis(op: compute.PoolOp, axis: int) -> Axis:
    x, y = types.shape_of(op.x)[2 + axis], types.shape_of(op.y)[2 + axis]
    pad = ints(op.pad)[2 * axis]
    return Axis(x, y, ints(op.kernel)[axis], ints(op.stride)[axis], 1, pad)


def _pool_problem(op: compute.PoolOp, height: Axis, width: Axis, weight_row: int = 0) -> Problem:
    shape = types.shape_of(op.x)
    pack = 1 if types.is_float(op.x) else 4
    return Problem(shape[0], shape[1], shape[1], height, width, pack, False, weight_row)


def lower_max_pool(b: TileBuilder, op: compute.MaxPoolOp, source: SSAValue, dest: SSAValue) -> None:
    """Max pooling; what is clipped counts as padding, which never wins."""
    _check_fields(ints(op.stride), (1,))
    height, width = _pool_axis(op, 0), _pool_axis(op, 1)

    def emit(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        b.add(
            tile.MaxPoolOp,
            [dst, src],
            {"kernel": op.kernel, "stride": op.stride, "pad": i64s(pads)},
        )

    problem = _pool_problem(op, height, width)
    run_window(b, problem, _whole(height, width), source, dest, Step(emit))


def _average_parts(op: compute.AveragePoolOp, axis: int) -> list[tuple[int, Axis]]:
    """(first output, axis) of the full windows, and of the last window when it is clipped."""
    whole = _pool_axis(op, axis)
    end = whole.size + ints(op.pad)[2 * axis + 1]
    start = (whole.out - 1) * whole.stride - whole.pad
    clipped = end - start
    if clipped >= whole.kernel:
        return [(0, whole)]
    last = (whole.out - 1, replace(whole, out=1, kernel=clipped, pad=-start))
    return [last] if whole.out == 1 else [(0, replace(whole, out=whole.out - 1)), last]


def lower_average_pool(
    b: TileBuilder, op: compute.AveragePoolOp, source: SSAValue, dest: SSAValue
) -> None:
    """Average pooling: one region for each divisor that occurs (clipped last row and column)."""
    _check_fields(ints(op.stride), (1,))
    for first_row, height in _average_parts(op, 0):
        for first_column, width in _average_parts(op, 1):
            region = Region((first_row, first_column), height, width)
            _average_region(b, op, region, source, dest)


def _average_region(
    b: TileBuilder, op: compute.AveragePoolOp, region: Region, source: SSAValue, dest: SSAValue
) -> None:
    height, width = region.height, region.width
    kernel, stride = (height.kernel, width.kernel), op.stride
    area = kernel[0] * kernel[1]
    multiplier, shift = reciprocal(area)
    is_float = types.is_float(op.x)
    limits = BM1684.limits
    built_in = area <= limits.average_area and area != limits.average_area_excluded

    def average(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        factor = float_bits(1.0 / area) if is_float else multiplier
        properties: dict[str, Attribute] = {
            "kernel": i64s(kernel),
            "stride": stride,
            "pad": i64s(pads),
            "factor": int_attr(factor),
            "shift": int_attr(0 if is_float else shift),
        }
        b.add(tile.AveragePoolOp, [dst, src], properties)

    def weights(begin: int, extent: int) -> Weights:
        value = np.full((extent, 1, *kernel), multiplier, np.uint8)
        return load_weights(b, DEPTHWISE_INT8, value.view(np.int8), None)

    def depthwise(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        assert loaded is not None
        kernel_ref = Ref.of(loaded[0])
        unsigned = b.view(loaded[0], kernel_ref.with_(element=types.ui8))
        properties: dict[str, Attribute] = {
            "stride": stride,
            "pad": i64s(pads),
            "shift": int_attr(shift),
        }
        b.add(tile.DepthwiseOp, [dst, src, unsigned, []], properties)

    if is_float or built_in:
        problem = _pool_problem(op, height, width)
        run_window(b, problem, region, source, dest, Step(average))
    else:
        problem = _pool_problem(op, height, width, DEPTHWISE_INT8.row_bytes(1, area, False))
        run_window(b, problem, region, source, dest, Step(depthwise, weights))
