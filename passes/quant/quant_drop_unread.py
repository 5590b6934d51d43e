"""quant-drop-unread: layers whose results nobody reads are not computed."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import FuncOp
from xdsl.transforms.dead_code_elimination import region_dce

from passes.base import NpuFunctionPass


@dataclass(frozen=True)
class QuantDropUnreadPass(NpuFunctionPass):
    """Removes layers that no output of the network depends on.

    Before: layers that only Silence read, or only for their shape. After: every result is an
    output, or an op reads it. The compare sees no tensor of a layer that is gone.
    """

    name = "quant-drop-unread"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        region_dce(function.body)
