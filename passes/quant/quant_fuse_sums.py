"""quant-fuse-sums: float sums become part of the convolution that makes one of their operands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.quant import types
from dialects.quant.compute import ConvAddOp, ConvOp, EltwiseKind, EltwiseOp
from dialects.quant.movement import ConcatOp, ReshapeOp, SliceOp
from passes.base import NpuFunctionPass
from passes.cost.tensors import TensorCost
from passes.kernels.convolution.stacked import is_one_dense
from passes.module.inserting import inserted

LARGE = BM1684.lane_bytes // 2
"""Bytes of each lane above which a tensor does not stay whole."""


def _adding(op: EltwiseOp, order: Mapping[Operation, int]) -> ConvOp | None:
    """Of a sum of two tensors, the convolution that can add to the other one where that lies;
    ``order`` are the positions of the ops.

    It alone makes its result for this sum, comes behind the other operand and behind all that read
    that, or a tensor of which that is a part.
    """
    if op.kind.data is not EltwiseKind.SUM or len(op.xs) != 2 or not types.is_float(op.y):
        return None
    if op.coefficients is not None and any(c != 1 for c in op.coefficients.iter_values()):
        return None
    for value, other in (op.xs, reversed(op.xs)):
        conv = value.owner
        if isinstance(conv, ConvOp) and value.has_one_use() and _adds(conv):
            if _is_free(other, op, order[conv], order):
                return conv
    return None


def _adds(conv: ConvOp) -> bool:
    """Whether it is one dense command on each tile, to whose result nothing is done."""
    plain = not (conv.relu.value.data or conv.winograd.value.data)
    return plain and is_one_dense(conv)


def _is_free(value: SSAValue, reader: Operation, at: int, order: Mapping[Operation, int]) -> bool:
    """Whether all that read a tensor come before a position, but for one reader. So must those of a
    tensor of which it is a part, unless that is too large to stay in local memory: each part is
    loaded by itself then."""
    if isinstance(value.owner, Block):
        return False
    if order[value.owner] >= at:
        return False
    readers = (use.operation for use in value.uses)
    if not all(user is reader or order[user] < at for user in readers):
        return False
    if isinstance(value.owner, SliceOp) and _is_large(value.owner.x):
        return True
    if isinstance(value.owner, (SliceOp, ReshapeOp, ConcatOp)):
        return all(_is_free(x, value.owner, at, order) for x in value.owner.operands)
    return True


def _is_large(value: SSAValue) -> bool:
    return len(types.shape_of(value)) == 4 and TensorCost.of(value).whole_bytes > LARGE


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
        sums = (op for op in block.ops if isinstance(op, EltwiseOp))
        fused = [(op, conv) for op in sums if (conv := _adding(op, order)) is not None]
        parts = Counter(op.top for op in block.ops if isinstance(op, ConvOp))
        alike = Counter(conv.top for _, conv in fused)
        for op, conv in fused:
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
