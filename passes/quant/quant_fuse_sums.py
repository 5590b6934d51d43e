"""quant-fuse-sums: float sums become part of the convolution that makes one of their operands."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from dialects.quant import types
from dialects.quant.compute import ConvAddOp, ConvOp, EltwiseKind, EltwiseOp
from dialects.quant.movement import ConcatOp, ReshapeOp, SliceOp
from passes.base import NpuFunctionPass
from passes.kernels.convolution.stacked import is_one_dense
from passes.module.inserting import inserted


def addend_of(op: Operation, order: dict[Operation, int]) -> tuple[ConvOp, SSAValue] | None:
    """Of a sum of two tensors, the convolution that can add to the other one where that lies, and
    the other one; ``order`` are the positions of the ops.

    It alone makes its result for this sum, comes behind the other operand and behind all that read
    that, or a tensor of which that is a part.
    """
    if not isinstance(op, EltwiseOp) or op.kind.data is not EltwiseKind.SUM:
        return None
    if len(op.xs) != 2 or not types.is_float(op.y):
        return None
    if op.coefficients is not None and any(c != 1 for c in op.coefficients.iter_values()):
        return None
    for value, other in (op.xs, reversed(op.xs)):
        conv = value.owner
        if isinstance(conv, ConvOp) and value.has_one_use() and _adds(conv):
            if _is_free(other, op, order[conv], order):
                return conv, other
    return None


def _adds(conv: ConvOp) -> bool:
    """Whether it is one dense command on each tile, to whose result nothing is done."""
    plain = not (conv.relu.value.data or conv.winograd.value.data)
    return plain and is_one_dense(conv)


def _is_free(value: SSAValue, reader: Operation, at: int, order: dict[Operation, int]) -> bool:
    """Whether all that read a tensor, and those of which it is a part, come before a position, but
    for one reader."""
    if isinstance(value.owner, Block):
        return False
    if order[value.owner] >= at:
        return False
    readers = (use.operation for use in value.uses)
    if not all(user is reader or order[user] < at for user in readers):
        return False
    if isinstance(value.owner, (SliceOp, ReshapeOp, ConcatOp)):
        return all(_is_free(x, value.owner, at, order) for x in value.owner.operands)
    return True


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
