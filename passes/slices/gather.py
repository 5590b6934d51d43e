"""Which layers follow each other."""

from __future__ import annotations

from math import prod

from xdsl.ir import Block, BlockArgument, Operation, SSAValue

from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.movement import ReshapeOp, SliceOp

VIEWS = (ReshapeOp, SliceOp)
"""What may cost nothing, and frees nothing then."""


def gather_readers(block: Block) -> None:
    """Moves a layer that is the last to read a larger tensor, and reads no other, to those that
    read it before: the larger tensor is not kept until then, and slices that make it make the
    smaller one as well."""
    place = {op: i for i, op in enumerate(block.ops)}
    for op in list(block.ops):
        if not isinstance(op, QuantOp) or isinstance(op, VIEWS) or len(op.operands) != 1:
            continue
        (x,) = op.operands
        if isinstance(x, BlockArgument) or not all(_bytes(y) < _bytes(x) for y in op.results):
            continue
        others = {use.operation for use in x.uses} - {op}
        if any(place[other] > place[op] for other in others):
            continue
        before = max((x.owner, *others), key=lambda other: place[_op(other)])
        if _op(before).next_op is not op:
            op.detach()
            block.insert_op_after(op, _op(before))
            place[op] = place[_op(before)]


def _op(owner: Operation | Block) -> Operation:
    assert isinstance(owner, Operation)
    return owner


def _bytes(value: SSAValue) -> int:
    return prod(types.shape_of(value)) * (4 if types.is_float(value) else 1)
