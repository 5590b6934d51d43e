"""keep-reference: the module carries its own golden model."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.passes import ModulePass

from passes.module.functions import REFERENCE, functions, reference_module


@dataclass(frozen=True)
class KeepReferencePass(ModulePass):
    """Clones the network's functions into a nested module ``@reference``.

    Before: functions at the level where their arithmetic is settled (ufw for FP32, quant for
    INT8). After: the same, and the clones, which later passes leave alone and verify-layers
    executes.
    """

    name = "keep-reference"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        old = reference_module(op)
        if old is not None:
            old.detach()
            old.erase()
        copies = [function.clone() for function in functions(op)]
        op.body.block.add_op(ModuleOp(copies, sym_name=StringAttr(REFERENCE)))
