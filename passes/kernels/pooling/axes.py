"""The window of a pooling."""

from __future__ import annotations

from dialects.quant import compute, types
from dialects.quant.base import ints
from passes.kernels.tiling import Axis, Problem


def pool_axis(op: compute.PoolOp, axis: int) -> Axis:
    x, y = types.shape_of(op.x)[2 + axis], types.shape_of(op.y)[2 + axis]
    pad = ints(op.pad)[2 * axis]
    return Axis(x, y, ints(op.kernel)[axis], ints(op.stride)[axis], 1, pad)


def pool_problem(op: compute.PoolOp, height: Axis, width: Axis, weight_row: int = 0) -> Problem:
    shape = types.shape_of(op.x)
    pack = 1 if types.is_float(op.x) else 4
    return Problem(shape[0], shape[1], shape[1], height, width, pack, False, weight_row)
