"""Max and average pooling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref
from dialects.quant import compute, types
from dialects.quant.arithmetic import mean_factor
from dialects.quant.base import i64s, int_attr, ints
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.convolution.weights import (
    DEPTHWISE_INT8,
    load_weights,
)
from passes.kernels.tiling import (
    Axis,
    Problem,
)
from passes.kernels.window import (
    Pads,
    Region,
    TileStep,
    Weights,
    check_fields,
    padded,
    run_window,
    whole,
)

Array = NDArray[Any]


def _pool_axis(op: compute.PoolOp, axis: int) -> Axis:
    x, y = types.shape_of(op.x)[2 + axis], types.shape_of(op.y)[2 + axis]
    pad = ints(op.pad)[2 * axis]
    return Axis(x, y, ints(op.kernel)[axis], ints(op.stride)[axis], 1, pad)


def _pool_problem(op: compute.PoolOp, height: Axis, width: Axis, weight_row: int = 0) -> Problem:
    shape = types.shape_of(op.x)
    pack = 1 if types.is_float(op.x) else 4
    return Problem(shape[0], shape[1], shape[1], height, width, pack, False, weight_row)


def lower_max_pool(
    b: TileBuilder, op: compute.MaxPoolOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Max pooling; what is clipped counts as padding, which never wins."""
    (source,) = sources
    check_fields(ints(op.stride), (1,))
    height, width = _pool_axis(op, 0), _pool_axis(op, 1)

    def emit(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        b.add(
            tile.MaxPoolOp,
            [dst, src],
            {"kernel": op.kernel, "stride": op.stride, "pad": i64s(pads)},
        )

    lowest = float_bits(float(np.finfo(np.float32).min))
    if not types.is_float(op.x):
        lowest = 0 if types.is_unsigned(op.x) else 0x80808080
    problem = padded(_pool_problem(op, height, width), lowest)
    run_window(b, problem, whole(height, width), source, dest, TileStep(emit))


def _average_parts(op: compute.AveragePoolOp, axis: int) -> list[tuple[int, Axis]]:
    """(first output, axis) of the full windows, and of the last window when it is clipped."""
    whole = _pool_axis(op, axis)
    if op.exclude_pad.value.data:
        return list(_clipped_parts(whole))
    end = whole.size + ints(op.pad)[2 * axis + 1]
    start = (whole.out - 1) * whole.stride - whole.pad
    clipped = end - start
    if clipped >= whole.kernel:
        return [(0, whole)]
    last = (whole.out - 1, replace(whole, out=1, kernel=clipped, pad=-start))
    return [last] if whole.out == 1 else [(0, replace(whole, out=whole.out - 1)), last]


def _clipped_parts(whole: Axis) -> Iterator[tuple[int, Axis]]:
    """(first output, axis) of the windows that lie in the map, and of each window that is clipped
    to it."""
    starts = [whole.first(index) for index in range(whole.out)]
    inside = [i for i, at in enumerate(starts) if at >= 0 and at + whole.kernel <= whole.size]
    if inside:
        yield inside[0], replace(whole, out=len(inside), pad=-starts[inside[0]])
    for index, at in enumerate(starts):
        if index not in inside:
            begin, end = max(at, 0), min(at + whole.kernel, whole.size)
            yield index, replace(whole, out=1, kernel=end - begin, pad=-begin)


def lower_average_pool(
    b: TileBuilder, op: compute.AveragePoolOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Average pooling: one region for each divisor that occurs (clipped last row and column)."""
    (source,) = sources
    check_fields(ints(op.stride), (1,))
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
    ratio = types.scale_ratio(op.x, op.y)
    multiplier, shift = mean_factor(area, ratio)
    is_float = types.is_float(op.x)
    limits = BM1684.limits
    built_in = ratio == 1 and area <= limits.average_area and area != limits.average_area_excluded

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
        problem = padded(_pool_problem(op, height, width), 0)
        run_window(b, problem, region, source, dest, TileStep(average))
    else:
        problem = _pool_problem(op, height, width, DEPTHWISE_INT8.row_bytes(1, area, False))
        run_window(b, padded(problem, 0), region, source, dest, TileStep(depthwise, weights))
