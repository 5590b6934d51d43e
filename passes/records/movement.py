"""Layers that put numbers elsewhere, as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dialects.bm1684.record import movement
from dialects.quant import movement as quant
from dialects.quant import types
from dialects.quant.base import QuantOp, ints
from passes.records.recorder import NoRecord, Recorder, eight, element_of, shapes_of, varies


def reshape(c: Recorder, ops: Sequence[quant.ReshapeOp]) -> None:
    op = ops[0]
    c.values[op.y] = c.reshaped(c.value(op.x), shapes_of(ops))


def transpose(c: Recorder, ops: Sequence[quant.TransposeOp]) -> None:
    op = ops[0]
    c.values[op.y] = c.transposed(c.value(op.x), ints(op.order))


def concat(c: Recorder, ops: Sequence[quant.ConcatOp]) -> None:
    op = ops[0]
    xs, axis = [c.value(x) for x in op.xs], op.axis.value.data
    shape = types.shape_of(op.y)
    sizes = [types.shape_of(x)[axis] for x in xs]
    c.values[op.y] = c.one(
        movement.ConcatOp, xs, element_of(op.y), count=len(xs), rank=len(shape), axis=axis,
        shape=eight(types.shape_of(xs[-1])), extra=sizes,
    )  # fmt: skip


def slice_(c: Recorder, ops: Sequence[quant.SliceOp]) -> None:
    op, axis = ops[0], ops[0].axis.value.data
    begins = [each.begin.value.data for each in ops]
    ends = [b + shape[axis] for b, shape in zip(begins, shapes_of(ops), strict=True)]
    to_end = [size[axis] == end for size, end in zip(shapes_of(ops, 0), ends, strict=True)]
    if varies(begins) or (varies(ends) and not all(to_end)):
        raise NoRecord("it cuts at a place that depends on the size of the map")
    c.values[op.y] = sliced(
        c, c.value(op.x), axis, begins[0], None if all(to_end) else ends[0]
    )


def sliced(
    c: Recorder, x: Any, axis: int, begin: int, end: int | None, step: int = 1
) -> Any:
    """From ``begin`` to ``end`` (None: the end of the axis), every ``step``-th."""
    shape = types.shape_of(x)
    rest = (1 << len(shape)) - 1 & ~(1 << axis)
    begins, ends, steps = ([0] * 8, [*eight(shape)], [1] * 8)
    begins[axis], ends[axis], steps[axis] = begin, end or shape[axis], step
    return c.one(
        movement.SliceOp, [x], element_of(x), from_start=rest,
        to_end=rest | (1 << axis if end is None else 0), begin=tuple(begins), end=tuple(ends),
        step=tuple(steps), rank=len(shape),
    )  # fmt: skip


MOVEMENT: dict[type[QuantOp], Any] = {
    quant.ReshapeOp: reshape,
    quant.TransposeOp: transpose,
    quant.ConcatOp: concat,
    quant.SliceOp: slice_,
}
FREE: dict[type[QuantOp], set[str]] = {quant.SliceOp: {"begin"}}
"""Properties that may differ in samples: the lowerings look at them."""
