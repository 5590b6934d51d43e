"""Layers of tensors that repeat as in numpy, and what other layers build with: float arithmetic of
them, and functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue

from dialects.constant import ConstantAttr
from dialects.function_properties import function_properties
from dialects.quant import compute, movement, types
from dialects.quant.eltwise import BinaryKind, BinaryKindAttr, BinaryOp, ConstantOp, SelectOp
from dialects.quant.functions import PointwiseFunctionOp
from dialects.ufw import ops as ufw
from passes.layers.arithmetic import is_integer, maximum, multiply, plain_sum
from passes.layers.converter import Converter

Array = NDArray[Any]


def broadcast_shape(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape of what operands of one rank make together."""
    return tuple(max(extents) for extents in zip(*shapes, strict=True))


def _float_type(shape: Sequence[int], like: SSAValue | None) -> TensorType[Any]:
    return types.float_tensor(shape) if like is None else types.float_like(like, shape)


def binary(
    c: Converter,
    kind: str,
    a: SSAValue,
    b: SSAValue,
    step: str = "",
    like: SSAValue | None = None,
) -> SSAValue:
    """``a KIND b`` of two float values of one rank, where an extent of 1 repeats. ``kind`` is a
    BinaryKind; a comparison gives 1 or 0. Without a ``step`` it is the layer's result, which is
    ``like`` the layer's top: it has its scale."""
    shape = broadcast_shape(types.shape_of(a), types.shape_of(b))
    attr = BinaryKindAttr(BinaryKind(kind))
    return c.add(BinaryOp, [a, b], _float_type(shape, like), step, kind=attr)


def select(
    c: Converter,
    condition: SSAValue,
    a: SSAValue,
    b: SSAValue,
    step: str = "",
    like: SSAValue | None = None,
) -> SSAValue:
    """``condition > 0 ? a : b`` of float values of one rank, where an extent of 1 repeats."""
    shape = broadcast_shape(*(types.shape_of(x) for x in (condition, a, b)))
    return c.add(SelectOp, [condition, a, b], _float_type(shape, like), step)


def constant(c: Converter, value: Array, step: str = "", like: SSAValue | None = None) -> SSAValue:
    """A float32 constant."""
    kind = _float_type(value.shape, like)
    return c.add(ConstantOp, [], kind, step, value=ConstantAttr.of(value))


def power_of(
    c: Converter, x: SSAValue, step: str = "", /, *, power: float = 1.0, scale: float = 1.0,
    shift: float = 0.0,
) -> SSAValue:
    """``(scale * x + shift) ^ power`` of a float value: also sums and products with a number, and
    roots."""
    return function_of(c, "power", x, step, power=power, scale=scale, shift=shift)


def function_of(
    c: Converter, name: str, x: SSAValue, step: str = "", /, **parameters: float
) -> SSAValue:
    """A function of dialects/functions.py of a float value."""
    properties = function_properties(name, parameters)
    return c.add(
        PointwiseFunctionOp, [x], types.float_tensor(types.shape_of(x)), step, **properties
    )


# -- layers ----------------------------------------------------------------------------------------

EXTREMES = {"max": compute.EltwiseKind.MAX, "min": compute.EltwiseKind.MIN}
OF_ONE_SHAPE = ("add", "sub", "mul", *EXTREMES)
"""Kinds that quant.eltwise has for operands of one shape."""


def ranked(c: Converter, x: SSAValue, rank: int, step: str = "operand") -> SSAValue:
    """The value with ones in front of its shape."""
    shape = types.shape_of(x)
    return c.reshape(x, (1,) * (rank - len(shape)) + shape, step)


def repeated(c: Converter, x: SSAValue, shape: Sequence[int], step: str = "broadcast") -> SSAValue:
    """The value repeated to a shape of its rank, in its own kind of numbers."""
    if types.shape_of(x) == tuple(shape):
        return x
    return c.add(movement.BroadcastOp, [x], types.like(x, shape), step)


def combined(c: Converter, op: Any, kind: str, xs: Sequence[SSAValue]) -> SSAValue:
    """``xs[0] KIND xs[1]`` of values of one rank as the layer's result: in 8 bits where all are,
    else float."""
    top = op.results[0]
    shape = types.shape_of(top)
    integer = kind in OF_ONE_SHAPE and is_integer(c, op)
    if not integer:
        xs = [c.as_float(x) for x in xs]
    alike = all(types.shape_of(x) == shape for x in xs)
    if kind not in OF_ONE_SHAPE or not (alike or integer):
        return binary(c, kind, xs[0], xs[1], like=top)
    xs = [repeated(c, x, shape) for x in xs]
    if kind in EXTREMES:
        return maximum(c, op, xs, EXTREMES[kind])
    if kind == "mul":
        return multiply(c, op, xs)
    return plain_sum(c, op, xs, [1.0, -1.0] if kind == "sub" else None)


def _binary(c: Converter, op: ufw.BinaryOp) -> None:
    xs = [c.value(x) for x in op.bottoms]
    rank = len(types.shape_of(op.top))
    if op.constant is not None:
        xs.append(constant(c, op.constant.array.astype(np.float32), "constant"))
    if op.swapped.value.data:
        xs.reverse()
    c.finish(op, combined(c, op, op.kind.data.value, [ranked(c, x, rank) for x in xs]))


def _select(c: Converter, op: ufw.SelectOp) -> None:
    rank = len(types.shape_of(op.top))
    condition, a, b = (ranked(c, c.as_float(c.value(x)), rank) for x in op.operands)
    condition = function_of(c, "ne(x, 0.0)", condition, "condition")
    c.finish(op, select(c, condition, a, b, like=op.top))


def _parameter(c: Converter, op: ufw.ParameterOp) -> None:
    c.finish(op, constant(c, op.value.array, like=op.top))


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.BinaryOp: _binary,
    ufw.SelectOp: _select,
    ufw.ParameterOp: _parameter,
}
