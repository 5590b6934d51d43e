"""What a net is judged by: its outputs; of one that a host layer makes, what that layer reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    origins = _Origins.of(function)
    for name, value in zip(names_of(function, "output_names"), last.operands, strict=True):
        read = origins.read(value) if value in origins.of_host else ()
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


@dataclass(frozen=True)
class _Origins:
    """Where the values of a function come from: ``of_host``, those that a host layer makes or that
    are computed from such; ``computed``, those that a layer computes from the inputs of the net."""

    of_host: set[SSAValue]
    computed: set[SSAValue]

    @staticmethod
    def of(function: FuncOp) -> _Origins:
        """In the order of the layers, each once."""
        found = _Origins(set(), set())
        for op in function.body.block.ops:
            if not isinstance(op, LayerOp):
                continue
            if isinstance(op, HostOp) or not found.of_host.isdisjoint(op.operands):
                found.of_host.update(op.results)
            moves = op.has_trait(MovesData) or op.has_trait(JoinsOperands)
            passes_on = not moves or not found.computed.isdisjoint(op.operands)
            if passes_on and not isinstance(op, PriorBoxOp):
                found.computed.update(op.results)
        return found

    def read(self, value: SSAValue) -> Iterator[SSAValue]:
        """What is read of the layers before, by the host layers that make a value; each once, in
        the order of the layers' inputs."""
        todo, seen = [value], {value}
        while todo:
            op = todo.pop(0).owner
            assert isinstance(op, LayerOp)
            inner: list[SSAValue] = []
            for operand in op.operands:
                if operand in seen:
                    continue
                seen.add(operand)
                if operand in self.of_host:
                    inner.append(operand)
                elif operand in self.computed:
                    yield operand
            todo = inner + todo


def _top(value: SSAValue) -> str:
    op = value.owner
    assert isinstance(op, LayerOp)
    return next(top for x, top in zip(op.results, op.top_names, strict=True) if x is value)
