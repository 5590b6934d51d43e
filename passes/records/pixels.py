"""Layers that repeat, drop, pad, interleave and resize rows and columns, as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import f32

from dialects.bm1684.record import movement, windows
from dialects.bm1684.record.base import Shape
from dialects.quant import movement as quant
from dialects.quant import types
from dialects.quant.base import QuantOp, ints
from dialects.quant.movement.pixels import NOWHERE, WEIGHT_SHIFT
from passes.records.movement import cut
from passes.records.pointwise import HALF_UP, converted
from passes.records.recorder import (
    NoRecord,
    Recorder,
    ShapeFixed,
    byte_values,
    eight,
    element_of,
    shapes_of,
    varies,
)

Array = NDArray[Any]


# -- one axis --------------------------------------------------------------------------------------


def take(c: Recorder, ops: Sequence[quant.TakeOp]) -> None:
    """A slice, a repetition, a pad or a reversal where the indices are those of one at every size;
    else the product with a matrix of zeros and ones."""
    op, axis = ops[0], ops[0].axis.value.data
    x = c.value(op.x)
    for find in (_as_slice, _as_repetition, _as_pad, _as_reverse):
        made = find(c, ops, x, axis)
        if made is not None:
            c.values[op.y] = made
            return
    indices = [each.indices.array for each in ops]
    for sample, other in enumerate(indices):
        if not np.array_equal(indices[0], other):
            raise ShapeFixed(c.location, "it takes elements by a rule of the map's size", sample)
    size = types.shape_of(op.x)[axis]
    matrix = np.zeros((size, len(indices[0])), np.float32)
    inside = indices[0] != NOWHERE
    matrix[indices[0][inside], np.flatnonzero(inside)] = 1
    fill = np.where(inside, 0, op.fill.value.data).astype(np.float32)
    c.values[op.y] = _multiplied(c, ops, x, axis, matrix, fill if fill.any() else None)


def _as_slice(c: Recorder, ops: Sequence[quant.TakeOp], x: Any, axis: int) -> Any:
    """Every ``step``-th element from a first to a last one."""
    bounds: list[tuple[int, int]] = []
    steps: set[int] = set()
    for op in ops:
        indices = op.indices.array.astype(np.int64)
        if len(indices) > 1:
            steps |= set(np.diff(indices).tolist())
        bounds.append((int(indices[0]), int(indices[-1]) + 1))
    if bounds[0][0] < 0 or len(steps) > 1 or min(steps, default=1) < 1:
        return None
    return cut(c, x, axis, bounds, [shape[axis] for shape in shapes_of(ops, 0)],
               next(iter(steps), 1))  # fmt: skip


def _as_repetition(c: Recorder, ops: Sequence[quant.TakeOp], x: Any, axis: int) -> Any:
    """Each element ``factor`` times."""
    factors: set[int] = set()
    for op, shape in zip(ops, shapes_of(ops, 0), strict=True):
        factor, rest = divmod(len(op.indices.array), shape[axis])
        expected = np.repeat(np.arange(shape[axis]), factor)
        if rest or factor < 2 or not np.array_equal(op.indices.array, expected):
            return None
        factors.add(factor)
    if len(factors) > 1 or len(types.shape_of(x)) != 4 or axis == 0:
        return None
    return repeated(c, x, axis, factors.pop())


def repeated(c: Recorder, x: Any, axis: int, factor: int) -> Any:
    """Each element of a tensor of rank 4 ``factor`` times along channels, rows or columns."""
    order = {1: (0, 2, 1, 3), 2: (0, 1, 2, 3), 3: (0, 1, 3, 2)}[axis]
    x = c.transposed(x, order)
    shapes = c.shapes[x]
    flat = c.reshaped(x, [(n, a * b, 1, w) for n, a, b, w in shapes])
    tiled = c.one(
        movement.TileOp, [flat], element_of(x), rank=4, shape=eight(types.shape_of(flat)),
        repeats=eight([1, 1, factor, 1], 1), data_size=0 if element_of(x) == f32 else 2,
    )  # fmt: skip
    whole = c.reshaped(tiled, [(n, a, b * factor, w) for n, a, b, w in shapes])
    return c.transposed(whole, order)


def _as_pad(c: Recorder, ops: Sequence[quant.TakeOp], x: Any, axis: int) -> Any:
    """Elements before and after all those of the operand: numbers, or mirrored ones."""
    rank = len(types.shape_of(x))
    if rank > 4:
        return None
    for code, mode in enumerate(movement.PAD_MODES):
        if code == movement.EDGE and axis == 0 and element_of(x) != f32:
            continue
        widths = {
            _widths(op.indices.array, shape[axis], mode)
            for op, shape in zip(ops, shapes_of(ops, 0), strict=True)
        }
        if len(widths) > 1 or None in widths:
            continue
        (both,) = widths
        assert both is not None
        pads = [0] * 8
        pads[2 * axis : 2 * axis + 2] = both
        return c.one(
            movement.PadOp, [x], element_of(x), mode=code, pads=tuple(pads),
            channels=types.shape_of(x)[1] if rank > 1 else 1, value=ops[0].fill.value.data,
        )  # fmt: skip
    return None


def _widths(indices: Array, size: int, mode: str) -> tuple[int, int] | None:
    """How many elements stand before and after, if the indices are those of a pad of this mode."""
    before = {
        "constant": int(np.argmax(indices == 0)), "edge": int(np.count_nonzero(indices == 0)) - 1,
        "reflect": int(indices[0]), "symmetric": int(indices[0]) + 1,
    }[mode]  # fmt: skip
    after = len(indices) - size - before
    most = {"reflect": size - 1, "symmetric": size}.get(mode, len(indices))
    if min(before, after) < 0 or max(before, after) > most:
        return None
    settings = {"constant_values": NOWHERE} if mode == "constant" else {}
    expected = np.pad(np.arange(size), (before, after), mode, **settings)  # pyright: ignore
    return (before, after) if np.array_equal(indices, expected) else None


def _as_reverse(c: Recorder, ops: Sequence[quant.TakeOp], x: Any, axis: int) -> Any:
    for op, shape in zip(ops, shapes_of(ops, 0), strict=True):
        if not np.array_equal(op.indices.array, np.arange(shape[axis])[::-1]):
            return None
    if axis == 0 or len(types.shape_of(x)) > 4:
        return None
    return c.one(movement.ReverseOp, [x], element_of(x), axis=axis)


def _multiplied(
    c: Recorder, ops: Sequence[Any], x: Any, axis: int, matrix: Array, fill: Array | None
) -> Any:
    """The product of an axis with a matrix, in float; 8-bit numbers are exact in it."""
    element = element_of(x)
    if element != f32:
        x = c.looked_up(x, byte_values(element == types.ui8).astype(np.float32), f32)
    rank = len(types.shape_of(x))
    order = [each for each in range(rank) if each != axis] + [axis]
    x = c.transposed(x, order)
    moved = c.shapes[x]
    flat = c.reshaped(x, [(int(np.prod(s[:-1])), s[-1]) for s in moved])
    coefficients = {"weight": matrix} if fill is None else {"weight": matrix, "bias": fill}
    y = c.one(
        windows.MatrixOp, [flat], f32, inputs=matrix.shape[0], outputs=matrix.shape[1],
        has_bias=int(fill is not None), coefficients=coefficients,
    )  # fmt: skip
    y = c.reshaped(y, [(*s[:-1], matrix.shape[1]) for s in moved])
    y = c.transposed(y, [order.index(each) for each in range(rank)])
    return y if element == f32 else converted(c, y, element)


def interpolate(c: Recorder, ops: Sequence[quant.InterpolateOp]) -> None:
    """The product with a matrix that has the two weights of each result."""
    op, axis = ops[0], ops[0].axis.value.data
    x, s = c.value(op.x), op.indices.array
    size, count = types.shape_of(op.x)[axis], len(s)
    is_float = types.is_float(op.x)
    w = op.weights.array.astype(np.float32)
    one = np.float32(1 if is_float else 1 << WEIGHT_SHIFT)
    matrix = np.zeros((size, count), np.float32)
    matrix[s, np.arange(count)] = one - w
    second = w != 0
    matrix[s[second] + 1, np.flatnonzero(second)] += w[second]
    fill = None
    if not is_float:
        matrix /= one
        fill = np.full(count, HALF_UP, np.float32)
    c.values[op.y] = _multiplied(c, ops, x, axis, matrix, fill)


# -- two axes --------------------------------------------------------------------------------------


def interleave(c: Recorder, ops: Sequence[quant.InterleaveOp]) -> None:
    """Channels become rows, then columns: W keeps its place, so every extent can be free."""
    op = ops[0]
    element, (rows, columns) = element_of(op.y), ints(op.step)
    xs = [c.value(x) for x in op.xs]
    x = xs[0]
    if len(xs) > 1:
        shape = types.shape_of(x)
        x = c.one(
            movement.ConcatOp, xs, element, count=len(xs), rank=4, axis=1, shape=eight(shape),
            extra=[shape[1]] * len(xs),
        )  # fmt: skip
    x = _channels_to_rows(c, x, rows)
    x = c.transposed(_channels_to_rows(c, c.transposed(x, (0, 1, 3, 2)), columns), (0, 1, 3, 2))
    wanted = shapes_of(ops)
    x = cut(c, x, 1, [(0, shape[1]) for shape in wanted], [s[1] for s in c.shapes[x]])
    for axis, begin in zip((2, 3), ints(op.begin), strict=True):
        bounds = [(begin, begin + shape[axis]) for shape in wanted]
        x = cut(c, x, axis, bounds, [s[axis] for s in c.shapes[x]])
    c.values[op.y] = x


def _channels_to_rows(c: Recorder, x: Any, step: int) -> Any:
    """[n, step * C, h, w] to [n, C, h * step, w]."""
    if step == 1:
        return x
    shapes = c.shapes[x]
    split = c.reshaped(x, [(n, step, k // step * h, w) for n, k, h, w in shapes])
    moved = c.transposed(split, (0, 2, 1, 3))
    return c.reshaped(moved, [(n, k // step, h * step, w) for n, k, h, w in shapes])


def broadcast(c: Recorder, ops: Sequence[quant.BroadcastOp]) -> None:
    op = ops[0]
    x, given, wanted = c.value(op.x), shapes_of(ops, 0), shapes_of(ops)
    rank, element = len(wanted[0]), element_of(op.y)
    pairs = list(zip(given, wanted, strict=True))
    grown = [axis for axis in range(rank) if any(g[axis] != w[axis] for g, w in pairs)]
    free = [axis for axis in grown if varies([shape[axis] for shape in wanted])]
    if free:
        like = _with_axes(c, wanted, free)
        x = c.one(
            movement.BroadcastLikeOp, [x, like], element, count=len(free), axes=eight(free),
            like_axes=eight(free),
        )  # fmt: skip
    fixed = [axis for axis in grown if axis not in free]
    if fixed:
        repeats = [wanted[0][axis] if axis in fixed else 1 for axis in range(rank)]
        x = c.one(
            movement.TileOp, [x], element, rank=rank, shape=eight(types.shape_of(x)),
            repeats=eight(repeats, 1), data_size=0 if element == f32 else 2,
        )  # fmt: skip
    c.values[op.y] = x


def _with_axes(c: Recorder, wanted: Sequence[Shape], axes: Sequence[int]) -> Any:
    """A tensor that has these axes as wanted, at every size."""
    for value, shapes in c.shapes.items():
        if all(
            len(shape) > max(axes) and all(shape[axis] == other[axis] for axis in axes)
            for shape, other in zip(shapes, wanted, strict=True)
        ):
            return value
    raise NoRecord("it repeats up to a size that no tensor before it has")


PIXELS: dict[type[QuantOp], Any] = {
    quant.TakeOp: take,
    quant.InterpolateOp: interpolate,
    quant.InterleaveOp: interleave,
    quant.BroadcastOp: broadcast,
}
FREE: dict[type[QuantOp], set[str]] = {quant.TakeOp: {"indices"}}
