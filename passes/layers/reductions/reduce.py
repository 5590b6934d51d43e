"""Reductions, and the place of the largest or smallest number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import Rewriter

from dialects.bm1684.chip import BM1684
from dialects.constant import ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.base import i64s, int_attr
from dialects.quant.reductions import ReduceKind, ReduceKindAttr, ReduceOp
from dialects.ufw import ops as ufw
from passes.layers.binary import binary, constant, power_of
from passes.layers.converter import Converter

LARGEST_INDEX = 1 << 24
"""Places up to this are exact float32 numbers."""


def reduced(c: Converter, kind: str, x: SSAValue, axes: Sequence[int], step: str = "") -> SSAValue:
    """Sum, maximum or minimum ("sum", "max", "min") of a float value over ``axes``, which stay with
    extent 1. Without a ``step`` it is the layer's result."""
    shape = types.shape_of(x)
    kept = types.float_tensor([1 if i in axes else size for i, size in enumerate(shape)])
    settings = {"kind": ReduceKindAttr(ReduceKind(kind)), "axes": i64s(sorted(axes))}
    return c.add(ReduceOp, [x], kept, step, **settings)


def square(c: Converter, x: SSAValue, step: str) -> SSAValue:
    """The product of a float value with itself."""
    kind = compute.EltwiseKindAttr(compute.EltwiseKind.PRODUCT)
    return c.add(compute.EltwiseOp, [x, x], types.float_tensor(types.shape_of(x)), step, kind=kind)


def part(c: Converter, x: SSAValue, axis: int, begin: int, count: int, step: str) -> SSAValue:
    """Some of a float value's elements along an axis."""
    shape = list(types.shape_of(x))
    shape[axis] = count
    settings = {"axis": int_attr(axis), "begin": int_attr(begin)}
    return c.add(movement.SliceOp, [x], types.float_tensor(shape), step, **settings)


def _product(c: Converter, x: SSAValue, axes: Sequence[int]) -> SSAValue:
    """The product over axes: one half times the other until one number is left."""
    for axis in axes:
        while (size := types.shape_of(x)[axis]) > 1:
            half = size // 2
            low, high = (part(c, x, axis, at, half, "half") for at in (0, half))
            y = binary(c, "mul", low, high, "product")
            if size % 2:
                rest = part(c, x, axis, size - 1, 1, "rest")
                shape = list(types.shape_of(y))
                shape[axis] += 1
                kind = types.float_tensor(shape)
                y = c.add(movement.ConcatOp, [y, rest], kind, "left", axis=int_attr(axis))
            x = y
    return x


def lower_reduce(c: Converter, op: ufw.ReduceOp) -> None:
    x, axes = c.as_float(c.value(op.bottom)), op.axes.get_values()
    factor, kind = op.coefficient.value.data, op.operation.data
    match kind:
        case "max" | "min":
            y = reduced(c, kind, x, axes, "kept")
        case "prod":
            y = _product(c, x, axes)
        case _:
            if kind in ("l2", "sum_squares"):
                x = square(c, x, "squares")
            elif kind == "l1":
                x = binary(c, "max", x, power_of(c, x, "negative", scale=-1.0), "magnitudes")
            y = reduced(c, "sum", x, axes, "sums")
    if kind == "mean":
        factor /= prod(types.shape_of(x)[axis] for axis in axes)
    if kind == "l2":
        y = power_of(c, y, "root", power=0.5)
    if factor != 1:
        y = power_of(c, y, "scaled", scale=factor)
    finish(c, op, y)


def finish(c: Converter, op: Any, y: SSAValue) -> None:
    """The value, made by this layer alone, as its result: with its shape, name and scale."""
    c.finish(op, as_result(c, op.results[0], y))


def as_result(c: Converter, result: SSAValue, y: SSAValue) -> SSAValue:
    """The float value under the name ``c.top``, in the shape of a result and with the scale that
    this gets where it is quantised."""
    shape = types.shape_of(result)
    if types.shape_of(y) != shape:
        y = c.add(movement.ReshapeOp, [y], types.float_tensor(shape))
    c.rename(y)
    return Rewriter.replace_value_with_new_type(y, types.float_like(result))


def lower_arg(c: Converter, op: ufw.ArgOp) -> None:
    """The largest number; where the operand has it, how far the place is from the end, else 0; the
    largest of these."""
    outer, count, inner = op.view
    if count > LARGEST_INDEX:
        raise c.error(f"places among {count} numbers are no exact float32 numbers")
    x = c.reshape(c.as_float(c.value(op.bottom)), (outer, count, inner, 1), "view")
    extreme = reduced(c, "min" if op.smallest.value.data else "max", x, [1], "extreme")
    given = [bool(value) for value in op.values.get_values()]
    made = {True: extreme}
    if op.pairs.value.data or not all(given):
        made[False] = _places(c, x, extreme)
    if op.pairs.value.data:
        shape = types.float_tensor((outer, 2, 1, 1))
        joined = c.add(movement.ConcatOp, [made[False], extreme], shape, "pairs", axis=int_attr(1))
        made = {True: joined, False: joined}
    for result, name, value in zip(op.results, op.top_names, given, strict=True):
        c.top = name
        kind = types.float_tensor(types.shape_of(result))
        y = as_result(c, result, c.add(movement.ReshapeOp, [made[value]], kind))
        c.values[result] = c.fit(y, types.tensor_type(result), "requantize")


def _places(c: Converter, x: SSAValue, extreme: SSAValue) -> SSAValue:
    """The first place along dimension 1 where x has the extreme."""
    outer, count, inner, _ = types.shape_of(x)
    weight = np.arange(count, 0, -1, dtype=np.float32).reshape(count, 1, 1, 1)
    if inner == 1:  # a channel would have one pixel
        lanes = max(d for d in range(1, BM1684.lanes * 2) if count % d == 0)
        wide = (1, lanes, count // lanes, 1)
        x = c.reshape(x, (outer, *wide[1:]), "planes")
        equal = binary(c, "eq", x, extreme, "equal")
        places = constant(c, weight.reshape(wide), "places")
        return _from_the_front(c, binary(c, "mul", equal, places, "from_end"), count, [1, 2])
    equal = binary(c, "eq", x, extreme, "equal")
    from_end = c.add(
        compute.ConvOp,
        [equal],
        types.float_tensor(types.shape_of(x)),
        "from_end",
        weight=ConstantAttr.of(weight),
        group=int_attr(count),
    )
    return _from_the_front(c, from_end, count, [1])


def _from_the_front(
    c: Converter, from_end: SSAValue, count: int, axes: Sequence[int]
) -> SSAValue:
    """The place of the largest distance from the end."""
    found = reduced(c, "max", from_end, axes, "first")
    return power_of(c, found, "place", scale=-1.0, shift=float(count))


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.ReduceOp: lower_reduce,
    ufw.ArgOp: lower_arg,
}
