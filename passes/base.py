"""What passes share: those on functions, and those that compare."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from passes.module.functions import npu_functions
from passes.verification.findings import Findings
from passes.verification.inputs import InputData


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


@dataclass(frozen=True)
class ComparePass(ModulePass):
    """A pass that compares what a module computes with its ``@reference``, and changes nothing.

    ``findings`` holds what was found. A driver sets ``findings.on_tensor`` and reads the verdict;
    without one a difference is an error. It may fill ``data``, the network's input; else ``seed``
    makes one up.
    """

    seed: int = 0
    findings: Findings = field(default_factory=Findings, init=False, compare=False, repr=False)
    data: InputData = field(default_factory=InputData, init=False, compare=False, repr=False)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        self.compare(op)
        if self.findings.fatal and not self.findings.ok:
            raise PassFailedException(self.findings.verdict())

    @abstractmethod
    def compare(self, module: ModuleOp) -> None:
        """Records in ``findings`` what it finds."""
