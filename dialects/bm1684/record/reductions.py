"""Records that make few numbers out of many."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.bm1684.record.base import Array, Call, Record, RecordOp, needs
from dialects.bm1684.record.pointwise import SameShapeOp
from dialects.c_struct import FLOAT, U8, U32, U64, CStruct, Values

AXIS_BITS = 28


@irdl_op_definition
class SoftmaxOp(SameShapeOp):
    """``exp(x - max) / sum exp(x - max)`` along an axis (``place`` is axis << 28), float32."""

    name = "record.softmax"
    RECORD: ClassVar = Record(
        number=19,
        struct=CStruct(place=U32, unused_4=FLOAT, unused_8=U64, is_log=U8).with_defaults(),
    )

    @classmethod
    def check(cls, v: Values) -> None:
        needs(not v["is_log"], "its logarithm is not used")

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        x, axis = call.xs[0].astype(np.float64), call.values["place"] >> AXIS_BITS
        power = np.exp(x - x.max(axis, keepdims=True))
        return [(power / power.sum(axis, keepdims=True)).astype(np.float32)]


REDUCTION_OPS: list[type[RecordOp]] = [SoftmaxOp]
