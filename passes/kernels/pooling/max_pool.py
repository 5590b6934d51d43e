"""Max pooling."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from xdsl.ir import SSAValue

from dialects.bm1684 import tile
from dialects.quant import compute, types
from dialects.quant.base import i64s
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.pooling.axes import pool_axis, pool_problem
from passes.kernels.pooling.rows_of_lanes import (
    NO_PADS,
    STRIDES,
    is_of_rows_of_lanes,
    pool_rows_of_lanes,
)
from passes.kernels.pooling.separable import Pair, columns_then_rows, pair, separated
from passes.kernels.window import Pads, TileStep, Weights, check_fields, padded, run_window, whole


def lower_max_pool(
    b: TileBuilder, op: compute.MaxPoolOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Max pooling; what is clipped counts as padding, which never wins. Where that takes fewer
    cycles, first of columns, then of rows."""
    (source,) = sources
    stride, kernel = pair(op.stride), pair(op.kernel)
    check_fields(stride, (1,))
    height, width = pool_axis(op, 0), pool_axis(op, 1)
    if is_of_rows_of_lanes(b, op, source, dest):
        line = 1, kernel[0] * kernel[1]
        pool_rows_of_lanes(b, source, dest, lambda y, x: _pool(b, y, x, line, STRIDES, NO_PADS))
        return
    lowest = float_bits(float(np.finfo(np.float32).min))
    if not types.is_float(op.x):
        lowest = 0 if types.is_unsigned(op.x) else 0x80808080
    problem = separated(padded(pool_problem(op, height, width), lowest), weighted=False)

    def emit(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        if problem.scratch:
            columns_then_rows(b, dst, src, kernel, stride, pads, partial(_pool, b))
        else:
            _pool(b, dst, src, kernel, stride, pads)

    run_window(b, problem, whole(height, width), source, dest, TileStep(emit))


def _pool(
    b: TileBuilder, dst: SSAValue, src: SSAValue, kernel: Pair, stride: Pair, pads: Pads
) -> None:
    b.add(
        tile.MaxPoolOp,
        [dst, src],
        {"kernel": i64s(kernel), "stride": i64s(stride), "pad": i64s(pads)},
    )
