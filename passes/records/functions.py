"""Functions and reductions as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects.builtin import f32

from dialects.bm1684.record import reductions, windows
from dialects.quant.base import QuantOp, ints
from dialects.quant.compute import PointwiseFunctionOp, SoftmaxOp
from dialects.quant.reductions import MatMulOp, ReduceKind, ReduceOp
from passes.records.expression import pointwise_function
from passes.records.recorder import Recorder, eight


def softmax(c: Recorder, ops: Sequence[SoftmaxOp]) -> None:
    op = ops[0]
    place = op.axis.value.data << reductions.AXIS_BITS
    c.values[op.y] = c.one(reductions.SoftmaxOp, [c.value(op.x)], f32, place=place)


METHODS = {
    ReduceKind.SUM: reductions.SUM, ReduceKind.MAX: reductions.MAX, ReduceKind.MIN: reductions.MIN,
}  # fmt: skip


def reduce(c: Recorder, ops: Sequence[ReduceOp]) -> None:
    """One axis after the other where the firmware is wrong with both."""
    op, x = ops[0], c.value(ops[0].x)
    axes = ints(op.axes)
    for some in ([(0,), (1,)] if axes == (0, 1) else [axes]):
        x = c.one(
            reductions.ReduceOp, [x], f32, keep=1, count=len(some), axes=eight(some),
            method=METHODS[op.kind.data],
        )  # fmt: skip
    c.values[op.y] = x


def matmul(c: Recorder, ops: Sequence[MatMulOp]) -> None:
    """Operands that are transposed are so by a record of their own."""
    op = ops[0]
    xs: list[Any] = []
    for value, flag in ((op.a, op.transpose_a), (op.b, op.transpose_b)):
        x, rank = c.value(value), len(c.shapes[c.value(value)][0])
        order = [*range(rank - 2), rank - 1, rank - 2]
        xs.append(c.transposed(x, order) if flag.value.data else x)
    a, b = (c.shapes[x][0] for x in xs)
    c.values[op.y] = c.one(
        windows.MatMulOp, xs, f32, a_shape=eight(a), a_rank=len(a), b_shape=eight(b),
        b_rank=len(b),
    )  # fmt: skip


FUNCTIONS: dict[type[QuantOp], Any] = {
    SoftmaxOp: softmax, ReduceOp: reduce, PointwiseFunctionOp: pointwise_function,
    MatMulOp: matmul,
}  # fmt: skip
