"""Max pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.tiu import STEP_PIXELS, WIDE_STEP_PIXELS, ceil_div, window_step
from dialects.bm1684.layout import Ref
from dialects.quant import compute, types
from dialects.quant.base import i64s, ints
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.planes import planes_of
from passes.kernels.pooling.axes import pool_axis, pool_problem
from passes.kernels.pooling.rows_of_lanes import (
    NO_PADS,
    STRIDES,
    is_of_rows_of_lanes,
    pool_rows_of_lanes,
)
from passes.kernels.tiling import Axis, Problem
from passes.kernels.window import Pads, TileStep, Weights, check_fields, padded, run_window, whole

BETWEEN = BM1684.lane_bytes // 8
"""Bytes of each lane that the maxima of columns may take."""
Pair = tuple[int, int]


def lower_max_pool(
    b: TileBuilder, op: compute.MaxPoolOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Max pooling; what is clipped counts as padding, which never wins. Where that takes fewer
    cycles, first of columns, then of rows."""
    (source,) = sources
    stride, kernel = _pair(op.stride), _pair(op.kernel)
    check_fields(stride, (1,))
    height, width = pool_axis(op, 0), pool_axis(op, 1)
    if is_of_rows_of_lanes(b, op, source, dest):
        line = 1, kernel[0] * kernel[1]
        pool_rows_of_lanes(b, source, dest, lambda y, x: _pool(b, y, x, line, STRIDES, NO_PADS))
        return
    lowest = float_bits(float(np.finfo(np.float32).min))
    if not types.is_float(op.x):
        lowest = 0 if types.is_unsigned(op.x) else 0x80808080
    problem = padded(pool_problem(op, height, width), lowest)
    if _is_separable(problem):
        problem = replace(problem, scratch=_between(problem))

    def emit(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        if problem.scratch:
            _columns_then_rows(b, dst, src, kernel, stride, pads)
        else:
            _pool(b, dst, src, kernel, stride, pads)

    run_window(b, problem, whole(height, width), source, dest, TileStep(emit))


def _pair(value: Any) -> Pair:
    first, second = ints(value)
    return first, second


def _between(p: Problem) -> int:
    """Bytes of each lane of the maxima of columns, of a plane."""
    width = p.width.size if p.fill is None else p.width.span(p.width.out)
    return 4 * p.height.out * width


def _is_separable(p: Problem) -> bool:
    """Whether a maximum of columns and one of rows take fewer cycles together than one of both."""
    is_float, (kh, kw) = p.pack == 1, (p.height.kernel, p.width.kernel)
    step = STEP_PIXELS if is_float else WIDE_STEP_PIXELS
    pixels, between = p.height.out * p.width.out, _between(p)
    direct = ceil_div(pixels, step) * _step((kh, kw), p.width, is_float)
    columns = ceil_div(between // 4, step) * window_step((kh, 1), 1, is_float, weighted=False)
    rows = ceil_div(pixels, step) * _step((1, kw), p.width, is_float)
    return min(kh, kw) > 1 and between <= BETWEEN and columns + rows < direct


def _step(kernel: Pair, width: Axis, is_float: bool) -> int:
    return window_step(kernel, width.stride, is_float, weighted=False)


def _columns_then_rows(
    b: TileBuilder, dst: SSAValue, src: SSAValue, kernel: Pair, stride: Pair, pads: Pads
) -> None:
    up, down, left, right = pads
    for y, x in zip(planes_of(b, dst), planes_of(b, src), strict=True):
        n, c, height, _ = Ref.of(y).shape
        ref = Ref.of(x)
        between = b.local(ref.element, (n, c, height, ref.shape[3]), 4, ref.layout.pack)
        _pool(b, between, x, (kernel[0], 1), (stride[0], 1), (up, down, 0, 0))
        _pool(b, y, between, (1, kernel[1]), (1, stride[1]), (0, 0, left, right))


def _pool(
    b: TileBuilder, dst: SSAValue, src: SSAValue, kernel: Pair, stride: Pair, pads: Pads
) -> None:
    b.add(
        tile.MaxPoolOp,
        [dst, src],
        {"kernel": i64s(kernel), "stride": i64s(stride), "pad": i64s(pads)},
    )
