"""Layers that move data, repeat it, or interpolate between neighbours."""

from dialects.ufw.movement.cast import CastOp
from dialects.ufw.movement.pixels import (
    PadMode,
    PadModeAttr,
    PadOp,
    Positions,
    PositionsAttr,
    ResizeMode,
    ResizeModeAttr,
    ResizeOp,
    StridedSliceOp,
    TileOp,
)
from dialects.ufw.movement.rearrange import Im2colOp, RearrangeOp
from dialects.ufw.movement.unpooling import MaxPoolMaskOp, UnpoolOp
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
    "CastOp",
    "ConcatOp",
    "DropoutOp",
    "FlattenOp",
    "Im2colOp",
    "MaxPoolMaskOp",
    "MovementOp",
    "PadMode",
    "PadModeAttr",
    "PadOp",
    "PermuteOp",
    "Positions",
    "PositionsAttr",
    "RearrangeOp",
    "ReshapeOp",
    "ResizeMode",
    "ResizeModeAttr",
    "ResizeOp",
    "SilenceOp",
    "SliceOp",
    "SplitOp",
    "StridedSliceOp",
    "TileOp",
    "UnpoolOp",
]
