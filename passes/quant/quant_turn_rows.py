"""quant-turn-rows: 8-bit inner products of many rows become convolutions whose pixels are rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.base import i64s
from dialects.quant.compute import ConvOp, QuantizeOp
from dialects.quant.movement import ReshapeOp, TransposeOp
from passes.base import NpuFunctionPass
from passes.channels.rows import image_shape
from passes.module.inserting import inserted

LEAST_ROWS = 16
"""A command computes so many pixels at a time."""
Shape = tuple[int, ...]


@dataclass(frozen=True)
class QuantTurnRowsPass(NpuFunctionPass):
    """Lays the rows of an 8-bit matrix out as the pixels of an image, where there are many.

    Before: ``conv`` of [N L, K, 1, 1] between two reshapes from and to tensors of N images: a pixel
    an image, of the 16 that the command computes. After: ``transpose`` to [N, K, L], a 1x1
    ``conv`` and a ``transpose`` back. The integers stay.
    """

    name = "quant-turn-rows"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        turned = _Turned()
        for op in list(function.body.block.ops):
            if isinstance(op, ConvOp):
                found = _matrix(op)
                if found is not None:
                    turned.replace(op, *found)


def _matrix(op: ConvOp) -> tuple[SSAValue, ReshapeOp] | None:
    """What an inner product reads and the reshape of its result, both of N images."""
    whole = types.shape_of(op.x)[2:] == op.kernel and types.shape_of(op.y)[2:] == (1, 1)
    plain = op.group.value.data == 1 and not any(op.pad.get_values())
    if types.is_float(op.x) or not whole or not plain or op.winograd.value.data:
        return None
    before, after = op.x.owner, op.y.get_user_of_unique_use()
    if not isinstance(before, ReshapeOp) or not isinstance(after, ReshapeOp):
        return None
    x, y = types.shape_of(before.x), types.shape_of(after.y)
    terms, outputs = prod(types.shape_of(op.x)[1:]), types.shape_of(op.y)[1]
    rows = types.shape_of(op.x)[0] // x[0]
    alike = x[0] == y[0] and x[-1] == terms and y[-1] == outputs and rows * x[0] == prod(x[:-1])
    fits = max(terms, outputs) <= BM1684.limits.channels
    return (before.x, after) if alike and fits and rows >= LEAST_ROWS else None


@dataclass
class _Turned:
    """The tensors that are laid out as images already."""

    images: dict[tuple[SSAValue, Attribute], SSAValue] = field(
        default_factory=dict[tuple[SSAValue, Attribute], SSAValue]
    )
    """By what they are rounded from, and the type then: layers beside each other round alike."""

    def replace(self, op: ConvOp, x: SSAValue, after: ReshapeOp) -> None:
        shape, outputs = types.shape_of(x), types.shape_of(op.y)[1]
        n, terms = shape[0], shape[-1]
        rows = prod(shape[1:-1])
        source = x.owner.x if isinstance(x.owner, QuantizeOp) else x
        key = (source, x.type)
        if key not in self.images:
            flat = self._reshaped(op, x, (n, rows, terms), "rows")
            turned = self._transposed(op, flat, "turned")
            self.images[key] = self._reshaped(op, turned, image_shape(shape), "image")
        weight = np.ascontiguousarray(op.weight.array.reshape(outputs, terms, 1, 1))
        image = types.like(op.y, image_shape((*shape[:-1], outputs)))
        properties = {**op.properties, "weight": ConstantAttr.of(weight)}
        y = inserted(op, ConvOp, [self.images[key]], image, "convolved", **properties)
        y = self._transposed(op, self._reshaped(op, y, (n, outputs, rows), "channels"), "back")
        y = inserted(op, ReshapeOp, [y], after.y.type, "", tops=after.tops)
        after.y.replace_all_uses_with(y)
        for old in (after, op, op.x.owner, x.owner):
            if isinstance(old, (ConvOp, ReshapeOp, QuantizeOp)) and not list(old.results[0].uses):
                old.detach()
                old.erase()

    def _reshaped(self, op: ConvOp, x: SSAValue, shape: Shape, step: str) -> SSAValue:
        if types.shape_of(x) == shape:
            return x
        return inserted(op, ReshapeOp, [x], types.like(x, shape), step)

    def _transposed(self, op: ConvOp, x: SSAValue, step: str) -> SSAValue:
        n, a, b = types.shape_of(x)
        kind = types.like(x, (n, b, a))
        return inserted(op, TransposeOp, [x], kind, step, order=i64s([0, 2, 1]))
