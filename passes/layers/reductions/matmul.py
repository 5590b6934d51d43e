"""The product of two tensors as matrices."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from xdsl.ir import Operation

from dialects.quant import types
from dialects.quant.reductions.matmul import MatMulOp
from dialects.ufw import ops as ufw
from passes.layers.converter import Converter
from passes.layers.reductions.reduce import finish


def lower_matmul(c: Converter, op: ufw.MatMulOp) -> None:
    """Of one matrix b, the rows of all matrices a are those of one."""
    a, b = (c.as_float(c.value(x)) for x in (op.a, op.b))
    rank = len(types.shape_of(op.top))
    shapes = [
        (*(1,) * (rank - len(types.shape_of(x))), *types.shape_of(x)) for x in (a, b)
    ]
    final = types.shape_of(op.top)
    made = final
    if prod(shapes[1][:-2]) == 1 and not op.transpose_a.value.data:
        shapes = [(prod(shapes[0][:-1]), shapes[0][-1]), shapes[1][-2:]]
        made = (prod(final[:-1]), final[-1])
    a, b = (c.reshape(x, s, n) for x, s, n in zip((a, b), shapes, ("a", "b"), strict=True))
    y = c.add(
        MatMulOp,
        [a, b],
        types.float_tensor(made),
        "product",
        transpose_a=op.transpose_a,
        transpose_b=op.transpose_b,
    )
    finish(c, op, y)


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {ufw.MatMulOp: lower_matmul}
