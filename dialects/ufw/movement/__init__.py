"""Layers that move data, repeat it, or interpolate between neighbours."""

from dialects.ufw.movement.whole import (
    ConcatOp,
    DropoutOp,
    FlattenOp,
    MovementOp,
    PermuteOp,
    ReshapeOp,
    SilenceOp,
    SliceOp,
    SplitOp,
)

__all__ = [
    "ConcatOp",
    "DropoutOp",
    "FlattenOp",
    "MovementOp",
    "PermuteOp",
    "ReshapeOp",
    "SilenceOp",
    "SliceOp",
    "SplitOp",
]
