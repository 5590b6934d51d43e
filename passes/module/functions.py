"""The functions of a module."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.utils.exceptions import PassFailedException

from dialects.execute import names_of

HOST = StringAttr("host")
MAIN = "main"
REFERENCE = "reference"
RUNS_ON = "runs_on"
"""The attribute for where a function runs: HOST, or the NPU where there is none."""

CLEARED_NAMES = "cleared_names"
"""The attribute of an NPU function that names tensors in which it only writes zeros: results of
host layers behind it. What these leave unwritten is 0 then for the layers of the NPU that read it.
"""

SHARED = "shared_memory"
"""The attribute of an NPU function that tells of buffers alive at one time that share memory, a
sentence each; a sound function has none."""


def functions(module: ModuleOp) -> list[FuncOp]:
    """All functions of a module, in order; not those of ``@reference``."""
    return [op for op in module.body.block.ops if isinstance(op, FuncOp)]


def npu_functions(module: ModuleOp) -> list[FuncOp]:
    """The functions that run on the NPU. Raises PassFailedException for a module without
    functions."""
    found = functions(module)
    if not found:
        raise PassFailedException("the module has no function that runs on the NPU")
    return [function for function in found if not runs_on_host(function)]


FREE = "free_dimensions"
"""The attribute of ``@main`` that names the dimensions that are free at run time."""

SAMPLE = "sample_of"
"""The attribute of a function that is the network at smaller shapes: the names of the dimensions
that are smaller than in ``@main``, such as "height"."""


def samples(module: ModuleOp) -> list[FuncOp]:
    """The functions of a dynamic network at smaller shapes."""
    return [function for function in functions(module) if SAMPLE in function.attributes]


def runs_on_host(function: FuncOp) -> bool:
    """Whether a function is one layer that the host computes."""
    return function.attributes.get(RUNS_ON) == HOST


def network_names(module: ModuleOp, attribute: str) -> tuple[str, ...]:
    """The names of the network's tensors, ``input_names`` or ``output_names``: the module's where
    the network is cut into several functions, else those of ``@main``."""
    holder = module if attribute in module.attributes else main_function(module)
    return tuple(names_of(holder, attribute))


def main_function(module: ModuleOp) -> FuncOp:
    """The network's function, ``@main``. Raises PassFailedException when there is none."""
    for function in functions(module):
        if function.sym_name.data == MAIN:
            return function
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


def named_inputs(function: FuncOp) -> list[tuple[SSAValue, str]]:
    """The arguments of a function with their names."""
    return _named(function, "input_names", list(function.body.block.args))


def named_outputs(function: FuncOp) -> list[tuple[SSAValue, str]]:
    """What a function returns, with the names."""
    last = function.body.block.last_op
    return _named(function, "output_names", list(last.operands) if last is not None else [])


def _named(
    function: FuncOp, attribute: str, values: Sequence[SSAValue]
) -> list[tuple[SSAValue, str]]:
    """Raises PassFailedException where there are more or fewer names."""
    found = names(function, attribute)
    if len(found) != len(values):
        what = "takes" if attribute == "input_names" else "returns"
        raise PassFailedException(
            f"function @{function.sym_name.data} {what} {len(values)} tensors, and {attribute}"
            f" names {len(found)}: as many are required"
        )
    return list(zip(values, found, strict=True))


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
