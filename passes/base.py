"""What all passes on functions share."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from passes.module.functions import npu_functions


class NpuFunctionPass(ModulePass):
    """A pass that works on each NPU function of a module by itself.

    Functions of the host, and ``@reference``, stay as they are. ``level``: the dialect whose ops
    the functions hold before the pass.
    """

    level: ClassVar[str]

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in npu_functions(op):
            self.apply_to(function)

    @abstractmethod
    def apply_to(self, function: FuncOp) -> None:
        """Changes one function; it may put another one in its place."""
