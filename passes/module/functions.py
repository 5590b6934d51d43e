"""The functions of a module."""

from __future__ import annotations

from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region
from xdsl.utils.exceptions import PassFailedException

from dialects.execute import names_of

MAIN = "main"
REFERENCE = "reference"


def main_function(module: ModuleOp) -> FuncOp:
    """The network's function, ``@main``. Raises PassFailedException when there is none."""
    for op in module.body.block.ops:
        if isinstance(op, FuncOp) and op.sym_name.data == MAIN:
            return op
    raise PassFailedException(f"the module has no function @{MAIN}")


def replace_body(function: FuncOp, block: Block) -> None:
    """Puts ``block``, which ends with a return, in place of the function's body."""
    last = block.last_op
    if not isinstance(last, ReturnOp):
        raise PassFailedException(f"function @{function.sym_name.data} does not end with a return")
    kind = FunctionType.from_lists(
        [arg.type for arg in block.args], [value.type for value in last.operands]
    )
    new = FuncOp(function.sym_name.data, kind, Region(block))
    new.attributes.update(function.attributes)
    new.location = function.location
    parent = function.parent
    assert parent is not None
    parent.insert_op_before(new, function)
    function.detach()
    function.erase()


def reference_module(module: ModuleOp) -> ModuleOp | None:
    """The nested module ``@reference`` that keep-reference left, or None."""
    for op in module.body.block.ops:
        if isinstance(op, ModuleOp) and op.sym_name and op.sym_name.data == REFERENCE:
            return op
    return None


def names(function: FuncOp, attribute: str) -> tuple[str, ...]:
    """The network's tensor names: ``input_names`` or ``output_names`` of the function."""
    if not isinstance(function.attributes.get(attribute), ArrayAttr):
        raise PassFailedException(f"function @{function.sym_name.data} lacks {attribute}")
    return tuple(names_of(function, attribute))
