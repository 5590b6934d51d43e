"""Which tensors of rows, [images, rows, ..., features], have to lie alike, and what they meet.

A layer that works row by row, or number by number, works on images [images, features, rows, ...] as
well, if all that it reads and makes lies so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod

import numpy as np
from xdsl.ir import Attribute, Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.base import ints
from dialects.quant.compute import (
    ConvOp,
    DequantizeOp,
    LookupOp,
    PointwiseFunctionOp,
    QuantizeOp,
    RequantizeOp,
)
from dialects.quant.eltwise import BinaryOp, ConstantOp, EltwiseOp
from dialects.quant.movement import ConcatOp, ReshapeOp, SliceOp
from dialects.quant.reductions.reduce import ReduceKind, ReduceOp

LEAST_RANK = 3
Shape = tuple[int, ...]
Values = Sequence[SSAValue]
FUNCTIONS = (DequantizeOp, LookupOp, PointwiseFunctionOp, QuantizeOp, RequantizeOp)
"""Functions of each number: they do not care where it lies."""


def image_shape(shape: Sequence[int]) -> Shape:
    """[images, features, height, width] of a tensor of rows; two dimensions of rows stay."""
    n, *rows, features = shape
    return (n, features, *rows) if len(rows) == 2 else (n, features, prod(rows), 1)


def fits(value: SSAValue) -> bool:
    """Whether the commands take a tensor of rows as images."""
    shape, limits = types.shape_of(value), BM1684.limits
    if len(shape) < LEAST_RANK:
        return False
    n, channels, height, width = image_shape(shape)
    sizes = ((n, limits.batch), (channels, limits.channels), (height, limits.height),
             (width, limits.width))  # fmt: skip
    return all(size <= limit for size, limit in sizes)


def image_axis(axis: int, rank: int) -> int | None:
    """Where an axis of a tensor of rows is in its images; None for one that is not alone there."""
    if axis == rank - 1:
        return 1
    return axis + 1 if 0 < axis < rank - 1 and rank <= 4 else None


def rows_around(op: ConvOp) -> tuple[ReshapeOp, ReshapeOp] | None:
    """The reshapes before and behind a convolution of rows that are images of one pixel each."""
    before, after = op.x.owner, op.y.get_user_of_unique_use()
    if not isinstance(before, ReshapeOp) or not isinstance(after, ReshapeOp):
        return None
    x, y = types.shape_of(before.x), types.shape_of(after.y)
    terms, outputs = prod(types.shape_of(op.x)[1:]), types.shape_of(op.y)[1]
    whole = types.shape_of(op.x)[2:] == op.kernel and types.shape_of(op.y)[2:] == (1, 1)
    plain = not any(op.pad.get_values()) and not op.winograd.value.data
    alike = len(x) >= LEAST_RANK and x[:-1] == y[:-1] and (x[-1], y[-1]) == (terms, outputs)
    return (before, after) if whole and plain and alike else None


def is_inner_product(op: ConvOp) -> bool:
    """Whether each row is multiplied by a matrix."""
    return op.group.value.data == 1


def _is_scale(op: ConvOp) -> bool:
    """Whether each feature has a factor of its own."""
    return op.group.value.data == op.weight.array.size == types.shape_of(op.x)[1]


def on_images(op: ConvOp) -> dict[str, Attribute]:
    """The properties of the 1x1 convolution of images that one of rows becomes; its window covered
    the whole map, so that steps and gaps of the window meant nothing."""
    weight = op.weight.array
    pixel = ConstantAttr.of(np.ascontiguousarray(weight.reshape(len(weight), -1, 1, 1)))
    given = {n: x for n, x in op.properties.items() if n not in ("tops", "stride", "dilation")}
    return {**given, "weight": pixel}


def _conv(op: ConvOp) -> Values:
    found = rows_around(op)
    if found is None or not (_is_scale(op) or (is_inner_product(op) and types.is_float(op.x))):
        return ()
    before, after = found
    return before.x, after.y


def _function(op: Operation) -> Values:
    return *op.operands, *op.results


def _binary(op: BinaryOp) -> Values:
    """Operands of all rows or of a single one, of all features or of a single one."""
    if not fits(op.y):
        return ()
    n, *rows, features = types.shape_of(op.y)
    for operand in op.operands:
        images, *some, last = types.shape_of(operand)
        constant = isinstance(operand.owner, ConstantOp)
        whole = some == rows or (prod(some) == 1 and (constant or images == n))
        if last not in (1, features) or not whole or (images != n and not constant):
            return ()
    return op.a, op.b, op.y


def _reduce(op: ReduceOp) -> Values:
    last = len(types.shape_of(op.x)) - 1
    return (op.x, op.y) if op.kind.data is ReduceKind.SUM and ints(op.axes) == (last,) else ()


def _reshape(op: ReshapeOp) -> Values:
    """Rows that are counted otherwise."""
    x, y = types.shape_of(op.x), types.shape_of(op.y)
    same = len(x) >= LEAST_RANK <= len(y) and (x[0], x[-1]) == (y[0], y[-1])
    return (op.x, op.y) if same else ()


def _along_axis(op: SliceOp | ConcatOp) -> Values:
    moved = image_axis(op.axis.value.data, len(types.shape_of(op.results[0])))
    return () if moved is None else (*op.operands, *op.results)


TIES: dict[type[Operation], Callable[..., Values]] = {
    **dict.fromkeys((*FUNCTIONS, EltwiseOp), _function),
    ConvOp: _conv,
    BinaryOp: _binary,
    ReduceOp: _reduce,
    ReshapeOp: _reshape,
    SliceOp: _along_axis,
    ConcatOp: _along_axis,
}


def tied(op: Operation) -> Values:
    """What an op reads and makes, if all of that may be images; else nothing."""
    ties = TIES.get(type(op))
    if ties is None or op.attributes:
        return ()
    values = ties(op)
    return values if all(map(fits, values)) else ()


class Regions:
    """Tensors that ops tie together. ``ties``: what each of these ops reads and makes;
    ``reshapes``: those between a convolution of rows and its tensors, which belong to it."""

    def __init__(self, ops: Sequence[Operation]) -> None:
        self.ties = {op: values for op in ops if (values := tied(op))}
        self.reshapes = {
            reshape for op in self.ties if isinstance(op, ConvOp) for reshape in self._inner(op)
        }
        self._above: dict[SSAValue, SSAValue] = {}
        for values in self.ties.values():
            for other in values:
                self._above[self._root(other)] = self._root(values[0])

    def _inner(self, op: ConvOp) -> Iterator[Operation]:
        found = rows_around(op)
        assert found is not None
        before, after = found
        yield after
        if all(use.operation in self.ties for use in before.y.uses):
            yield before

    def is_inside(self, op: Operation) -> bool:
        """Whether an op becomes one of images together with what it reads and makes."""
        return op in self.ties or op in self.reshapes

    def __iter__(self) -> Iterator[list[SSAValue]]:
        found: dict[SSAValue, list[SSAValue]] = {}
        for value in list(self._above):
            found.setdefault(self._root(value), []).append(value)
        return iter(found.values())

    def _root(self, value: SSAValue) -> SSAValue:
        while (above := self._above.setdefault(value, value)) is not value:
            self._above[value] = self._above[above]
            value = above
        return value
