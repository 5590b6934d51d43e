"""quant-turn-rows: 8-bit inner products of many rows become convolutions whose pixels are rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, SSAValue

from dialects.quant import types
from dialects.quant.base import i64s
from dialects.quant.compute import ConvOp, QuantizeOp
from dialects.quant.movement import ReshapeOp, TransposeOp
from passes.base import NpuFunctionPass
from passes.channels.rows import fits, image_shape, is_inner_product, on_images, rows_around
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
    found = rows_around(op)
    if found is None or types.is_float(op.x) or not is_inner_product(op):
        return None
    before, after = found
    many = prod(types.shape_of(before.x)[1:-1]) >= LEAST_ROWS
    return (before.x, after) if many and fits(before.x) and fits(after.y) else None


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
        image = types.like(op.y, image_shape((*shape[:-1], outputs)))
        y = inserted(op, ConvOp, [self.images[key]], image, "convolved", **on_images(op))
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
