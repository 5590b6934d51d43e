"""Layers that move data or do nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xdsl.ir import Operation

from dialects.quant import compute, movement, types
from dialects.quant.base import int_attr
from dialects.ufw import ops as ufw
from passes.layers.converter import Converter


def _concat(c: Converter, op: ufw.ConcatOp) -> None:
    xs = [c.value(x) for x in op.bottoms]
    required = types.tensor_type(op.top)
    if any(types.is_float(x) for x in xs):
        required = types.float_like(op.top)
    fitted = [c.fit(x, required, f"operand{i}") for i, x in enumerate(xs)]
    axis = int_attr(op.axis.value.data)
    c.finish(op, c.add(movement.ConcatOp, fitted, required, axis=axis))


def _slice(c: Converter, op: ufw.SliceOp) -> None:
    x, axis, begin = c.value(op.bottom), op.axis.value.data, 0
    for piece, name in zip(op.pieces, op.top_names, strict=True):
        shape = types.shape_of(piece)
        c.top = name
        settings = {"axis": int_attr(axis), "begin": int_attr(begin)}
        value = c.add(movement.SliceOp, [x], types.like(x, shape), **settings)
        c.values[piece] = c.fit(value, types.tensor_type(piece), "requantize")
        begin += shape[axis]


def _split(c: Converter, op: ufw.SplitOp) -> None:
    for copy in op.copies:
        c.values[copy] = c.fit(c.value(op.bottom), types.tensor_type(copy), "requantize")


def _reshape(c: Converter, op: ufw.FlattenOp | ufw.ReshapeOp) -> None:
    c.finish(op, c.reshape(c.value(op.bottom), types.shape_of(op.top)))


def _permute(c: Converter, op: ufw.PermuteOp) -> None:
    x = c.value(op.bottom)
    result = types.like(x, types.shape_of(op.top))
    c.finish(op, c.add(movement.TransposeOp, [x], result, order=op.order))


def _cast(c: Converter, op: ufw.CastOp) -> None:
    x, kind = c.as_float(c.value(op.bottom)), types.tensor_type(op.top)
    c.values[op.top] = c.add(compute.CastOp, [x], kind)


def _silence(c: Converter, op: ufw.SilenceOp) -> None:
    """Reads blobs so that they are no outputs; nothing to compute."""


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.CastOp: _cast,
    ufw.ConcatOp: _concat,
    ufw.SliceOp: _slice,
    ufw.SplitOp: _split,
    ufw.FlattenOp: _reshape,
    ufw.ReshapeOp: _reshape,
    ufw.PermuteOp: _permute,
    ufw.SilenceOp: _silence,
}
