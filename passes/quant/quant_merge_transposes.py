"""quant-merge-transposes: transpositions that follow each other become one, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.func import FuncOp

from dialects.quant import types
from dialects.quant.base import i64s, ints
from dialects.quant.movement import ReshapeOp, TransposeOp
from passes.base import NpuFunctionPass
from passes.module.inserting import inserted


def _merge(op: TransposeOp) -> None:
    """Does at once what an op and all transpositions before it do; those stay that others read."""
    x, order = op.x, ints(op.order)
    while isinstance(before := x.owner, TransposeOp):
        inner = ints(before.order)
        x, order = before.x, tuple(inner[i] for i in order)
    if _keeps_numbers(types.shape_of(x), order):
        made = inserted(op, ReshapeOp, [x], op.y.type, "")
    elif x is not op.x:
        made = inserted(op, TransposeOp, [x], op.y.type, "", order=i64s(order))
    else:
        return
    op.y.replace_all_uses_with(made)
    unread: TransposeOp | None = op
    while unread is not None and unread.y.first_use is None:
        before = unread.x.owner
        unread.detach()
        unread.erase()
        unread = before if isinstance(before, TransposeOp) else None


def _keeps_numbers(shape: Sequence[int], order: Sequence[int]) -> bool:
    """Whether all numbers stay in their order: only dimensions of size 1 move."""
    longer = [i for i in order if shape[i] > 1]
    return longer == sorted(longer)


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
        for op in reversed(list(function.body.block.ops)):
            if isinstance(op, TransposeOp) and op.parent is not None:
                _merge(op)
