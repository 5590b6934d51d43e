"""quant-fuse-sums: float sums become part of the convolution that makes one of their operands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from xdsl.dialects.func import FuncOp

from dialects.quant.compute import ConvAddOp, ConvOp, EltwiseOp
from passes.base import NpuFunctionPass
from passes.cost.in_place_sums import addend_of
from passes.module.inserting import inserted


@dataclass(frozen=True)
class QuantFuseSumsPass(NpuFunctionPass):
    """Fuses a float sum of two tensors into the convolution that makes one of them.

    Before: ``conv``, then ``eltwise sum`` of its result and of a tensor that nobody reads
    any more. After: ``conv_add``, named after the sum, that adds to that tensor where it
    lies: two tensors are in local memory, not three. Same bits: the sum comes last. A layer that
    runs in slices is fused in all of them or in none.
    """

    name = "quant-fuse-sums"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        block = function.body.block
        order = {op: position for position, op in enumerate(block.ops)}
        found = [(op, addend_of(op, order)) for op in block.ops]
        fused = [(op, conv_and_other[0]) for op, conv_and_other in found if conv_and_other]
        parts = Counter(op.top for op in block.ops if isinstance(op, ConvOp))
        alike = Counter(conv.top for _, conv in fused)
        for op, conv in fused:
            assert isinstance(op, EltwiseOp)
            if conv.top and alike[conv.top] < parts[conv.top]:
                continue  # of a layer that runs in slices: its tensor is compared as a whole
            (addend,) = (x for x in op.xs if x is not conv.y)
            properties = {**conv.properties, "tops": op.tops, "relu": op.relu}
            y = inserted(conv, ConvAddOp, [conv.x, addend], op.y.type, "", **properties)
            assert isinstance(y.owner, ConvAddOp)
            y.owner.attributes.update(op.attributes)
            op.y.replace_all_uses_with(y)
            for old in (op, conv):
                old.detach()
                old.erase()
