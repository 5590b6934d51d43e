"""The commands and host layers of a static stage, executed one by one on the model of the NPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from bmnetu.bmodel import NamedTensor, Stage
from bmnetu.emit.static import placed, stage_program
from bmnetu.errors import UsageError
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.execution import check_memory, told
from bmnetu.inspect.lifetimes import HOST
from bmnetu.inspect.places import observed
from bmnetu.inspect.stepping.base import Array, Place, Stop, Wait, counted, unknown_tensor
from bmnetu.inspect.steps import Command, Step, decoded, host_name, steps_of
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine
from dialects.bm1684.model import ModelError, Space
from dialects.bm1684.npu import Observation
from dialects.names import quoted
from passes.verification.npu import Done, executed, read_tensor, started

OTHER = {Engine.TIU: Engine.GDMA, Engine.GDMA: Engine.TIU}


class CommandSteps:
    """A static stage with its inputs; a :class:`Stepper`."""

    def __init__(self, found: Chosen, inputs: Mapping[str, Array]) -> None:
        stage = found.stage
        check_memory(found)
        self.found = found
        self._program = stage_program(stage)
        with told(found):
            tensors = {placed(t): inputs[t.name] for t in stage.inputs}
            self._npu = started(self._program, tensors, None)
        self._places = list(steps_of(stage))
        self._done = {(g, e): 0 for g in range(len(stage.groups)) for e in Engine}
        self._hosts = 0
        self._decoded: dict[int, dict[Engine, list[Command]]] = {}
        self.layers = Counter(_layers(found, self._places))
        self._named = dict(_named(stage, found.notes.tensors))
        self.names = list(self._named)
        total = sum(group.tiu_count + group.gdma_count for group in stage.groups)
        hosts = sum(subnet.host is not None for subnet in stage.subnets)
        self.count = counted(total, "commands") + (f", {hosts} on the host" if hosts else "")
        self._sites: dict[Place, list[str]] = {}
        for t in found.notes.tensors:
            self._sites.setdefault((t.group, t.engine, t.number), []).append(t.name)

    def events(self) -> Iterator[tuple[Stop | None, Collection[str]]]:
        with told(self.found):
            for done in executed(self._program, self._npu):
                yield self._event(done)
        yield None, [t.name for t in self.found.stage.outputs]

    def _event(self, done: Done) -> tuple[Stop | None, Collection[str]]:
        call = self._places[done.place]
        if done.site is None:
            made = [t.name for t in call.subnet.outputs]
            if call.subnet.host is None:
                return None, made
            layer = host_name(call.subnet.host)
            self._hosts += 1
            self.layers[layer] -= 1
            return Stop(call.first, HOST, done.place, layer), made
        group, engine, number = done.site
        self._done[group, engine] = number
        layer = self.found.layer(group, engine, number)
        self.layers[layer] -= 1
        made = self._sites.get((group, str(engine), number), ())
        return Stop(group, str(engine), number, layer), made

    def has(self, place: Place) -> bool:
        group, engine, number = place
        groups = self.found.stage.groups
        if group not in range(len(groups)):
            return False
        counts = {Engine.TIU: groups[group].tiu_count, Engine.GDMA: groups[group].gdma_count}
        return 1 <= number <= {str(e): n for e, n in counts.items()}.get(engine, 0)

    def tensor(self, name: str) -> Array:
        if name not in self._named:
            raise unknown_tensor(name, self.names)
        try:
            at = self._named[name]
            return read_tensor(self._npu, at if isinstance(at, Observation) else observed(at))
        except ModelError as error:
            raise UsageError(f"tensor {quoted(name)}: {error}") from None

    def memory(self, space: Space, address: int, size: int, lane: int) -> Array:
        if space is Space.DDR:
            try:
                return self._npu.ddr_view(address, size).copy()
            except ModelError as error:
                raise UsageError(str(error)) from None
        if not 0 <= lane < BM1684.lanes:
            raise UsageError(f"there is no lane {lane}, the last one is {BM1684.lanes - 1}")
        data = self._npu.l2 if space is Space.L2 else self._npu.lmem[lane]
        if address < 0 or size < 0 or address + size > data.size:
            raise UsageError(f"{space} has {data.size:#x} bytes, no {size} from {address:#x} on")
        return data[address : address + size].copy()

    def waits(self) -> list[Wait]:
        """The next command of each engine in the group that runs, or runs next; or the host layer
        that is next, which needs all subnets before it."""
        hosts = 0
        for place, step in enumerate(self._places):
            if step.subnet.host is not None:
                hosts += 1
                if hosts > self._hosts:
                    name = host_name(step.subnet.host)
                    return [Wait(step.first, HOST, place, name, "subnets", place, place)]
            for number, group in enumerate(step.groups, step.first):
                if self._done[number, Engine.TIU] == group.tiu_count and (
                        self._done[number, Engine.GDMA] == group.gdma_count):  # fmt: skip
                    continue
                if number not in self._decoded:
                    self._decoded = {number: decoded(group)}
                return [
                    self._wait(number, engine, own[done])
                    for engine, own in self._decoded[number].items()
                    if (done := self._done[number, engine]) < len(own)
                ]
        return []

    def _wait(self, group: int, engine: Engine, command: Command) -> Wait:
        found = command.instruction
        kind = "no command" if found is None else found.kind.mnemonic
        other = OTHER[engine]
        return Wait(group, str(engine), command.number, kind, f"{other} commands", command.wait,
                    self._done[group, other], command)  # fmt: skip


def _layers(found: Chosen, steps: list[Step]) -> Iterator[str]:
    """The layer of every command, and the host layers."""
    for step in steps:
        if step.subnet.host is not None:
            yield host_name(step.subnet.host)
        for number, group in enumerate(step.groups, step.first):
            for engine, count in ((Engine.TIU, group.tiu_count), (Engine.GDMA, group.gdma_count)):
                yield from (found.layer(number, engine, i) for i in range(1, count + 1))


def _named(
    stage: Stage, notes: Collection[NamedTensor]
) -> Iterator[tuple[str, Observation | NamedTensor]]:
    """Where tensors lie; what comes last counts."""
    yield from ((t.name, t) for t in notes)
    inner = [t for subnet in stage.subnets for t in (*subnet.inputs, *subnet.outputs)]
    for t in (*inner, *stage.inputs, *stage.outputs):
        yield t.name, placed(t).observation()
