"""quant-fold-constants: what does not depend on the network's inputs is computed here."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.dialects.func import FuncOp

from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.eltwise import ConstantOp
from dialects.quant.reference import evaluate
from passes.base import NpuFunctionPass


@dataclass(frozen=True)
class QuantFoldConstantsPass(NpuFunctionPass):
    """Replaces ops on constants by their results.

    Before: prior boxes are constants that are joined and reshaped. After: what a layer reads of
    them is one float32 constant, with the name of the tensor that it was.
    """

    name = "quant-fold-constants"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        for op in list(function.body.block.ops):
            if isinstance(op, QuantOp) and _is_constant(op):
                constants = [x.owner for x in op.operands]
                arrays = [c.value.array for c in constants if isinstance(c, ConstantOp)]
                (result,) = evaluate(op, arrays)
                new = ConstantOp.build(
                    result_types=[op.results[0].type],
                    properties={
                        "value": ConstantAttr.of(result),
                        "tops": ArrayAttr([StringAttr(op.top)]),
                    },
                )
                new.location = op.location
                function.body.block.insert_op_before(new, op)
                op.results[0].replace_all_uses_with(new.y)
                op.detach()
                op.erase()
        for op in reversed(list(function.body.block.ops)):
            if isinstance(op, ConstantOp) and not list(op.y.uses):
                op.detach()
                op.erase()


def _is_constant(op: QuantOp) -> bool:
    """Whether an op computes floats, or indices, of constants whose numbers are known."""
    owners = [x.owner for x in op.operands]
    known = all(isinstance(c, ConstantOp) and c.value.data.array is not None for c in owners)
    real = types.is_float(op.results[0]) or types.is_index(op.results[0])
    return bool(owners) and known and real
