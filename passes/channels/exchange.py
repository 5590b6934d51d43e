"""What it saves to compute tensors of rows as images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

from xdsl.ir import Operation, SSAValue

from dialects.bm1684.cycles.convolution import Convolution
from dialects.quant import types
from dialects.quant.base import ints
from dialects.quant.compute import ConvOp
from dialects.quant.eltwise import ConstantOp
from dialects.quant.movement import ReshapeOp, SliceOp, TransposeOp
from passes.channels.moved import Moved, NoViewError
from passes.channels.rows import FUNCTIONS, Regions, image_shape, is_inner_product, rows_around

LONG_RUN = 16
"""Numbers beside each other from which on a transposition moves them fast."""
FAST, SLOW = 0.08, 0.21
"""Cycles a number of a transposition, from DDR to DDR, with long runs and without."""
TRANSFER = 0.075
"""Cycles a number on its way to DDR or back. What a product of matrices reads and makes goes there;
images stay in local memory."""


def saved(region: Sequence[SSAValue], regions: Regions) -> float:
    """Cycles that computing all tensors of a region as images saves."""
    convs = {op: None for value in region for op in _products(value, regions)}
    return sum(map(_product_saves, convs)) + sum(_border_saves(x, regions) for x in region)


def _products(value: SSAValue, regions: Regions) -> Iterator[ConvOp]:
    """The inner product that makes a value."""
    made = value.owner.operands[0].owner if isinstance(value.owner, ReshapeOp) else None
    if isinstance(made, ConvOp) and made in regions.ties and is_inner_product(made):
        yield made


def _product_saves(op: ConvOp) -> float:
    """Of a float inner product, which otherwise is one of matrices or a convolution of images of
    one pixel."""
    found = rows_around(op)
    assert found is not None
    _, after = found
    n, outputs, *size = image_shape(types.shape_of(after.y))
    rows, bias, relu = n * prod(size), op.bias is not None, bool(op.relu.value.data)
    plain = Convolution(
        rows, outputs, op.weight.array[0].size, (1, 1), (1, 1), bias=bias, relu=relu, is_float=True
    )
    image = replace(plain, images=n, size=(size[0], size[1]))
    terms = plain.channels + bias
    turned = replace(plain, images=1, outputs=rows, channels=terms, size=(1, outputs), bias=False)
    moved = TRANSFER * rows * (plain.channels + outputs)
    return min(plain.cycles(), turned.cycles()) + moved - image.cycles()


def _border_saves(value: SSAValue, regions: Regions) -> float:
    """Of the transpositions between a tensor and layers outside of its region."""
    shape = types.shape_of(value)
    rows = Moved.of(shape)
    total = 0.0
    if not isinstance(value.owner, Operation) or not regions.is_inside(value.owner):
        made = _made(value)
        if made is not None:
            total += _price(made) - _price(_turned(made, shape))
    image = _turned(Moved.of((shape[0], shape[-1], prod(shape[1:-1]))), None).reshaped(shape)
    outside = [use.operation for use in value.uses if not regions.is_inside(use.operation)]
    if outside:
        total += _reading(outside, rows, image)
    return total


def _turned(moved: Moved, shape: Sequence[int] | None) -> Moved:
    """Rows and features exchanged, of a tensor of rows of a shape or [images, rows, features]."""
    if shape is not None:
        moved = moved.reshaped((shape[0], prod(shape[1:-1]), shape[-1]))
    return moved.transposed((0, 2, 1))


def _made(value: SSAValue) -> Moved | None:
    """A value as a transposition of what it is a view of; None for a constant."""
    path: list[Operation] = []
    while isinstance(value.owner, (ReshapeOp, TransposeOp)):
        path.append(value.owner)
        value = value.owner.x
    if isinstance(value.owner, ConstantOp):
        return None
    moved = Moved.of(types.shape_of(value))
    for op in reversed(path):
        try:
            moved = after(moved, op)
        except NoViewError:
            moved = Moved.of(types.shape_of(op.results[0]))
    return moved


def _reading(ops: Sequence[Operation], rows: Moved, image: Moved) -> float:
    """What readers save that get a transposition of an image for a tensor of rows."""
    total, other = 0.0, False
    for op in ops:
        if not isinstance(op, (*FUNCTIONS, ReshapeOp, SliceOp, TransposeOp)):
            other = True
            continue
        try:
            moved, turned = after(rows, op), after(image, op)
        except NoViewError:
            other = True
        else:
            total += _reading([use.operation for use in op.results[0].uses], moved, turned)
    return total + (_price(rows) - _price(image) if other else 0.0)


def after(moved: Moved, op: Operation) -> Moved:
    """What a view, a transposition, a slice or a function makes of a tensor. Raises NoViewError."""
    if isinstance(op, TransposeOp):
        return moved.transposed(ints(op.order))
    if isinstance(op, ReshapeOp):
        return moved.reshaped(types.shape_of(op.y))
    if isinstance(op, SliceOp):
        return moved.resized(op.axis.value.data, types.shape_of(op.y)[op.axis.value.data])
    return moved


def _price(moved: Moved) -> float:
    """Cycles of a transposition."""
    order = [i for i in moved.order if moved.sizes[i] > 1]
    if order == sorted(order):
        return 0.0
    last = max(order)
    long = order[-1] == last and moved.sizes[last] >= LONG_RUN
    return prod(moved.sizes) * (FAST if long else SLOW)
