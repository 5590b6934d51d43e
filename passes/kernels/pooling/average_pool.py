"""Average pooling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, aligned, local_bytes
from dialects.quant import compute, types
from dialects.quant.arithmetic import mean_factor
from dialects.quant.base import i64s, int_attr, ints
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.convolution.weights import (
    DEPTHWISE_INT8,
    load_weights,
)
from passes.kernels.pooling.axes import pool_axis, pool_problem
from passes.kernels.pooling.rows_of_lanes import (
    NO_PADS,
    STRIDES,
    is_of_rows_of_lanes,
    pool_rows_of_lanes,
)
from passes.kernels.pooling.separable import Pair, columns_then_rows, pair, separated
from passes.kernels.tiling import Axis, Problem
from passes.kernels.window import (
    Pads,
    Region,
    TileStep,
    Weights,
    check_fields,
    padded,
    run_window,
)

Array = NDArray[Any]


def _average_parts(op: compute.AveragePoolOp, axis: int) -> list[tuple[int, Axis]]:
    """(first output, axis) of the full windows, and of the last window when it is clipped."""
    whole = pool_axis(op, axis)
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
    kernel = ints(op.kernel)
    if is_of_rows_of_lanes(b, op, source, dest):
        step, _ = _average_step(b, op, (1, kernel[0] * kernel[1]), STRIDES)
        weights = None if step.weights is None else step.weights(0, BM1684.lanes, 0)
        pool_rows_of_lanes(b, source, dest, lambda y, x: step.compute(y, x, weights, NO_PADS))
        return
    regions = [
        Region((first_row, first_column), height, width)
        for first_row, height in _average_parts(op, 0)
        for first_column, width in _average_parts(op, 1)
    ]
    if len(regions) > 1 and _average_whole(b, op, regions, source, dest):
        return
    for region in regions:
        step, problem = _of_region(b, op, region)
        run_window(b, problem, region, source, dest, step)


def _of_region(
    b: TileBuilder, op: compute.AveragePoolOp, region: Region
) -> tuple[TileStep, Problem]:
    """What computes the windows of a region; those of floats as columns and rows where that
    pays."""
    window, stride = (region.height.kernel, region.width.kernel), pair(op.stride)
    step, row = _average_step(b, op, window, stride)
    problem = padded(pool_problem(op, region.height, region.width, row), 0)
    if types.is_float(op.x):
        problem = separated(problem, weighted=True)
    return _separate_step(b, window, stride) if problem.scratch else step, problem


def _average_whole(
    b: TileBuilder,
    op: compute.AveragePoolOp,
    regions: Sequence[Region],
    source: SSAValue,
    dest: SSAValue,
) -> bool:
    """Computes all regions of a tensor that lies in local memory, and may stay there; False where
    operand and result do not fit it twice, or a command does not hold the padding."""
    x, y = Ref.of(source), Ref.of(dest)
    need = sum(
        2 * local_bytes(each.shape, aligned(each.shape, 4, each.layout.pack)) for each in (x, y)
    )
    boxes = [
        (region, *(axis.source(0, axis.out) for axis in (region.height, region.width)))
        for region in regions
    ]
    pads = max(max(*rows[2:], *columns[2:]) for _, rows, columns in boxes)
    fits = need <= b.options.budget and x.shape[1] <= BM1684.limits.channels
    if not b.options.whole or not fits or pads > BM1684.limits.pad:
        return False
    n, channels = x.shape[:2]
    loaded, result = (b.local(each.element, each.shape, 4, each.layout.pack) for each in (x, y))
    b.load(loaded, source)
    for region, (y0, yn, up, down), (x0, xn, left, right) in boxes:
        step, _ = _of_region(b, op, region)
        weights = None if step.weights is None else step.weights(0, channels, 0)
        part = loaded
        if (yn, xn) != x.shape[2:]:
            part = b.local(x.element, (n, channels, yn, xn), 4, x.layout.pack)
            box = b.window(loaded, (0, 0, y0, x0), (n, channels, yn, xn))
            b.arith("copy", b.words(part), b.words(box))
        shape = (n, channels, region.height.out, region.width.out)
        made = b.local(y.element, shape, 4, y.layout.pack)
        step.compute(made, part, weights, (up, down, left, right))
        place = b.window(result, (0, 0, *region.origin), shape)
        b.arith("copy", b.words(place), b.words(made))
    b.store(dest, result)
    return True


def _mean(
    b: TileBuilder, dst: SSAValue, src: SSAValue, kernel: Pair, stride: Pair, pads: Pads
) -> None:
    """Means of floats."""
    properties: dict[str, Attribute] = {
        "kernel": i64s(kernel),
        "stride": i64s(stride),
        "pad": i64s(pads),
        "factor": int_attr(float_bits(1.0 / (kernel[0] * kernel[1]))),
        "shift": int_attr(0),
    }
    b.add(tile.AveragePoolOp, [dst, src], properties)


def _separate_step(b: TileBuilder, kernel: Pair, stride: Pair) -> TileStep:
    """Means of columns of floats first, then of rows of these."""

    def average(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        columns_then_rows(b, dst, src, kernel, stride, pads, partial(_mean, b))

    return TileStep(average)


def _average_step(
    b: TileBuilder, op: compute.AveragePoolOp, kernel: Pair, stride: Pair
) -> tuple[TileStep, int]:
    """What computes windows of one size at equal strides, and the bytes of a row of its weights."""
    area = kernel[0] * kernel[1]
    ratio = types.scale_ratio(op.x, op.y)
    multiplier, shift = mean_factor(area, ratio)
    is_float = types.is_float(op.x)
    limits = BM1684.limits
    built_in = ratio == 1 and area <= limits.average_area and area != limits.average_area_excluded

    def average(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        if is_float:
            _mean(b, dst, src, kernel, stride, pads)
            return
        properties: dict[str, Attribute] = {
            "kernel": i64s(kernel),
            "stride": i64s(stride),
            "pad": i64s(pads),
            "factor": int_attr(multiplier),
            "shift": int_attr(shift),
        }
        b.add(tile.AveragePoolOp, [dst, src], properties)

    def weights(begin: int, extent: int, lane: int) -> Weights:
        value = np.full((extent, 1, *kernel), multiplier, np.uint8)
        return load_weights(b, DEPTHWISE_INT8, value.view(np.int8), None, lane)

    def depthwise(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        assert loaded is not None
        kernel_ref = Ref.of(loaded[0])
        unsigned = b.view(loaded[0], kernel_ref.with_(element=types.ui8))
        properties: dict[str, Attribute] = {
            "stride": i64s(stride),
            "pad": i64s(pads),
            "shift": int_attr(shift),
        }
        b.add(tile.DepthwiseOp, [dst, src, unsigned, []], properties)

    if is_float or built_in:
        return TileStep(average), 0
    return TileStep(depthwise, weights), DEPTHWISE_INT8.row_bytes(1, area, False)
