"""What a way down is: its levels, their passes as objects, its emitter and its checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from bmnetu.bmodel import Bmodel
from bmnetu.options import PassOptions
from bmnetu.pipeline import pipeline_text
from passes.base import ComparePass

Passes = tuple[ModulePass, ...]


@dataclass(frozen=True)
class Level:
    """A level of the IR, named as its dialect. ``passes`` makes those that bring a module to this
    level, and those that work on it there."""

    name: str
    passes: Callable[[PassOptions], Passes]


@dataclass(frozen=True)
class Way:
    """A way from a network to a bmodel.

    ``verify`` makes the pass that compares what the last level computes with the module's
    reference. ``emit`` makes the bmodel of a module at the last level. ``check`` takes what was
    read back from the file of that name, and raises BmnetuError where it is not what was compiled.
    """

    levels: tuple[Level, ...]
    verify: Callable[[PassOptions], ComparePass]
    emit: Callable[[ModuleOp], Bmodel]
    check: Callable[[Bmodel, ModuleOp, str], None]

    def ends_at(self, stop_after: str | None) -> bool:
        """Whether a compilation that stops there reaches the last level; None: it does not stop."""
        return stop_after in (None, self.levels[-1].name)

    def passes(self, options: PassOptions) -> Passes:
        """New passes for a compilation: as far as ``stop_after``, and with ``cmp`` the compare.

        A ``prec`` of None is FP32.
        """
        found: list[ModulePass] = []
        for level in self.levels:
            found += level.passes(options)
            if level.name == options.stop_after:
                break
        if options.cmp and self.ends_at(options.stop_after):
            found.append(self.verify(options))
        return tuple(found)

    def text(self, options: PassOptions) -> str:
        """The passes but for the compare, as text for ``bmnetu-opt -p``."""
        return pipeline_text(self.passes(replace(options, cmp=False)))
