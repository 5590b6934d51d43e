"""quant-sink-functions: functions that keep the order of numbers come behind a max pooling."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.dialects.func import FuncOp

from dialects.quant import types
from dialects.quant.base import QuantOp, ints
from dialects.quant.compute import LookupOp, MaxPoolOp, PReluOp, RequantizeOp
from passes.base import NpuFunctionPass
from passes.module.inserting import inserted


def keeps_order(op: QuantOp) -> bool:
    """Whether a larger number never has a smaller result: the maximum of results is then the result
    of the maximum, to the bit."""
    if isinstance(op, PReluOp):
        return bool((op.slope.array >= 0).all())
    if isinstance(op, RequantizeOp):
        return True
    if isinstance(op, LookupOp):
        results = op.table.array.view(types.dtype_of(op.y))
        numbers = np.arange(256).astype(np.uint8).view(types.dtype_of(op.x))
        return bool((np.diff(results[np.argsort(numbers)].astype(np.int64)) >= 0).all())
    return False


def _sink(pool: MaxPoolOp) -> None:
    """Puts the functions before a pooling behind it."""
    functions: list[QuantOp] = []
    value = pool.x
    while isinstance(value.owner, QuantOp) and value.has_one_use() and keeps_order(value.owner):
        functions.append(value.owner)
        value = value.owner.operands[0]
    if not functions:
        return
    size = types.shape_of(pool.y)
    properties = {k: v for k, v in pool.properties.items() if k != "tops"}
    value = inserted(
        pool, MaxPoolOp, [value], types.like(value, size), "pooled", **properties
    )
    for i, op in reversed(list(enumerate(functions))):
        properties = {k: v for k, v in op.properties.items() if k != "tops"}
        kind = types.like(op.results[0], size)
        value = inserted(pool, type(op), [value], kind, f"function{i}" if i else "", **properties)
    pool.y.replace_all_uses_with(value)
    for op in (pool, *functions):
        op.detach()
        op.erase()


def _has_fewer(pool: MaxPoolOp) -> bool:
    """Whether the result has fewer numbers, each of them a maximum of at least one."""
    size, pad, kernel = types.shape_of(pool.x), ints(pool.pad), ints(pool.kernel)
    out, stride = types.shape_of(pool.y), ints(pool.stride)
    meets = all(
        pad[2 * i] < kernel[i] and (out[2 + i] - 1) * stride[i] - pad[2 * i] < size[2 + i]
        for i in range(2)
    )
    return meets and prod(out) < prod(size)


@dataclass(frozen=True)
class QuantSinkFunctionsPass(NpuFunctionPass):
    """Moves functions of each number behind the max pooling that alone reads them.

    Before: ``prelu``, then ``max_pool`` of 2 by 2 with stride 2. After: ``max_pool``, then
    ``prelu`` on a quarter of the numbers. Only functions that keep the order of numbers move:
    results stay the same bits.
    """

    name = "quant-sink-functions"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        for op in list(function.body.block.ops):
            if isinstance(op, MaxPoolOp) and _has_fewer(op):
                _sink(op)
