"""quant-outline-host: the network becomes functions of the NPU and of the host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass

from dialects.constant import ConstantAttr
from dialects.execute import names_of
from dialects.host.base import HostOp
from dialects.quant import types
from dialects.quant.eltwise import ConstantOp
from passes.module.functions import (
    CLEARED_NAMES,
    HOST,
    RUNS_ON,
    functions,
    main_function,
    named_inputs,
    named_outputs,
    names,
    runs_on_host,
)

BEFORE_ALL = -1
"""The stage of host layers that read nothing of the NPU's."""


@dataclass
class _Part:
    """A function to be: ops in their order."""

    ops: list[Operation] = field(default_factory=list[Operation])
    repeated: list[tuple[SSAValue, str]] = field(default_factory=list[tuple[SSAValue, str]])
    """Values that the function returns once more, under another name."""
    cleared: list[SSAValue] = field(default_factory=list[SSAValue])
    """Results of host layers behind it that the function fills with zeros."""

    @property
    def is_host(self) -> bool:
        return bool(self.ops) and isinstance(self.ops[0], HostOp)

    def made(self) -> set[SSAValue]:
        return {value for op in self.ops for value in op.results}

    def read(self) -> dict[SSAValue, None]:
        """The values that come from elsewhere, in the order of their first use."""
        inside = self.made()
        used = [x for op in self.ops for x in op.operands] + [value for value, _ in self.repeated]
        return dict.fromkeys(x for x in used if x not in inside)


@dataclass(frozen=True)
class QuantOutlineHostPass(ModulePass):
    """Cuts the network at its host layers, into as few functions of the NPU as can be.

    Before: ``@main`` with ops of the quant and of the host dialect. After: functions in the order
    in which they run, each host layer in one of its own with ``runs_on = "host"``. Tensors that
    pass from one to another have one name everywhere, in ``input_names`` and ``output_names``;
    those of the network stand on the module. A network without host layers stays ``@main``.
    """

    name = "quant-outline-host"
    level = "quant"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if any(runs_on_host(function) for function in functions(op)):
            return
        function = main_function(op)
        if not any(isinstance(inner, HostOp) for inner in function.body.block.ops):
            return
        outputs = names(function, "output_names")
        returned = function.body.block.last_op
        assert isinstance(returned, ReturnOp)
        named = _Names(function)
        parts = _parts(function)
        for value, name in zip(returned.operands, outputs, strict=True):
            if named.of(value) != name:
                _repeat(parts, value, name)
        results = set(returned.operands)
        _clear(parts)
        reads = [part.read() for part in parts]
        for i, part in enumerate(parts):
            elsewhere = {x for j, read in enumerate(reads) if j != i for x in read}
            made = [x for inner in part.ops for x in inner.results]
            out = [x for x in made if part.is_host or x in elsewhere or x in results]
            new = _function(f"subnet_{i}", part, list(reads[i]), out, named)
            function.parent_block().insert_op_before(new, function)  # pyright: ignore
        read = {x for some in reads for x in some}
        op.attributes["input_names"] = _strings(
            named.of(x) for x in function.body.block.args if x in read
        )
        op.attributes["output_names"] = _strings(outputs)
        function.detach()
        function.erase()


class _Names:
    """The names of the values that pass from function to function."""

    def __init__(self, function: FuncOp) -> None:
        self._names: dict[SSAValue, str] = dict(named_inputs(function))
        for value, name in named_outputs(function):
            self._names.setdefault(value, name)
        self._taken = {*self._names.values(), *names(function, "output_names")}

    def is_copied(self, value: SSAValue) -> bool:
        """Whether a value is a constant that each function holds itself. One that is an output of
        the network is made in one place, as all others are."""
        return isinstance(value.owner, ConstantOp) and value not in self._names

    def of(self, value: SSAValue) -> str:
        if value not in self._names:
            owner = value.owner
            assert isinstance(owner, Operation)
            tops = names_of(owner, "tops")
            found = zip(owner.results, tops, strict=True)
            name = next((top for x, top in found if x is value), "") or "tensor"
            while name in self._taken:
                name += "'"
            self._taken.add(name)
            self._names[value] = name
        return self._names[value]


def _parts(function: FuncOp) -> list[_Part]:
    """The functions to be, in order: each op as early as what it reads allows."""
    stages: dict[Operation, int] = {}
    for op in function.body.block.ops:
        if isinstance(op, (ConstantOp, ReturnOp)):
            continue
        found = BEFORE_ALL if isinstance(op, HostOp) else 0
        for owner in (x.owner for x in op.operands):
            if isinstance(owner, Operation) and owner in stages:
                crossed = isinstance(owner, HostOp) and not isinstance(op, HostOp)
                found = max(found, stages[owner] + crossed)
        stages[op] = found
    parts: list[_Part] = []
    for stage in range(BEFORE_ALL, max(stages.values()) + 1):
        here = [op for op, at in stages.items() if at == stage]
        npu = [op for op in here if not isinstance(op, HostOp)]
        parts += [_Part(npu)] if npu else []
        parts += [_Part([op]) for op in here if isinstance(op, HostOp)]
    returned = function.body.block.last_op
    assert returned is not None
    outputs = dict.fromkeys(x.owner for x in returned.operands)
    constants = [op for op in outputs if isinstance(op, ConstantOp)]
    if constants and parts[0].is_host:
        parts.insert(0, _Part())
    parts[0].ops[:0] = constants
    return parts


def _last_npu(parts: list[_Part], value: SSAValue) -> _Part:
    """The last function of the NPU, or a new one where a value is made behind it."""
    maker = next((i for i, part in enumerate(parts) if value in part.made()), -1)
    for i in reversed(range(max(0, maker), len(parts))):
        if not parts[i].is_host:
            return parts[i]
    parts.append(_Part())
    return parts[-1]


def _repeat(parts: list[_Part], value: SSAValue, name: str) -> None:
    _last_npu(parts, value).repeated.append((value, name))


def _clear(parts: list[_Part]) -> None:
    """Lets the NPU write zeros, before a host layer that may find less than it could, where layers
    of the NPU read its results."""
    for part in [part for part in parts if part.is_host]:
        (op,) = part.ops
        assert isinstance(op, HostOp)
        read = {x for other in parts if not other.is_host for x in other.read()}
        cleared = [x for x in op.results if x in read]
        if not op.varies or not cleared:
            continue
        before = [other for other in parts[: parts.index(part)] if not other.is_host]
        if not before:
            before = [_Part()]
            parts.insert(0, before[0])
        before[-1].cleared += cleared


def _function(
    name: str, part: _Part, read: Sequence[SSAValue], out: Sequence[SSAValue], named: _Names
) -> FuncOp:
    """A function of copies of the part's ops; constants that it reads are copied into it."""
    block = Block()
    values: dict[SSAValue, SSAValue] = {}
    inputs = [x for x in read if not named.is_copied(x)]
    for value in inputs:
        values[value] = block.insert_arg(value.type, len(block.args))
    for value in read:
        if named.is_copied(value) and isinstance(value.owner, Operation):
            values[value] = _copied(block, value.owner, values).results[0]
    for op in part.ops:
        new = _copied(block, op, values)
        values.update(zip(op.results, new.results, strict=True))
    results = [values[x] for x in (*out, *(value for value, _ in part.repeated))]
    results += [_zeros(block, value) for value in part.cleared]
    block.add_op(ReturnOp(*results))
    kinds = ([x.type for x in block.args], [x.type for x in results])
    found = FuncOp(name, kinds, Region(block))
    found.attributes["input_names"] = _strings(named.of(x) for x in inputs)
    cleared = [named.of(x) for x in part.cleared]
    found.attributes["output_names"] = _strings(
        [*(named.of(x) for x in out), *(repeated for _, repeated in part.repeated), *cleared]
    )
    if cleared:
        found.attributes[CLEARED_NAMES] = _strings(cleared)
    if part.is_host:
        found.attributes[RUNS_ON] = HOST
    return found


def _zeros(block: Block, value: SSAValue) -> SSAValue:
    shape = types.shape_of(value)
    op = ConstantOp.build(
        result_types=[types.float_tensor(shape)],
        properties={
            "value": ConstantAttr.of(np.zeros(shape, np.float32)), "tops": _strings([""])
        },
    )  # fmt: skip
    assert isinstance(value.owner, Operation)
    op.location = value.owner.location
    block.add_op(op)
    return op.y


def _copied(block: Block, op: Operation, values: dict[SSAValue, SSAValue]) -> Operation:
    new = op.clone(dict(values))
    new.location = op.location
    block.add_op(new)
    return new


def _strings(found: Iterable[str]) -> ArrayAttr[StringAttr]:
    return ArrayAttr([StringAttr(each) for each in found])
