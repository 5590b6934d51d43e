"""Finds the parts of a module that passes work on."""

from __future__ import annotations

from xdsl.dialects.builtin import (
    ArrayAttr,
    FileLineColLoc,
    FunctionType,
    LocationAttr,
    ModuleOp,
    NameLoc,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region
from xdsl.utils.exceptions import PassFailedException

from dialects.execute import names_of


class LayerError(PassFailedException):
    """A layer that cannot be compiled: its location, and why in one sentence."""

    def __init__(self, location: LocationAttr, message: str):
        super().__init__(f"{location_text(location)}: {message}")
        self.location = location
        self.message = message


def location_text(location: Attribute) -> str:
    """``net.prototxt:41: layer "conv1"``, as much of it as the location holds."""
    if isinstance(location, NameLoc):
        inner = location_text(location.location)
        layer = f'layer "{location.desc.data}"'
        return f"{inner}: {layer}" if inner else layer
    if isinstance(location, FileLineColLoc):
        return f"{location.filename.data}:{location.line.data}"
    return ""


def layer_name(op: Operation) -> str:
    """The network's name of the layer an op comes from."""
    location = op.location
    return location.desc.data if isinstance(location, NameLoc) else op.name


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
