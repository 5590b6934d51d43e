"""quant-merge-transposes: transpositions that follow each other become one, or none."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import FuncOp

from dialects.quant import types
from dialects.quant.base import i64s, ints
from dialects.quant.movement import ReshapeOp, TransposeOp
from passes.base import NpuFunctionPass
from passes.module.inserting import inserted


def _merge(op: TransposeOp) -> TransposeOp:
    """One transposition of this one and all before it: those stay that others read."""
    while isinstance(before := op.x.owner, TransposeOp):
        inner = ints(before.order)
        op.order = i64s([inner[i] for i in ints(op.order)])
        op.operands[0] = before.x
        if before.y.first_use is None:
            before.detach()
            before.erase()
    return op


def _keeps_numbers(op: TransposeOp) -> bool:
    """Whether all numbers stay in their order: only dimensions of size 1 move."""
    shape = types.shape_of(op.x)
    longer = [i for i in ints(op.order) if shape[i] > 1]
    return longer == sorted(longer)


def _reshape(op: TransposeOp) -> None:
    """Takes the numbers as they lie."""
    op.y.replace_all_uses_with(inserted(op, ReshapeOp, [op.x], op.y.type, ""))
    op.detach()
    op.erase()


@dataclass(frozen=True)
class QuantMergeTransposesPass(NpuFunctionPass):
    """Makes one transposition of several that follow each other, and a reshape, which copies
    nothing, of one that moves no number.

    Before: ``transpose`` of a ``transpose``, as exporters write an assignment to a slice of a
    tensor. After: one ``transpose`` named after the last, or a ``reshape``. One that others read
    as well stays.
    """

    name = "quant-merge-transposes"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        for op in list(function.body.block.ops):
            if isinstance(op, TransposeOp) and op.parent is not None and _keeps_numbers(_merge(op)):
                _reshape(op)
