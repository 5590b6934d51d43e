"""Layers that put numbers elsewhere, as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dialects.bm1684.record import movement
from dialects.quant import movement as quant
from dialects.quant import types
from dialects.quant.base import QuantOp, ints
from passes.records.recorder import Recorder, ShapeFixed, eight, element_of, shapes_of, varies


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
    bounds = [(b, b + shape[axis]) for b, shape in zip(begins, shapes_of(ops), strict=True)]
    sizes = [shape[axis] for shape in shapes_of(ops, 0)]
    c.values[op.y] = cut(c, c.value(op.x), axis, bounds, sizes)


def cut(
    c: Recorder,
    x: Any,
    axis: int,
    bounds: Sequence[tuple[int, int]],
    sizes: Sequence[int],
    step: int = 1,
) -> Any:
    """From a begin to an end along an axis, every ``step``-th element. ``bounds`` and ``sizes``,
    the extents of the axis, are given for every sample: both bounds must be the same everywhere, or
    as far from the end."""
    begins, ends = (list(each) for each in zip(*bounds, strict=True))
    if not any(begins) and ends == list(sizes) and step == 1:
        return x
    begin = _place(c, begins, sizes)
    end = None if ends == list(sizes) else _place(c, ends, sizes)
    if step > 1 and all(s - e < step for e, s in zip(ends, sizes, strict=True)):
        end = None
    shape = types.shape_of(x)
    rest = (1 << len(shape)) - 1 & ~(1 << axis)
    begin_of, end_of, steps = ([0] * 8, [*eight(shape)], [1] * 8)
    begin_of[axis], steps[axis] = begin, step
    end_of[axis] = shape[axis] if end is None else end
    return c.one(
        movement.SliceOp, [x], element_of(x), from_start=rest,
        to_end=rest | (1 << axis if end is None else 0), begin=tuple(begin_of), end=tuple(end_of),
        step=tuple(steps), rank=len(shape),
    )  # fmt: skip


def _place(c: Recorder, places: Sequence[int], sizes: Sequence[int]) -> int:
    """A place along an axis: from its start, or negative from its end."""
    if not varies(places):
        return places[0]
    from_end = [place - size for place, size in zip(places, sizes, strict=True)]
    if varies(from_end) or from_end[0] >= 0:
        sample = next(i for i, place in enumerate(places) if place != places[0])
        raise ShapeFixed(c.location, "it cuts at a place that depends on the map's size", sample)
    return from_end[0]


MOVEMENT: dict[type[QuantOp], Any] = {
    quant.ReshapeOp: reshape,
    quant.TransposeOp: transpose,
    quant.ConcatOp: concat,
    quant.SliceOp: slice_,
}
FREE: dict[type[QuantOp], set[str]] = {quant.SliceOp: {"begin"}}
"""Properties that may differ in samples: the lowerings look at them."""
