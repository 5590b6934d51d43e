"""Ops that only move data, or interpolate between them: element type and scale stay."""

from dialects.quant.movement.pixels import InterleaveOp, InterpolateOp, TakeOp
from dialects.quant.movement.unpooling import PoolIndexOp, UnpoolOp
from dialects.quant.movement.whole import (
    BroadcastOp,
    ConcatOp,
    ReshapeOp,
    SliceOp,
    TransposeOp,
)

MOVEMENT_OPS = [
    ReshapeOp,
    TransposeOp,
    ConcatOp,
    SliceOp,
    BroadcastOp,
    TakeOp,
    InterpolateOp,
    InterleaveOp,
    PoolIndexOp,
    UnpoolOp,
]

__all__ = [
    "MOVEMENT_OPS",
    "BroadcastOp",
    "ConcatOp",
    "InterleaveOp",
    "InterpolateOp",
    "PoolIndexOp",
    "ReshapeOp",
    "SliceOp",
    "TakeOp",
    "TransposeOp",
    "UnpoolOp",
]
