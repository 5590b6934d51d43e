"""A bmodel executed step by step on the model of the NPU.

    from bmnetu.inspect.debugger import Debugger, open_stage
    found = open_stage(Path("compilation.bmodel"))
    debugger = Debugger(found, {"data": array}, reference={"conv1": expected})
    debugger.run_to(layer="conv1")
    debugger.tensor("conv1"); debugger.waits(); debugger.compare()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.bmodel import NamedTensor, Stage
from bmnetu.emit.static import placed, stage_program
from bmnetu.errors import BmnetuError, UnsupportedError, UsageError
from bmnetu.inspect.chosen import Chosen, read_path
from bmnetu.inspect.execution import check_memory, observed, told
from bmnetu.inspect.lifetimes import HOST
from bmnetu.inspect.steps import Command, Step, decoded, host_name, steps_of
from bmnetu.nearest import nearest
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine
from dialects.bm1684.model import ModelError, Space
from dialects.bm1684.npu import Observation
from dialects.names import quoted
from passes.image.groups import Site
from passes.verification.findings import Difference
from passes.verification.npu import Done, executed, read_tensor, started

Array = NDArray[Any]
Break = str | Site
"""A layer by its name, or a command: group, engine, number (from 1)."""
OTHER = {Engine.TIU: Engine.GDMA, Engine.GDMA: Engine.TIU}


def open_stage(path: Path, net: str | None = None, stage: int = 0) -> Chosen:
    """A stage of a file, of its first net without ``net``. Raises InputFileError, UsageError."""
    nets = {each.name: each for each in read_path(path).nets}
    name = next(iter(nets)) if net is None else net
    if name not in nets or not 0 <= stage < len(nets[name].stages):
        raise UsageError(f"{path} has no net {quoted(name)} with a stage {stage}")
    return Chosen(name, stage, nets[name].stages[stage])


@dataclass(frozen=True)
class Stop:
    """What was executed last: a command, or a layer on the host, whose number is its subnet's."""

    group: int
    engine: str
    number: int
    layer: str = ""

    def __str__(self) -> str:
        if self.engine == HOST:
            return f"subnet {self.number}, {self.layer} on the host"
        layer = f" of layer {quoted(self.layer)}" if self.layer else ""
        return f"group {self.group}, {self.engine} command {self.number}{layer}"


@dataclass(frozen=True)
class Wait:
    """The next command of an engine: it may start when ``needed`` commands of the other engine
    have ended, of which ``ended`` have."""

    group: int
    command: Command
    needed: int
    ended: int

    def __str__(self) -> str:
        engine, instruction = self.command.engine, self.command.instruction
        kind = "no command" if instruction is None else instruction.kind.mnemonic
        state = "may start" if self.needed <= self.ended else "waits"
        return (f"group {self.group}, {engine} command {self.command.number}, {kind}: {state},"
                f" needs {self.needed} {OTHER[engine]} commands, {self.ended} have ended")


@dataclass(frozen=True)
class Comparison:
    """A tensor against the reference, when it was final; ``trouble`` where it cannot be."""

    name: str
    difference: Difference | None
    trouble: str = ""

    @property
    def equal(self) -> bool:
        """Integers: all are equal; floats: within the tolerance of the compare."""
        return self.difference is not None and not self.difference.index


class Debugger:
    """A static stage with its inputs, in their data types; nothing is executed at first.

    ``reference``: expected tensors by name; each is compared when it is final, as far as the file
    says where it lies. Raises UnsupportedError for a dynamic stage, or one that needs more memory
    than the model has. All that executes raises FaultError, UnsupportedError as ``run`` does.
    """

    def __init__(
        self,
        found: Chosen,
        inputs: Mapping[str, Array],
        reference: Mapping[str, Array] | None = None,
    ) -> None:
        stage = found.stage
        if stage.is_dynamic:
            raise UnsupportedError(f"{found} is dynamic: the chip's firmware makes its commands"
                                   " when it runs, so that there are none to step through")
        check_memory(found)
        self.found = found
        self.reference = dict(reference or {})
        self.last: Stop | None = None
        self.finished = False
        self.steps = 0
        self._program = stage_program(stage)
        with told(found):
            tensors = {placed(t): inputs[t.name] for t in stage.inputs}
            self._npu = started(self._program, tensors, None)
        self._events = executed(self._program, self._npu)
        self._places = list(steps_of(stage))
        self._done = {(g, e): 0 for g in range(len(stage.groups)) for e in Engine}
        self._hosts = 0
        self._decoded: dict[int, dict[Engine, list[Command]]] = {}
        self._left = Counter(_layers(found, self._places))
        self._compared: dict[str, Comparison] = {}
        self._named = dict(_named(stage, found.notes.tensors))
        self._final = {t.name for t in stage.inputs}
        self._sites: dict[tuple[int, str, int], list[str]] = {}
        for t in found.notes.tensors:
            self._sites.setdefault((t.group, t.engine, t.number), []).append(t.name)

    # -- execution

    def step(self, count: int = 1) -> Stop | None:
        """Executes so many commands or host layers: the last one of them, None where nothing was
        left to do."""
        stop = None
        for _ in range(count):
            stop = self._step()
            if stop is None:
                break
        return stop

    def run(self, breaks: Collection[Break] = ()) -> Stop | None:
        """Executes up to a break: a command has been executed, or the last one of a layer. None at
        the end."""
        for each in breaks:
            self.check(each)
        while (stop := self._step()) is not None:
            site = stop.group, stop.engine, stop.number
            if site in breaks or (stop.layer in breaks and not self._left[stop.layer]):
                return stop
        return None

    def run_to(self, layer: str | None = None, command: Site | None = None) -> Stop | None:
        """As :meth:`run`, to one layer or command. Raises UsageError where there is none."""
        return self.run([each for each in (layer, command) if each is not None])

    def check(self, place: Break) -> None:
        """Raises UsageError for a layer or command that the stage does not have."""
        if isinstance(place, str):
            if place in self._left:
                return
            names = [name for name in self._left if name]
            near = nearest(place, names)
            hint = f"did you mean {quoted(near)}?" if near else (
                f"it has {', '.join(map(quoted, names[:8]))}" if names else "it names none")
            raise UsageError(f"{self.found} has no layer {quoted(place)}: {hint}")
        group, engine, number = place
        groups = self.found.stage.groups
        counts = {} if group not in range(len(groups)) else {
            Engine.TIU: groups[group].tiu_count, Engine.GDMA: groups[group].gdma_count}
        if not 1 <= number <= counts.get(engine, 0):
            raise UsageError(f"{self.found} has no {engine} command {number} in a group {group}")

    def _step(self) -> Stop | None:
        try:
            with told(self.found):
                for done in self._events:
                    stop = self._stop(done)
                    if stop is not None:
                        self.last = stop
                        self.steps += 1
                        return stop
        except BmnetuError:
            self.finished = True
            raise
        if not self.finished:
            self.finished = True
            self._finish([t.name for t in self.found.stage.outputs])
        return None

    def _stop(self, done: Done) -> Stop | None:
        """What was executed; None for the end of a subnet on the NPU."""
        call = self._places[done.place]
        if done.site is None:
            self._finish([t.name for t in call.subnet.outputs])
            if call.subnet.host is None:
                return None
            layer = host_name(call.subnet.host)
            self._hosts += 1
            self._left[layer] -= 1
            return Stop(call.first, HOST, done.place, layer)
        group, engine, number = done.site
        self._done[group, engine] = number
        layer = self.found.layer(group, engine, number)
        self._left[layer] -= 1
        self._finish(self._sites.get((group, str(engine), number), ()))
        return Stop(group, str(engine), number, layer)

    def _finish(self, names: Collection[str]) -> None:
        """Tensors are final: compares those of the reference."""
        self._final.update(names)
        for name in names:
            if name not in self.reference:
                continue
            try:
                found = _comparison(name, self.tensor(name), self.reference[name])
            except UsageError as error:
                found = Comparison(name, None, error.message)
            self._compared[name] = found

    # -- looks

    @property
    def names(self) -> list[str]:
        """The tensors of which the file says where they lie in DDR."""
        return list(self._named)

    def is_final(self, name: str) -> bool:
        """Whether a tensor has been computed; its memory can hold another one by now."""
        return name in self._final

    def tensor(self, name: str) -> Array:
        """What lies in a tensor's place now. Raises UsageError for an unknown name, or a place
        that is outside of the memory."""
        if name not in self._named:
            near = nearest(name, self._named)
            listed = ", ".join(map(quoted, self.names[:8]))
            hint = f"did you mean {quoted(near)}?" if near else f"it says it of {listed}"
            raise UsageError(f"the file does not say where a tensor {quoted(name)} lies: {hint}")
        try:
            at = self._named[name]
            return read_tensor(self._npu, at if isinstance(at, Observation) else observed(at))
        except ModelError as error:
            raise UsageError(f"tensor {quoted(name)}: {error}") from None

    def memory(self, space: Space, address: int, size: int, lane: int = 0) -> Array:
        """A copy of bytes, uint8 [size]: at an address in DDR, or from an offset on in L2 or in a
        lane of local memory. Raises UsageError outside of them."""
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
        """The next command of each engine in the group that runs, or runs next; none where a host
        layer is next, or nothing is left."""
        hosts = 0
        for step in self._places:
            if step.subnet.host is not None:
                hosts += 1
                if hosts > self._hosts:
                    return []
            for number, group in enumerate(step.groups, step.first):
                if self._done[number, Engine.TIU] == group.tiu_count and (
                        self._done[number, Engine.GDMA] == group.gdma_count):  # fmt: skip
                    continue
                if number not in self._decoded:
                    self._decoded = {number: decoded(group)}
                return [
                    Wait(number, own[done], own[done].wait, self._done[number, OTHER[engine]])
                    for engine, own in self._decoded[number].items()
                    if (done := self._done[number, engine]) < len(own)
                ]
        return []

    def compare(self) -> list[Comparison]:
        """The tensors of the reference that were final up to now, in that order."""
        return list(self._compared.values())


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


def _comparison(name: str, value: Array, expected: Array) -> Comparison:
    if value.size != prod(expected.shape):
        return Comparison(name, None, f"the reference has the shape {list(expected.shape)}, the"
                          f" tensor {list(value.shape)}")
    if (value.dtype.kind == "f") != (expected.dtype.kind == "f"):
        return Comparison(name, None, f"the reference holds {expected.dtype}, the tensor"
                          f" {value.dtype}")
    expected = expected.reshape(value.shape)
    undefined = None if value.dtype.kind != "f" else ~np.isfinite(expected)
    return Comparison(name, Difference.between(value, expected, undefined))
