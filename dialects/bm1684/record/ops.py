"""The record dialect: what the firmware of the chip computes for a dynamic network, one op a
record."""

from __future__ import annotations

from xdsl.ir import Dialect

from dialects.bm1684.record.base import RecordOp
from dialects.bm1684.record.eltwise import ELTWISE_OPS
from dialects.bm1684.record.movement import MOVEMENT_OPS
from dialects.bm1684.record.pointwise import POINTWISE_OPS
from dialects.bm1684.record.reductions import REDUCTION_OPS
from dialects.bm1684.record.shape_ops import SHAPE_OPS
from dialects.bm1684.record.windows import WINDOW_OPS

ALL_OPS: list[type[RecordOp]] = [
    *WINDOW_OPS, *POINTWISE_OPS, *MOVEMENT_OPS, *REDUCTION_OPS, *ELTWISE_OPS, *SHAPE_OPS,
]  # fmt: skip
RECORD = Dialect("record", [*ALL_OPS], [])
BY_NUMBER = {op.RECORD.number: op for op in ALL_OPS}
"""The ops by their types in the stream."""
