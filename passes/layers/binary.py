"""Adds float arithmetic of several tensors that repeat as in numpy."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from dialects.function_properties import function_properties
from dialects.quant import types
from dialects.quant.eltwise import BinaryKind, BinaryKindAttr, BinaryOp, SelectOp
from dialects.quant.functions import PointwiseFunctionOp
from passes.layers.converter import Converter


def broadcast_shape(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape of what operands of one rank make together."""
    return tuple(max(extents) for extents in zip(*shapes, strict=True))


def binary(c: Converter, kind: str, a: SSAValue, b: SSAValue, step: str = "") -> SSAValue:
    """``a KIND b`` of two float values of one rank, where an extent of 1 repeats. ``kind`` is a
    BinaryKind; a comparison gives 1 or 0. Without a ``step`` it is the layer's result."""
    shape = broadcast_shape(types.shape_of(a), types.shape_of(b))
    attr = BinaryKindAttr(BinaryKind(kind))
    return c.add(BinaryOp, [a, b], types.float_tensor(shape), step, kind=attr)


def select(
    c: Converter, condition: SSAValue, a: SSAValue, b: SSAValue, step: str = ""
) -> SSAValue:
    """``condition > 0 ? a : b`` of float values of one rank, where an extent of 1 repeats."""
    shape = broadcast_shape(*(types.shape_of(x) for x in (condition, a, b)))
    return c.add(SelectOp, [condition, a, b], types.float_tensor(shape), step)


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
