"""Records that compute shapes at run time, and those that make a tensor of such a shape.

A shape is a value of its own. Its type is the tensor of ``i32`` *of that shape*, which holds no
numbers: ``tensor<2x3xi32>`` is the shape 2x3 where all extents are the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.bm1684.record.base import Array, Call, Record, RecordOp, Shape, Source, needs
from dialects.c_struct import INT, U8, U32, CStruct, Values, ints


def shape_value(shape: Shape) -> Array:
    """A shape as our model of the firmware has it: an array of that shape, without memory."""
    return np.broadcast_to(np.int32(0), shape)


class ShapeOp(RecordOp):
    """A record that makes a shape."""

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        return [shape_value(shape) for shape in cls.shapes(call.values, call.extra, call.shapes)]


@irdl_op_definition
class ShapeOfOp(ShapeOp):
    """The shape of a tensor."""

    name = "record.shape_of"
    RECORD: ClassVar = Record(38, CStruct(of_shape=INT).with_defaults(), makes_shape=True)

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        needs(not v["of_shape"], "of a tensor only")
        return [xs[0]]


@irdl_op_definition
class ShapeNumbersOp(ShapeOp):
    """A shape of ``count`` numbers."""

    name = "record.shape_numbers"
    RECORD: ClassVar = Record(
        39,
        CStruct(count=INT, numbers=ints(8), unused_36=INT, dtype=INT).with_defaults(dtype=6),
        tensors=(),
        makes_shape=True,
    )

    @classmethod
    def extra_bytes(cls, extra: Sequence[int], sources: Sequence[Source]) -> bytes:
        return bytes(4)  # the id of nothing

    @classmethod
    def read_extra(cls, v: Values, words: Callable[[int], Sequence[int]]) -> tuple[int, ...]:
        words(1)
        return ()

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        numbers = tuple(v["numbers"][: v["count"]])
        needs(0 < v["count"] <= 8 and min(numbers) > 0, f"no shape of {v['count']} numbers")
        return [numbers]


@irdl_op_definition
class ShapeSliceOp(ShapeOp):
    """Some extents of a shape; ``place`` is begin | end << 8 | 1 << 16."""

    name = "record.shape_slice"
    RECORD: ClassVar = Record(
        41,
        CStruct(place=U32, unused_4=U32 * 31).with_defaults(),
        tensors=("shape",),
        shape_operands=("shape",),
        makes_shape=True,
    )

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        begin, end, step = v["place"] & 0xFF, v["place"] >> 8 & 0xFF, v["place"] >> 16
        needs(begin < end <= len(xs[0]) and step == 1, f"no extents {begin} to {end} of {xs[0]}")
        return [xs[0][begin:end]]


ADD, SUB, MUL, DIV = range(4)
ARITHMETIC: dict[int, Callable[[int, int], int]] = {
    ADD: int.__add__, SUB: int.__sub__, MUL: int.__mul__, DIV: int.__floordiv__,
}  # fmt: skip


@irdl_op_definition
class ShapeArithmeticOp(ShapeOp):
    """``a OP b`` of the extents of two shapes of one rank."""

    name = "record.shape_arithmetic"
    RECORD: ClassVar = Record(
        40,
        CStruct(op=INT).with_defaults(),
        tensors=("a", "b"),
        shape_operands=("a", "b"),
        makes_shape=True,
    )

    @classmethod
    def check(cls, v: Values) -> None:
        needs(v["op"] in ARITHMETIC, f"there is no operation {v['op']}")

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        a, b = xs
        needs(len(a) == len(b), f"{a} and {b} have different ranks")
        found = tuple(ARITHMETIC[v["op"]](*pair) for pair in zip(a, b, strict=True))
        needs(min(found) > 0, f"{found} is no shape")
        return [found]


@irdl_op_definition
class ShapeJoinOp(ShapeOp):
    """``count`` shapes one behind the other."""

    name = "record.shape_join"
    RECORD: ClassVar = Record(
        42, CStruct(count=INT, axis=INT).with_defaults(), makes_shape=True
    )

    @classmethod
    def sources(cls, v: Values, extra: Sequence[int]) -> list[Source]:
        needs(0 < v["count"] <= 8, f"{v['count']} shapes")
        return [Source(f"shape{i}", is_shape=True) for i in range(v["count"])]

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        found = tuple(extent for x in xs for extent in x)
        needs(len(found) <= 8, f"{found} has more than 8 extents")
        return [found]


@irdl_op_definition
class ReshapeToOp(RecordOp):
    """The same numbers under a shape that was computed; 8-bit tensors keep their batch."""

    name = "record.reshape_to"
    RECORD: ClassVar = Record(
        43, CStruct(), tensors=("x", "shape"), shape_operands=("shape",)
    )

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        x, shape = xs
        needs(prod(x) == prod(shape), f"{x} does not fit {shape}")
        return [shape]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        x, shape = call.xs[0], call.shapes[1]
        needs(x.dtype == np.float32 or x.shape[0] == shape[0], "the batch of 8-bit numbers changes")
        return [x.reshape(shape)]


BILINEAR = 1


@irdl_op_definition
class ResizeOp(RecordOp):
    """The mean of neighbours at the positions of a shape that was computed, float32 of rank 4.

    ``align_corners``: the corners of both maps meet; ``half_pixel``: the centres of their pixels;
    neither: their beginnings. Positions outside of the map move to its border.
    """

    name = "record.resize"
    RECORD: ClassVar = Record(
        20,
        CStruct(
            shape_fixed=U8, rank=U8, platform=U8, shape=ints(8), pad_begin=INT, pad_end=INT,
            sign=INT, align_corners=INT, half_pixel=INT,
        ).with_defaults(rank=4, platform=BILINEAR, sign=1),
        tensors=("x", "shape"),
        shape_operands=("shape",),
    )  # fmt: skip

    @classmethod
    def check(cls, v: Values) -> None:
        needs(not v["shape_fixed"] and v["platform"] == BILINEAR, "bilinear, of a computed shape")

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        x, shape = xs
        needs(len(x) == len(shape) == 4 and x[:2] == shape[:2], f"{x} does not become {shape}")
        return [shape]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, y = call.values, call.xs[0]
        for axis in (2, 3):
            size, out = y.shape[axis], call.shapes[1][axis]
            index = np.arange(out, dtype=np.float64)
            if v["align_corners"]:
                at = index * (size - 1) / max(out - 1, 1)
            else:
                half = 0.5 * v["half_pixel"]
                at = (index + half) * size / out - half
            at = np.clip(at, 0, size - 1)
            low = np.floor(at).astype(np.int64)
            weight = (at - low).astype(np.float32).reshape((-1, 1) if axis == 2 else (-1,))
            first = np.take(y, low, axis)
            second = np.take(y, np.minimum(low + 1, size - 1), axis)
            y = first * (1 - weight) + second * weight
        return [y.astype(np.float32)]


SHAPE_OPS: list[type[RecordOp]] = [
    ShapeOfOp, ShapeNumbersOp, ShapeSliceOp, ShapeArithmeticOp, ShapeJoinOp, ReshapeToOp, ResizeOp,
]  # fmt: skip
