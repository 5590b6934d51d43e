"""quant-fuse-sums: float sums become part of the convolution that makes one of their operands."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import FuncOp

from dialects.quant.compute import ConvAddOp, EltwiseOp
from passes.base import NpuFunctionPass
from passes.cost.in_place_sums import addend_of
from passes.module.inserting import inserted


@dataclass(frozen=True)
class QuantFuseSumsPass(NpuFunctionPass):
    """Fuses a float sum of two tensors into the convolution that makes one of them.

    Before: ``conv``, then ``eltwise sum`` of its result and of a tensor that nobody reads
    any more. After: ``conv_add``, named after the sum, that adds to that tensor where it
    lies: two tensors are in local memory, not three. Same bits: the sum comes last.
    """

    name = "quant-fuse-sums"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        block = function.body.block
        order = {op: position for position, op in enumerate(block.ops)}
        for op in list(block.ops):
            found = addend_of(op, order)
            if found is None or not isinstance(op, EltwiseOp):
                continue
            conv, addend = found
            properties = {**conv.properties, "tops": op.tops, "relu": op.relu}
            y = inserted(conv, ConvAddOp, [conv.x, addend], op.y.type, "", **properties)
            assert isinstance(y.owner, ConvAddOp)
            y.owner.attributes.update(op.attributes)
            order[y.owner] = order[conv]
            op.y.replace_all_uses_with(y)
            for old in (op, conv):
                old.detach()
                old.erase()
