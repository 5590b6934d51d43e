"""Pooling with a mask of places, and its inverse: float, also in an INT8 net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xdsl.ir import Operation

from dialects.quant import compute, movement, types
from dialects.quant.base import i64s, ints
from dialects.ufw import ops as ufw
from dialects.ufw.shapes import four_pads, sides
from passes.layers.converter import Converter


def _max_pool_mask(c: Converter, op: ufw.MaxPoolMaskOp) -> None:
    x, pad = c.as_float(c.value(op.bottom)), four_pads(ints(op.pad))
    extents = zip(ints(op.kernel), types.shape_of(x)[2:], sides(pad), strict=True)
    kernel = i64s([min(k, size + sum(both)) for k, size, both in extents])
    pooled = c.add(
        compute.MaxPoolOp, [x], types.float_like(op.top),
        kernel=kernel, stride=op.stride, pad=i64s(pad), ceil_mode=op.ceil_mode,
    )  # fmt: skip
    c.values[op.top] = c.fit(pooled, types.tensor_type(op.top), "requantize")
    c.top = op.top_names[1]
    mask = c.add(
        movement.PoolIndexOp, [x, pooled], types.float_like(op.mask),
        kernel=kernel, stride=op.stride, pad=i64s([pad[0], pad[2]]),
    )  # fmt: skip
    c.values[op.mask] = c.fit(mask, types.tensor_type(op.mask), "requantize")


def _unpool(c: Converter, op: ufw.UnpoolOp) -> None:
    x, mask = (c.as_float(c.value(each)) for each in op.operands)
    pad = four_pads(ints(op.pad))
    result = types.float_like(op.top)
    y = c.add(
        movement.UnpoolOp, [x, mask], result,
        kernel=op.kernel, stride=op.stride, pad=i64s([pad[0], pad[2]]),
    )  # fmt: skip
    c.finish(op, y)


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.MaxPoolMaskOp: _max_pool_mask,
    ufw.UnpoolOp: _unpool,
}
