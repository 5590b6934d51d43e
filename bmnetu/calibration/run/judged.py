"""What a net is judged by: its outputs; of one that a host layer makes, what that layer reads."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue

from dialects.execute import names_of
from dialects.host.base import HostOp
from dialects.ufw.detection.prior_box import PriorBoxOp
from dialects.ufw.facts import JoinsOperands, MovesData
from dialects.ufw.layer import LayerOp
from passes.module.functions import main_function


def judged_values(function: FuncOp) -> dict[str, SSAValue]:
    """By name, what tells how good the outputs of a ufw function are.

    Those are the outputs, number by number. Host layers compute the same in float and INT8 nets,
    but what they find has no fixed places, as boxes come in the order of their scores. So what
    host layers read takes the place of an output that depends on them, also through layers of the
    NPU; prior boxes and inputs of the net do not count. Where nothing else is read the output
    stays.
    """
    last = function.body.block.last_op
    assert isinstance(last, ReturnOp)
    found: dict[str, SSAValue] = {}
    for name, value in zip(names_of(function, "output_names"), last.operands, strict=True):
        read = dict.fromkeys(_read(value)) if _is_of_host(value) else {}
        found |= {_top(each): each for each in read} or {name: value}
    return found


def judged(module: ModuleOp) -> ModuleOp:
    """A module of the ufw level, changed in place: its function gives what it is judged by, and
    nothing else is computed."""
    function = main_function(module)
    found = judged_values(function)
    block = function.body.block
    last = block.last_op
    assert last is not None
    if tuple(found.values()) == tuple(last.operands):
        return module
    block.erase_op(last)
    block.add_op(ReturnOp(*found.values()))
    kinds = [arg.type for arg in block.args], [value.type for value in found.values()]
    function.function_type = FunctionType.from_lists(*kinds)
    function.attributes["output_names"] = ArrayAttr([StringAttr(name) for name in found])
    for op in reversed(list(block.ops)):
        if not isinstance(op, ReturnOp) and not any(list(x.uses) for x in op.results):
            block.erase_op(op)
    return module


def _is_of_host(value: SSAValue) -> bool:
    """Whether a host layer makes the numbers, or those that they are computed from."""
    op = value.owner
    if isinstance(op, HostOp):
        return True
    return isinstance(op, LayerOp) and any(map(_is_of_host, op.operands))


def _read(value: SSAValue) -> Iterator[SSAValue]:
    """What is read of the layers before, by the host layers that make a value."""
    op = value.owner
    assert isinstance(op, LayerOp)
    for operand in op.operands:
        if _is_of_host(operand):
            yield from _read(operand)
        elif _is_computed(operand):
            yield operand


def _is_computed(value: SSAValue) -> bool:
    """Whether a layer computes the numbers from the inputs of the net."""
    op = value.owner
    if not isinstance(op, LayerOp) or isinstance(op, PriorBoxOp):
        return False
    if op.has_trait(MovesData) or op.has_trait(JoinsOperands):
        return any(map(_is_computed, op.operands))
    return True


def _top(value: SSAValue) -> str:
    op = value.owner
    assert isinstance(op, LayerOp)
    return next(top for x, top in zip(op.results, op.top_names, strict=True) if x is value)
