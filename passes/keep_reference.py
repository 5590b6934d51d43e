"""keep-reference: the module carries its own golden model."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.passes import ModulePass

from passes.module.functions import REFERENCE, main_function, reference_module


@dataclass(frozen=True)
class KeepReferencePass(ModulePass):
    """Clones the network's function into a nested module ``@reference``.

    Before: function ``@main`` at the level where its arithmetic is settled (ufw for FP32, quant for
    INT8). After: the same, and the clone, which later passes leave alone and verify-layers
    executes.
    """

    name = "keep-reference"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        old = reference_module(op)
        if old is not None:
            old.detach()
            old.erase()
        copy = main_function(op).clone()
        op.body.block.add_op(ModuleOp([copy], sym_name=StringAttr(REFERENCE)))
