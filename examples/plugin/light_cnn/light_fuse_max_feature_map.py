"""light-fuse-max-feature-map: a Slice and the maximum of its pieces become one layer."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import FuncOp

from dialects.ufw.layer import Top
from dialects.ufw.ops import EltwiseOp, EltwiseOperation, SliceOp
from light_cnn.ops import MaxFeatureMapOp
from passes.base import NpuFunctionPass


@dataclass(frozen=True)
class LightFuseMaxFeatureMapPass(NpuFunctionPass):
    """Replaces a Slice into equal pieces of channels, all read by one Eltwise MAX alone."""

    name = "light-fuse-max-feature-map"
    level = "ufw"

    def apply_to(self, function: FuncOp) -> None:
        block = function.body.block
        for op in list(block.ops):
            if not isinstance(op, EltwiseOp) or op.operation.data is not EltwiseOperation.MAX:
                continue
            cut = op.bottoms[0].owner
            if not isinstance(cut, SliceOp) or cut.axis.value.data != 1:
                continue
            pieces = list(cut.pieces)
            once = all(piece.has_one_use() for piece in pieces)
            if not once or list(op.bottoms) != pieces or len({p.type for p in pieces}) > 1:
                continue
            top = Top.like(op.top, op.top_names[0])
            fused = MaxFeatureMapOp(cut.bottom, top, len(pieces))
            fused.location = op.location
            block.insert_op_before(fused, op)
            op.top.replace_all_uses_with(fused.top)
            for old in (op, cut):
                old.detach()
                old.erase()
