"""Arithmetic, comparison and choice of float tensors that repeat as in numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.expression import X, Y, any_power, greater, maximum
from dialects.quant import types
from dialects.quant.base import Array
from dialects.quant.eltwise import BinaryOp, BroadcastingOp, ConstantOp, SelectOp
from passes.kernels.builder import TileBuilder
from passes.kernels.elementwise.broadcast import each_tile, repeats, solid
from passes.kernels.expression import buffers_alive, compute_steps, schedule
from passes.kernels.movement.copies import copy_words, fill_flat
from passes.kernels.storage import storage

SCRATCH = 3
"""Buffers for the result and for operands that must not repeat."""
TINY = float(np.finfo(np.float32).tiny)
POWER_STEPS = schedule(any_power(maximum(X, TINY), Y) * greater(X, 0.0))
POWER_SCRATCH = SCRATCH + buffers_alive(POWER_STEPS)
Target = Callable[[], SSAValue]


def _lower(
    b: TileBuilder,
    op: BroadcastingOp,
    sources: Sequence[SSAValue],
    dest: SSAValue,
    scratch: int,
    emit: Callable[[TileBuilder, Target, list[SSAValue]], SSAValue],
) -> None:
    shapes = [types.shape_of(x) for x in op.operands]
    each_tile(
        b, shapes, types.shape_of(op.results[0]), sources, dest, scratch,
        lambda b, shape, xs: emit(b, lambda: b.local(f32, shape), xs),
    )  # fmt: skip


def lower_binary(
    b: TileBuilder, op: BinaryOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """One or two commands a tile; division takes operands that do not repeat."""
    kind = op.kind.data.value

    def emit(b: TileBuilder, target: Target, xs: list[SSAValue]) -> SSAValue:
        return _EMIT.get(kind, _arith)(b, kind, target, xs[0], xs[1])

    scratch = POWER_SCRATCH if kind == "pow" else SCRATCH
    _lower(b, op, sources, dest, scratch, emit)


def lower_select(
    b: TileBuilder, op: SelectOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """One command a tile, besides copies of what repeats."""

    def emit(b: TileBuilder, target: Target, xs: list[SSAValue]) -> SSAValue:
        condition, first, second = (solid(b, x) for x in xs)
        return b.select(target(), condition, 0.0, first, second)

    _lower(b, op, sources, dest, SCRATCH + 1, emit)


def lower_constant(
    b: TileBuilder, op: ConstantOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A copy of what lies beside the weights, or one number everywhere."""
    words = _words(op)
    if is_uniform(op):
        fill_flat(b, dest, words.size, 4, int(words.flat[0]))
    else:
        copy_words(b, beside_weights(b, op), dest, words.size)


def is_uniform(op: ConstantOp) -> bool:
    """Whether a constant is one number everywhere."""
    words = _words(op)
    return bool((words == words.flat[0]).all())


def beside_weights(b: TileBuilder, op: ConstantOp) -> SSAValue:
    """A constant where it lies in DDR."""
    return b.view(b.constant(_words(op).reshape(1, 1, 1, -1)), storage(op.y))


def _words(op: ConstantOp) -> Array:
    return np.ascontiguousarray(op.value.array).view(np.uint32)


COMMUTES = ("add", "mul", "max", "min", "eq")


def _arith(b: TileBuilder, kind: str, target: Target, x: SSAValue, y: SSAValue) -> SSAValue:
    """``x KIND y``; only the second may repeat."""
    if kind in COMMUTES and repeats(x) and not repeats(y):
        x, y = y, x
    return b.arith(kind, target(), solid(b, x), y)


def _less(b: TileBuilder, kind: str, target: Target, x: SSAValue, y: SSAValue) -> SSAValue:
    return _arith(b, "gt", target, y, x)


def _opposite(b: TileBuilder, kind: str, target: Target, x: SSAValue, y: SSAValue) -> SSAValue:
    """1 less the opposite comparison."""
    if kind == "ge":
        x, y = y, x
    result = _arith(b, "eq" if kind == "ne" else "gt", target, x, y)
    return b.scalar("sub", result, result, first=1.0)


def _divide(b: TileBuilder, kind: str, target: Target, x: SSAValue, y: SSAValue) -> SSAValue:
    return b.scalar("div", target(), solid(b, x), solid(b, y))


def _power(b: TileBuilder, kind: str, target: Target, x: SSAValue, y: SSAValue) -> SSAValue:
    return compute_steps(b, POWER_STEPS, solid(b, x), solid(b, y))


_EMIT = {
    "lt": _less, "ge": _opposite, "le": _opposite, "ne": _opposite, "div": _divide, "pow": _power,
}  # fmt: skip
