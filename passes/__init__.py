"""The passes. One file a pass; ``PASS_NAMES`` is the list that the tools know.

A pass is loaded where it is first used: the list with its sentences is there at once.
"""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.abc import InspectLoader
from importlib.util import find_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xdsl.passes import ModulePass

    ALL_PASSES: tuple[type[ModulePass], ...]

PASS_NAMES = (
    "keep-reference",
    "ufw-fold-batch-norm",
    "ufw-fuse-functions",
    "convert-ufw-to-quant",
    "quant-drop-unread",
    "quant-choose-matmul",
    "quant-choose-winograd",
    "quant-fold-constants",
    "quant-merge-transposes",
    "quant-fold-shuffles",
    "quant-arrange-concats",
    "quant-outline-host",
    "quant-fuse-relu",
    "quant-merge-groups",
    "quant-sink-functions",
    "quant-widen-convs",
    "quant-slice-batch",
    "quant-slice-rows",
    "quant-spread-rows",
    "quant-turn-rows",
    "quant-channels-first",
    "quant-cut-strips",
    "quant-fuse-sums",
    "convert-quant-to-tile",
    "tile-keep-local",
    "tile-merge-loads",
    "tile-allocate-ddr",
    "tile-allocate-local",
    "convert-tile-to-npu",
    "npu-hoist-loads",
    "npu-fill-waits",
    "npu-assign-waits",
    "verify-layers",
    "quant-float-means",
    "convert-quant-to-record",
    "record-allocate-ddr",
    "verify-records",
)
_FOLDERS = ("ufw", "quant", "tile", "npu", "record")
"""Of the passes on one dialect, whose names begin with it."""


def _place(name: str) -> tuple[str, str]:
    """The module and the class of a pass."""
    words = name.split("-")
    folder = f"passes.{words[0]}" if words[0] in _FOLDERS else "passes"
    return f"{folder}.{'_'.join(words)}", "".join(map(str.capitalize, words)) + "Pass"


def load_pass(name: str) -> type[ModulePass]:
    """The pass of a name in ``PASS_NAMES``."""
    module, kind = _place(name)
    return getattr(import_module(module), kind)


def summary(name: str) -> str:
    """The first sentence of a pass's docstring, read off its source: nothing is loaded."""
    module, kind = _place(name)
    spec = find_spec(module)
    assert spec is not None
    assert isinstance(spec.loader, InspectLoader)
    for node in ast.parse(spec.loader.get_source(module) or "").body:
        if isinstance(node, ast.ClassDef) and node.name == kind:
            return first_sentence(ast.get_docstring(node))
    return ""


def first_sentence(doc: str | None) -> str:
    """The first sentence of a docstring, in one line."""
    text = " ".join((doc or "").split())
    return text.partition(". ")[0].removesuffix(".") + "."


def __getattr__(name: str) -> object:
    if name != "ALL_PASSES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return tuple(map(load_pass, PASS_NAMES))
