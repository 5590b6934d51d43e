"""Float sums that a convolution can add up in the place of its other operand."""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.quant import types
from dialects.quant.compute import ConvOp, EltwiseKind, EltwiseOp
from dialects.quant.movement import ConcatOp, ReshapeOp, SliceOp
from passes.cost.tensors import TensorCost
from passes.kernels.convolution.stacked import is_one_dense

LARGE = BM1684.lane_bytes // 2
"""Bytes of each lane above which a tensor does not stay whole."""


def addend_of(op: Operation, order: Mapping[Operation, int]) -> tuple[ConvOp, SSAValue] | None:
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
