"""What must hold of a module before a pass may run on it: texts are written by hand, too."""

from __future__ import annotations

from itertools import chain

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684 import tile
from dialects.host.base import HostOp
from dialects.quant.base import QuantOp
from dialects.ufw.layer import LayerOp
from passes.module.functions import functions, npu_functions, reference_module
from passes.module.locations import location_text

LEVELS: dict[str, type[Operation]] = {"ufw": LayerOp, "quant": QuantOp}
"""What an op of a level is where plug-ins can bring ops of dialects of their own."""
KEPT = (tile.ConstantOp, tile.InputOp, tile.OutputOp)
"""Ops of the tile level that stay at the npu level: where the network's tensors and weights lie."""


def check_precondition(item: ModulePass, module: ModuleOp) -> None:
    """The module must be at the level that the pass declares as its ``level`` (a pass without one
    takes any), and its values must be defined before they are used.

    Raises PassFailedException with one sentence.
    """
    reference = reference_module(module)
    for holder in (module, reference):
        for function in [] if holder is None else functions(holder):
            _check_order(function)
    level = getattr(item, "level", None)
    if level is not None:
        for op in chain.from_iterable(f.body.block.ops for f in npu_functions(module)):
            if not _belongs(op, level):
                raise PassFailedException(
                    f"pass {item.name} takes a module at the {level} level;"
                    f" this one holds {op.name}{_place(op)}"
                )


def _belongs(op: Operation, level: str) -> bool:
    kept = level == "npu" and isinstance(op, KEPT)
    ours = isinstance(op, LEVELS[level]) if level in LEVELS else op.name.startswith(f"{level}.")
    ours = ours or (level == "quant" and isinstance(op, HostOp))
    return kept or ours or isinstance(op, ReturnOp)


def _check_order(function: FuncOp) -> None:
    """One block that ends with a return; its ops use only what stands before them."""
    name = function.sym_name.data
    if len(function.body.blocks) != 1:
        raise PassFailedException(f"function @{name} must have one block")
    block = function.body.block
    if not isinstance(block.last_op, ReturnOp):
        raise PassFailedException(f"function @{name} does not end with a return")
    defined: set[SSAValue] = set(block.args)
    for op in block.ops:
        if not defined.issuperset(op.operands):
            raise PassFailedException(
                f"{op.name}{_place(op)} uses a value before it is defined in function @{name}"
            )
        defined.update(op.results)


def _place(op: Operation) -> str:
    where = location_text(op.location)
    return f" ({where})" if where else ""
