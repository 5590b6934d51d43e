"""quant-channels-first: what is computed row by row is computed on images, where that pays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseArrayBase, f32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Operation, SSAValue

from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.base import CHANNELS_LAST, QuantOp, i64s, int_attr
from dialects.quant.compute import ConvOp
from dialects.quant.eltwise import (
    BinaryKind,
    BinaryOp,
    ConstantOp,
    EltwiseKind,
    EltwiseKindAttr,
    EltwiseOp,
)
from dialects.quant.movement import ConcatOp, ReshapeOp, SliceOp, TransposeOp
from dialects.quant.reductions.reduce import ReduceOp
from passes.base import NpuFunctionPass
from passes.channels.exchange import saved
from passes.channels.rows import (
    FUNCTIONS,
    Regions,
    image_axis,
    image_shape,
    on_images,
    rows_around,
)
from passes.module.inserting import inserted

Array = NDArray[Any]
Operands = Sequence[SSAValue | Sequence[SSAValue]]
OF_ONE_SHAPE: Mapping[BinaryKind, Mapping[str, Attribute]] = {
    BinaryKind.ADD: {"kind": EltwiseKindAttr(EltwiseKind.SUM)},
    BinaryKind.MUL: {"kind": EltwiseKindAttr(EltwiseKind.PRODUCT)},
    BinaryKind.SUB: {
        "kind": EltwiseKindAttr(EltwiseKind.SUM),
        "coefficients": DenseArrayBase.from_list(f32, [1.0, -1.0]),
    },
}
"""What is an ``eltwise`` where both operands have one shape."""


@dataclass(frozen=True)
class QuantChannelsFirstPass(NpuFunctionPass):
    """Computes tensors of rows, whose features come last, as images, whose channels come first.

    Before: inner products, normalisations and functions of [images, rows, features], as in a
    transformer or behind a transposition to channels last, and transpositions around them. After:
    1x1 convolutions and the rest on [images, features, rows, 1] (or [images, features, height,
    width]), a sum over features is a convolution with ones; a ``transpose`` where another layer
    reads or makes rows. Tensors that layers tie together change alike, if that saves cycles.
    ``quant.channels_last`` tells the compare what a tensor is in the network.
    """

    name = "quant-channels-first"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        ops = list(function.body.block.ops)
        regions = Regions(ops)
        gains = [(saved(region, regions), i, region) for i, region in enumerate(regions)]
        for gain, _, region in sorted(gains, reverse=True):
            if gain > 0 and saved(region, regions) > 0:
                _Images({*region}).compute(ops, regions)


@dataclass
class _Images:
    """The tensors of a region as images."""

    region: set[SSAValue]
    images: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    spread: dict[tuple[SSAValue, int], SSAValue] = field(
        default_factory=dict[tuple[SSAValue, int], SSAValue]
    )
    """A tensor of one feature repeated to so many."""

    def compute(self, ops: list[Operation], regions: Regions) -> None:
        """Makes images of all ops that tie the tensors together."""
        replaced: list[tuple[QuantOp, SSAValue]] = []
        for op in ops:
            values = regions.ties.get(op, ())
            if values and values[0] in self.region:
                assert isinstance(op, QuantOp)
                made = values[-1].owner
                assert isinstance(made, QuantOp)
                self.images[values[-1]] = BUILDERS[type(op)](self, op, made)
                replaced.append((op, values[-1]))
        for op, value in reversed(replaced):
            self._drop(op, value)

    def _drop(self, op: QuantOp, value: SSAValue) -> None:
        """Removes an op; who is left to read its result gets a transposition of the image."""
        made = value.owner
        assert isinstance(made, QuantOp)
        if value.first_use is not None:
            value.replace_all_uses_with(self._rows(made, value))
        before = [op.x.owner] if isinstance(op, ConvOp) else []
        for old in dict.fromkeys((made, op, *before)):
            if isinstance(old, QuantOp) and old.results[0].first_use is None:
                old.detach()
                old.erase()

    def _rows(self, op: QuantOp, value: SSAValue) -> SSAValue:
        """A tensor of rows from its image."""
        n, *rows, features = shape = types.shape_of(value)
        flat = n, features, prod(rows)
        y = _reshaped(op, self.images[value], flat, "channels")
        kind = types.like(value, (n, prod(rows), features))
        y = inserted(op, TransposeOp, [y], kind, "last", order=i64s((0, 2, 1)))
        if _is_output(value):
            return inserted(op, ReshapeOp, [y], types.like(value, shape), "", tops=op.tops)
        return _reshaped(op, y, shape, "back")

    def image(self, before: QuantOp, value: SSAValue) -> SSAValue:
        """The image of a tensor of rows, for an op that stands behind it."""
        if value not in self.images:
            n, *rows, features = shape = types.shape_of(value)
            if isinstance(value.owner, ConstantOp):
                array = value.owner.value.array
                return _constant(before, value, array)
            x = _reshaped(before, value, (n, prod(rows), features), "rows")
            kind = types.like(value, (n, features, prod(rows)))
            x = inserted(before, TransposeOp, [x], kind, "turned", order=i64s((0, 2, 1)))
            self.images[value] = _reshaped(before, x, image_shape(shape), "image")
        return self.images[value]

    def repeated(self, before: QuantOp, value: SSAValue, features: int) -> SSAValue:
        """The image of a tensor of rows with its one feature in all of so many channels."""
        x = self.image(before, value)
        n, given, *size = types.shape_of(x)
        if given == features:
            return x
        key = value, features
        if key not in self.spread:
            ones = np.ones((features, 1, 1, 1), np.float32)
            self.spread[key] = _convolved(
                before, x, types.like(x, (n, features, *size)), "repeated", ones
            )
        return self.spread[key]

    def made(
        self, op: QuantOp, made: type[QuantOp], xs: Operands, of: QuantOp, /,
        **properties: Attribute,
    ) -> SSAValue:
        """The image of the result of ``of``, with its name unless that is an output's."""
        value = of.results[0]
        image = types.like(value, image_shape(types.shape_of(value)))
        if _is_output(value):
            return inserted(op, made, xs, image, "image", **properties)
        y = inserted(op, made, xs, image, "", **{**properties, "tops": of.tops})
        assert isinstance(y.owner, Operation)
        y.owner.attributes[CHANNELS_LAST] = i64s(types.shape_of(value))
        return y


def _is_output(value: SSAValue) -> bool:
    return any(isinstance(use.operation, ReturnOp) for use in value.uses)


def _reshaped(before: QuantOp, x: SSAValue, shape: tuple[int, ...], step: str) -> SSAValue:
    if types.shape_of(x) == shape:
        return x
    return inserted(before, ReshapeOp, [x], types.like(x, shape), step)


def _constant(before: QuantOp, like: SSAValue, rows: Array) -> SSAValue:
    """The image of constant rows, of the element type of another value."""
    array = np.moveaxis(rows, -1, 1).reshape(image_shape(rows.shape))
    value = ConstantAttr.of(np.ascontiguousarray(array))
    return inserted(before, ConstantOp, [], types.like(like, array.shape), "image", value=value)


def _convolved(
    before: QuantOp, x: SSAValue, kind: Attribute, step: str, weight: Array
) -> SSAValue:
    return inserted(before, ConvOp, [x], kind, step, weight=ConstantAttr.of(weight))


# -- one op as it is on images ---------------------------------------------------------------------


def _properties(op: QuantOp) -> dict[str, Attribute]:
    return {name: each for name, each in op.properties.items() if name != "tops"}


def _alike(images: _Images, op: QuantOp, of: QuantOp) -> SSAValue:
    xs = [images.image(op, x) for x in op.operands]
    operands = [xs] if isinstance(op, EltwiseOp) else xs
    return images.made(op, type(op), operands, of, **_properties(op))


def _along_axis(images: _Images, op: SliceOp | ConcatOp, of: QuantOp) -> SSAValue:
    axis = image_axis(op.axis.value.data, len(types.shape_of(op.results[0])))
    assert axis is not None
    xs = [images.image(op, x) for x in op.operands]
    operands = [xs] if isinstance(op, ConcatOp) else xs
    return images.made(op, type(op), operands, of, **{**_properties(op), "axis": int_attr(axis)})


def _conv(images: _Images, op: ConvOp, of: QuantOp) -> SSAValue:
    found = rows_around(op)
    assert found is not None
    before, _ = found
    return images.made(op, ConvOp, [images.image(op, before.x)], of, **on_images(op))


def _reduce(images: _Images, op: ReduceOp, of: QuantOp) -> SSAValue:
    x = images.image(op, op.x)
    ones = ConstantAttr.of(np.ones((1, types.shape_of(x)[1], 1, 1), np.float32))
    return images.made(op, ConvOp, [x], of, weight=ones)


def _reshape(images: _Images, op: ReshapeOp, of: QuantOp) -> SSAValue:
    return images.made(op, ReshapeOp, [images.image(op, op.x)], of)


def _binary(images: _Images, op: BinaryOp, of: QuantOp) -> SSAValue:
    kind, features = op.kind.data, types.shape_of(op.y)[-1]
    factor, addend = _affine(op, kind, features)
    x = next((x for x in op.operands if _array(x) is None), None)
    if x is not None and (factor is not None or addend is not None):
        ones = np.ones(features, np.float32)
        weight = (ones if factor is None else factor).reshape(features, 1, 1, 1)
        bias = {} if addend is None else {"bias": ConstantAttr.of(addend)}
        return images.made(
            op, ConvOp, [images.repeated(op, x, features)], of,
            weight=ConstantAttr.of(weight), group=int_attr(features), **bias,
        )  # fmt: skip
    xs: list[SSAValue] = []
    for operand in op.operands:
        array = _array(operand)
        if array is None:
            xs.append(images.repeated(op, operand, features))
        else:
            xs.append(_constant(op, operand, np.broadcast_to(array, types.shape_of(op.y))))
    alike = OF_ONE_SHAPE.get(kind)
    if alike is not None and types.shape_of(xs[0]) == types.shape_of(xs[1]):
        return images.made(op, EltwiseOp, [xs], of, **alike)
    return images.made(op, BinaryOp, xs, of, kind=op.kind)


def _array(value: SSAValue) -> Array | None:
    """The numbers of a constant."""
    return value.owner.value.array if isinstance(value.owner, ConstantOp) else None


def _affine(op: BinaryOp, kind: BinaryKind, features: int) -> tuple[Array | None, Array | None]:
    """The factor and the addend of each feature, where one operand is a constant for all rows."""
    a, b = map(_array, (op.a, op.b))
    array = a if b is None else b
    if array is None or array.size != array.shape[-1]:
        return None, None
    numbers = np.ascontiguousarray(np.broadcast_to(array.reshape(-1), (features,)))
    if kind is BinaryKind.MUL:
        return numbers, None
    if kind is BinaryKind.ADD:
        return None, numbers
    if kind is BinaryKind.SUB:
        return (None, -numbers) if a is None else (-np.ones(features, np.float32), numbers)
    return None, None


BUILDERS: Mapping[type[Operation], Callable[..., SSAValue]] = {
    **dict.fromkeys((*FUNCTIONS, EltwiseOp), _alike),
    ConvOp: _conv,
    BinaryOp: _binary,
    ReduceOp: _reduce,
    ReshapeOp: _reshape,
    SliceOp: _along_axis,
    ConcatOp: _along_axis,
}
