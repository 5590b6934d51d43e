"""Records that make few numbers out of many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.bm1684.record.base import Array, Call, Record, RecordOp, Shape, needs, operand_room
from dialects.bm1684.record.pointwise import SameShapeOp
from dialects.c_struct import FLOAT, I16, INT, U8, U32, U64, CStruct, Values, bytes_of

AXIS_BITS = 28


@irdl_op_definition
class SoftmaxOp(SameShapeOp):
    """``exp(x - max) / sum exp(x - max)`` along an axis (``place`` is axis << 28), float32."""

    name = "record.softmax"
    RECORD: ClassVar = Record(
        number=19,
        struct=CStruct(place=U32, unused_4=FLOAT, scratch=U64, is_log=U8).with_defaults(),
        scratch={"scratch": operand_room},
    )

    @classmethod
    def check(cls, v: Values) -> None:
        needs(not v["is_log"], "its logarithm is not used")

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        x, axis = call.xs[0].astype(np.float64), call.values["place"] >> AXIS_BITS
        power = np.exp(x - x.max(axis, keepdims=True))
        return [(power / power.sum(axis, keepdims=True)).astype(np.float32)]


METHODS: dict[int, Callable[..., Array]] = {1: np.sum, 2: np.max, 3: np.min}
"""What becomes of the numbers, by its code."""
SUM, MAX, MIN = METHODS


@irdl_op_definition
class ReduceOp(RecordOp):
    """Sum, maximum or minimum over ``axes``, in ascending order, ``count`` of them, float32. With
    ``keep`` they stay with extent 1."""

    name = "record.reduce"
    RECORD: ClassVar = Record(
        number=50,
        struct=CStruct(
            keep=I16, count=I16, method=INT, axes=bytes_of(8), scratch=U64, sign=INT,
            scales=FLOAT * 2,
        ).with_defaults(sign=1, scales=(1.0, 1.0)),
        scratch={"scratch": operand_room},
    )  # fmt: skip

    @classmethod
    def _axes(cls, v: Values) -> tuple[int, ...]:
        return tuple(v["axes"][: v["count"]])

    @classmethod
    def check(cls, v: Values) -> None:
        axes = cls._axes(v)
        needs(v["method"] in METHODS, f"there is no method {v['method']}")
        needs(axes == tuple(sorted(set(axes))) != (), f"axes {axes} do not ascend")
        needs(axes != (0, 1), "over axes 0 and 1 the firmware's result is wrong: take one by one")

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        (x,), axes = xs, cls._axes(v)
        needs(max(axes) < len(x), f"there is no axis {max(axes)} in {x}")
        kept = [1 if axis in axes else size for axis, size in enumerate(x)]
        if not v["keep"]:
            kept = [size for axis, size in enumerate(x) if axis not in axes]
        needs(bool(kept), "no axis is left")
        return [tuple(kept)]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, x = call.values, call.xs[0]
        needs(x.dtype == np.float32, "of floats only")
        y = METHODS[v["method"]](x.astype(np.float64), axis=cls._axes(v), keepdims=bool(v["keep"]))
        return [y.astype(np.float32)]


REDUCTION_OPS: list[type[RecordOp]] = [SoftmaxOp, ReduceOp]
