"""Command bytes as text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar, cast

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from dialects.bm1684.isa import COMMAND_BYTES, Engine, Instruction, unpack
from dialects.host.ops import BY_NUMBER
from dialects.names import shown
from passes.image.groups import CodedGroup, Sites, command_groups
from passes.image.host import HostCall, host_call, host_op
from passes.module.functions import functions, npu_functions, runs_on_host
from passes.module.locations import location_text


class Queued(Protocol):
    """A command in the queue of its engine."""

    @property
    def engine(self) -> Engine: ...

    @property
    def wait(self) -> int:
        """How many commands of the other engine must have ended before."""
        ...


QueuedT = TypeVar("QueuedT", bound=Queued)


def listing(module: ModuleOp) -> Iterator[str]:
    """A module of npu ops: one line a command (see :func:`disassemble`) and one a layer on the
    host, in the order in which they run. Groups are counted over all functions.
    """
    npu_functions(module)  # there are some
    first = 0
    for function in functions(module):
        if runs_on_host(function):
            yield _host_line(function)
            continue
        sites = Sites(command_groups(function))
        yield from disassemble([group.encode() for group in sites.groups], sites, first)
        first += len(sites.groups)


def _host_line(function: FuncOp) -> str:
    op = host_op(function)
    return f"{host_text(host_call(function))} ; {location_text(op.location)}"


def host_text(call: HostCall) -> str:
    """A layer on the host: its tensors with their addresses, and its parameters."""
    inputs, outputs = (
        ", ".join(f"{shown(t.name)}@{t.address:#x}" for t in tensors)
        for tensors in (call.inputs, call.outputs)
    )
    kind, values = f"number {call.number}", f" {len(call.params)} bytes of parameters"
    op = BY_NUMBER.get(call.number)
    if op is not None:
        kind = op.name.removeprefix("host.")
        with suppress(ValueError):  # parameters of another form
            found = op.LAYER.struct.unpack(call.params)
            values = "".join(f" {name}={_shown(value)}" for name, value in found.items())
    return f"- host {kind} ({inputs}) -> ({outputs}){values}"


def _shown(value: object) -> str:
    """A parameter without spaces."""
    if isinstance(value, tuple):
        return ",".join(_shown(x) for x in cast(tuple[object, ...], value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def disassemble(
    groups: Sequence[CodedGroup], sites: Sites | None = None, first: int = 0
) -> Iterator[str]:
    """One line a command: group, engine, id, the id it waits for, fields; then, where ``sites``
    has them, the layer and the tensors that are final after it. ``first`` is the first group's
    number.

    The commands stand in the order of ``sites``, the function's, else each one behind that which
    it waits for. Raises IsaError for bytes that are no command.
    """
    for number, (tiu, gdma) in enumerate(groups, first):
        queues = {Engine.TIU: _decoded(Engine.TIU, tiu), Engine.GDMA: _decoded(Engine.GDMA, gdma)}
        if sites is None:
            for inst in by_waits(queues):
                yield _line(number, inst)
            continue
        for op in sites.groups[number - first].commands:
            inst = queues[op.instruction.engine].popleft()
            tops = "".join(f" final={o.top}" for o in op.observations)
            yield f"{_line(number, inst)} ; {location_text(op.location)}{tops}"


def _line(group: int, inst: Instruction) -> str:
    text = inst.with_ids(0, 0).text()
    return f"{group} {inst.engine:4} {inst.id:5} <{inst.wait:5} {text}"


def _decoded(engine: Engine, data: bytes) -> deque[Instruction]:
    starts = range(0, len(data), COMMAND_BYTES)
    return deque(unpack(engine, data[at : at + COMMAND_BYTES]) for at in starts)


def by_waits(queues: Mapping[Engine, deque[QueuedT]]) -> Iterator[QueuedT]:
    """The commands of both engines, the TIU's first where both may run. Where both wait for
    commands that do not come, the TIU's come first, too. Empties the queues."""
    done = dict.fromkeys(Engine, 0)
    others = {Engine.TIU: Engine.GDMA, Engine.GDMA: Engine.TIU}
    while left := [engine for engine in (Engine.TIU, Engine.GDMA) if queues[engine]]:
        able = [engine for engine in left if queues[engine][0].wait <= done[others[engine]]]
        engine = (able or left)[0]
        yield queues[engine].popleft()
        done[engine] += 1
