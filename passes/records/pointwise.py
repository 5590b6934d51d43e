"""Element-wise layers as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import f32

from dialects.bm1684.record import pointwise
from dialects.bm1684.record.base import Shape
from dialects.expression import ROUND
from dialects.quant import eltwise, types
from dialects.quant.arithmetic import rounding_shift, saturate
from dialects.quant.base import QuantOp, ints
from dialects.quant.compute import (
    DequantizeOp,
    EltwiseKind,
    EltwiseOp,
    LookupOp,
    PReluOp,
    QuantizeOp,
    RequantizeOp,
)
from passes.records.recorder import NoRecord, Recorder, byte_values, eight, element_of

CODES = {
    "add": pointwise.ADD, "sub": pointwise.SUB, "mul": pointwise.MUL, "div": pointwise.DIV,
    "max": pointwise.MAX, "min": pointwise.MIN, "gt": pointwise.GREATER,
    "ge": pointwise.GREATER_EQUAL, "lt": pointwise.LESS, "le": pointwise.LESS_EQUAL,
    "eq": pointwise.EQUAL, "ne": pointwise.NOT_EQUAL,
}  # fmt: skip
HALF_UP = 2.0**-12
"""Added to a sum in units of 2^-7 or coarser it makes halves round upwards, and moves nothing
else."""
SUM_BITS = 32767.0


def with_number(
    c: Recorder, code: int, x: Any, value: float, *, inversed: bool = False
) -> Any:
    """``x OP value`` of floats; ``inversed``: ``value OP x``."""
    return c.one(
        pointwise.ConstBinaryOp, [x], f32, value=float(np.float32(value)), op=code,
        inversed=int(inversed),
    )  # fmt: skip


def combined(
    c: Recorder, code: int, a: Any, b: Any, element: Any = f32, **settings: Any
) -> Any:
    """``a OP b``."""
    return c.one(pointwise.BinaryOp, [a, b], element, **_shapes(c, a, b), op=code, **settings)


def _shapes(c: Recorder, a: Any, b: Any) -> dict[str, Any]:
    first, second = c.shapes[a][0], c.shapes[b][0]
    return {
        "a_rank": len(first), "a_shape": eight(first), "b_rank": len(second),
        "b_shape": eight(second),
    }  # fmt: skip


def with_constant(
    c: Recorder, code: int, a: Any, b: Any, shape: Shape, *, first: bool = False
) -> Any:
    """``a OP b`` with a float32 coefficient b; ``first``: ``b OP a``."""
    mine, its = (("b", "a") if first else ("a", "b"))
    settings: dict[str, Any] = {
        f"{mine}_rank": len(c.shapes[a][0]), f"{mine}_shape": eight(c.shapes[a][0]),
        f"{its}_rank": len(shape), f"{its}_shape": eight(shape), f"{its}_is_coefficient": 1,
    }  # fmt: skip
    return c.one(pointwise.BinaryOp, [a], f32, op=code, coefficients={its: b}, **settings)


# -- 8 bits and float ------------------------------------------------------------------------------


def quantize(c: Recorder, ops: Sequence[QuantizeOp]) -> None:
    """Times 1 / scale, to the nearest whole number with halves to even, saturated."""
    op = ops[0]
    scale = types.scale_of(op.y)
    assert scale is not None
    x = with_number(c, pointwise.MUL, c.value(op.x), float(np.float32(1.0 / scale)))
    x = with_number(c, pointwise.ADD, x, ROUND)
    x = with_number(c, pointwise.SUB, x, ROUND)
    c.values[op.y] = c.converted(x, element_of(op.y))


def dequantize(c: Recorder, ops: Sequence[DequantizeOp]) -> None:
    op = ops[0]
    table = op.result_of(_bytes(op.x))
    c.values[op.y] = c.looked_up(c.value(op.x), table, f32)


def _bytes(value: Any) -> Any:
    """All 256 byte patterns in the type of a value."""
    return np.arange(256, dtype=np.uint8).view(types.dtype_of(value))


def lookup(c: Recorder, ops: Sequence[LookupOp | RequantizeOp | PReluOp]) -> None:
    """Any function of one 8-bit number: a table."""
    op = ops[0]
    table = op.result_of(_bytes(op.x)).view(np.uint8)
    c.values[op.y] = c.looked_up(c.value(op.x), table, element_of(op.y))


def prelu(c: Recorder, ops: Sequence[PReluOp]) -> None:
    op = ops[0]
    x, element, slope = c.value(op.x), element_of(op.y), op.slope.array
    if element == f32:
        c.values[op.y] = _float_prelu(c, op, x)
        return
    if slope.size == 1:
        lookup(c, ops)
        return
    settings: dict[str, Any] = {"input_sign": 1, "output_sign": 1, "slope_sign": 1}
    if (op.multiplier.value.data, op.multiplier_shift.value.data) == (1, 0):
        c.values[op.y] = c.one(
            pointwise.PReluOp, [x], element, channels=slope.size, shift=op.shift.value.data,
            coefficients={"slope": slope.astype(np.int8)}, **settings,
        )  # fmt: skip
        return
    # Positive numbers through a table, negative ones through slopes; one of both is 0.
    numbers = byte_values(unsigned=False)
    kind = types.dtype_of(op.y)
    product = np.maximum(numbers, 0) * op.multiplier.value.data
    table = saturate(rounding_shift(product, op.multiplier_shift.value.data), kind)
    positive = c.looked_up(x, table.view(np.uint8), element)
    negative = c.looked_up(x, np.minimum(numbers, 0).astype(np.int8).view(np.uint8), element)
    negative = c.one(
        pointwise.PReluOp, [negative], element, channels=slope.size, shift=op.shift.value.data,
        coefficients={"slope": slope.astype(np.int8)}, **settings,
    )  # fmt: skip
    c.values[op.y] = combined(c, pointwise.ADD, positive, negative, element)


def _float_prelu(c: Recorder, op: PReluOp, x: Any) -> Any:
    slope = op.slope.array.astype(np.float32)
    if op.upper is not None:
        x = with_number(c, pointwise.MAX, x, 0.0)
        return with_number(c, pointwise.MIN, x, op.upper.value.data)
    shape = c.shapes[x][0]
    channels = shape[1] if len(shape) > 1 else 1
    if slope.size == 1:
        return c.one(
            pointwise.PReluOp, [x], f32, channels=channels, shared=1, slope=float(slope[0])
        )
    return c.one(
        pointwise.PReluOp, [x], f32, channels=channels, coefficients={"slope": slope}
    )


# -- several operands ------------------------------------------------------------------------------


def eltwise_layer(c: Recorder, ops: Sequence[EltwiseOp]) -> None:
    op = ops[0]
    xs = [c.value(x) for x in op.xs]
    if element_of(op.y) == f32:
        c.values[op.y] = _float_eltwise(c, op, xs)
    elif op.kind.data is EltwiseKind.SUM:
        c.values[op.y] = _integer_sum(c, op, xs)
    else:
        c.values[op.y] = _integer_others(c, op, xs)


def _float_eltwise(c: Recorder, op: EltwiseOp, xs: list[Any]) -> Any:
    factors = [1.0] * len(xs)
    if op.coefficients is not None and op.kind.data is EltwiseKind.SUM:
        factors = [float(f) for f in op.coefficients.get_values()]
    code = CODES[{"sum": "add", "product": "mul"}.get(op.kind.data, op.kind.data)]
    y = xs[0] if factors[0] == 1 else with_number(c, pointwise.MUL, xs[0], factors[0])
    for x, factor in zip(xs[1:], factors[1:], strict=True):
        if factor == -1:
            y = combined(c, pointwise.SUB, y, x)
            continue
        x = x if factor == 1 else with_number(c, pointwise.MUL, x, factor)
        y = combined(c, code, y, x)
    if len(xs) == 1 and factors[0] == 1:
        y = with_number(c, pointwise.ADD, y, 0.0)
    return with_number(c, pointwise.MAX, y, 0.0) if op.relu.value.data else y


def _integer_sum(c: Recorder, op: EltwiseOp, xs: list[Any]) -> Any:
    """In float, where every step is exact: products from tables, sums that saturate at 16 bits,
    and a rounding with halves upwards."""
    assert op.multipliers is not None
    shift = op.shift.value.data
    unit = 2.0**-shift
    total: Any = None
    for index, (x, factor) in enumerate(zip(xs, ints(op.multipliers), strict=True)):
        numbers = np.clip(byte_values(element_of(x) == types.ui8) * factor, -32768, 32767)
        part = c.looked_up(x, (numbers * unit).astype(np.float32), f32)
        total = part if total is None else combined(c, pointwise.ADD, total, part)
        if 0 < index < len(xs) - 1:  # the last one saturates at 8 bits
            total = with_number(c, pointwise.MIN, total, SUM_BITS * unit)
            total = with_number(c, pointwise.MAX, total, -(SUM_BITS + 1) * unit)
    if shift:
        total = with_number(c, pointwise.ADD, total, HALF_UP)
    return c.converted(total, element_of(op.y))


def _integer_others(c: Recorder, op: EltwiseOp, xs: list[Any]) -> Any:
    element = element_of(op.y)
    y = xs[0]
    for x in xs[1:]:
        signs = {
            "a_sign": int(element_of(y) != types.ui8), "b_sign": int(element_of(x) != types.ui8),
            "output_sign": int(element != types.ui8), "relu": int(element == types.ui8),
        }  # fmt: skip
        if op.kind.data is EltwiseKind.PRODUCT:
            shift = op.shift.value.data + 1  # of twice the product, which then has 32 bits
            y = combined(
                c, pointwise.MUL, y, x, element, a_scale=2, a_shift=shift, **signs
            )
        else:
            y = combined(c, CODES[op.kind.data], y, x, element, **signs)
    return y


def binary(c: Recorder, ops: Sequence[eltwise.BinaryOp]) -> None:
    op = ops[0]
    if op.kind.data == "pow":
        raise NoRecord("a power whose exponent is a tensor has no record")
    code = CODES[op.kind.data.value]
    places = [c.constants.get(x) for x in (op.a, op.b)]
    if places[1] is not None:
        c.values[op.y] = with_constant(c, code, c.value(op.a), places[1], places[1].shape)
    elif places[0] is not None:
        y = with_constant(c, code, c.value(op.b), places[0], places[0].shape, first=True)
        c.values[op.y] = y
    else:
        c.values[op.y] = combined(c, code, c.value(op.a), c.value(op.b))


def select(c: Recorder, ops: Sequence[eltwise.SelectOp]) -> None:
    """One record for one shape of rank 4 at most; else both are masked and added, as
    ``b + mask * (a - b)`` is not exact."""
    op = ops[0]
    mask = with_number(c, pointwise.GREATER, c.value(op.condition), 0.0)
    xs = [mask, c.value(op.a), c.value(op.b)]
    if all(c.shapes[x] == c.shapes[mask] for x in xs) and len(c.shapes[mask][0]) <= 4:
        c.values[op.y] = c.one(pointwise.SelectOp, xs, f32)
        return
    other = with_number(c, pointwise.SUB, mask, 1.0, inversed=True)
    a = combined(c, pointwise.MUL, mask, c.value(op.a))
    b = combined(c, pointwise.MUL, other, c.value(op.b))
    c.values[op.y] = combined(c, pointwise.ADD, a, b)


POINTWISE: dict[type[QuantOp], Any] = {
    QuantizeOp: quantize,
    DequantizeOp: dequantize,
    LookupOp: lookup,
    RequantizeOp: lookup,
    PReluOp: prelu,
    EltwiseOp: eltwise_layer,
    eltwise.BinaryOp: binary,
    eltwise.SelectOp: select,
}
