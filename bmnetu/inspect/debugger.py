"""A bmodel executed step by step on the model of the NPU.

    from bmnetu.inspect.debugger import Debugger, open_stage
    found = open_stage(Path("compilation.bmodel"))
    debugger = Debugger(found, {"data": array}, reference={"conv1": expected})
    debugger.run_to(layer="conv1")
    debugger.tensor("conv1"); debugger.waits(); debugger.compare()
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.bmodel.notes import RECORD
from bmnetu.errors import BmnetuError, UsageError
from bmnetu.inspect.chosen import Chosen, read_path
from bmnetu.inspect.inputs import as_stored
from bmnetu.inspect.stepping.base import Break, Place, Stepper, Stop, Wait, stop_place
from bmnetu.inspect.stepping.commands import CommandSteps
from bmnetu.inspect.stepping.records import RecordSteps
from bmnetu.nearest import nearest
from dialects.bm1684.model import Space
from dialects.names import quoted
from dialects.ufw.shapes import show
from passes.verification.findings import Difference

__all__ = ["Break", "Comparison", "Debugger", "Stop", "Wait", "open_stage"]

Array = NDArray[Any]


def open_stage(path: Path, net: str | None = None, stage: int = 0) -> Chosen:
    """A stage of a file, of its first net without ``net``. Raises InputFileError, UsageError."""
    nets = {each.name: each for each in read_path(path).nets}
    name = next(iter(nets)) if net is None else net
    if name not in nets or not 0 <= stage < len(nets[name].stages):
        raise UsageError(f"{path} has no net {quoted(name)} with a stage {stage}")
    return Chosen(name, stage, nets[name].stages[stage])


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


def _stored(found: Chosen, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The inputs of a stage in its data types. Raises UsageError, InputFileError."""
    wanted = {tensor.name: tensor for tensor in found.stage.inputs}
    if set(wanted) != set(inputs):
        raise UsageError(f"{found} takes {', '.join(map(quoted, wanted)) or 'no inputs'}, not"
                         f" {', '.join(map(quoted, inputs)) or 'none'}")  # fmt: skip
    stored: dict[str, Array] = {}
    for name, tensor in wanted.items():
        array = np.asarray(inputs[name])
        if not found.stage.is_dynamic and array.shape != tensor.shape:
            raise UsageError(f"{found}: input {quoted(name)} takes {show(tensor.shape)}, not"
                             f" {show(array.shape)}")  # fmt: skip
        stored[name] = as_stored(array, tensor, f"the array for input {quoted(name)}")
    return stored


class Debugger:
    """A stage with its inputs; nothing is executed at first. Inputs have the stage's shapes; real
    numbers become ``round(real * scale)`` for an input of integers, as for ``--input``.

    A static stage runs command by command, with its layers on the host; a dynamic one record by
    record, at the shapes that the inputs have. ``reference``: expected tensors by name; each is
    compared when it is final, as far as the file says where it lies. Raises UnsupportedError
    for a stage that needs more memory than the model has, UsageError for inputs that are
    missing, unknown or of other shapes, InputFileError for integers that an input cannot hold.
    All that executes raises FaultError, UnsupportedError, UsageError as ``run`` does, and then
    the same ``error`` again.
    """

    def __init__(
        self,
        found: Chosen,
        inputs: Mapping[str, Array],
        reference: Mapping[str, Array] | None = None,
    ) -> None:
        self.found = found
        self.reference = dict(reference or {})
        self.last: Stop | None = None
        self.finished = False
        self.error: BmnetuError | None = None
        self.steps = 0
        form = RecordSteps if found.stage.is_dynamic else CommandSteps
        self._stage: Stepper = form(found, _stored(found, inputs))
        self._events = self._stage.events()
        self._compared: dict[str, Comparison] = {}
        self._final = {t.name for t in found.stage.inputs}

    # -- execution

    def step(self, count: int = 1) -> Stop | None:
        """Executes so many commands, records or host layers: the last one of them, None where
        nothing was left to do."""
        stop = None
        for _ in range(count):
            stop = self._step()
            if stop is None:
                break
        return stop

    def run(self, breaks: Collection[Break] = ()) -> Stop | None:
        """Executes up to a break: a command or record has been executed, or the last one of a
        layer. None at the end."""
        for each in breaks:
            self.check(each)
        while (stop := self._step()) is not None:
            done = stop.layer in breaks and not self._stage.layers[stop.layer]
            if done or stop_place(stop) in breaks:
                return stop
        return None

    def run_to(
        self, layer: str | None = None, command: Place | None = None, record: int | None = None
    ) -> Stop | None:
        """As :meth:`run`, to one layer, command or record. Raises UsageError where there is
        none."""
        places = [layer, command, None if record is None else (0, RECORD, record)]
        return self.run([each for each in places if each is not None])

    def check(self, place: Break) -> None:
        """Raises UsageError for a layer, command or record that the stage does not have."""
        if isinstance(place, str):
            if place in self._stage.layers:
                return
            names = [name for name in self._stage.layers if name]
            near = nearest(place, names)
            hint = f"did you mean {quoted(near)}?" if near else (
                f"it has {', '.join(map(quoted, names[:8]))}" if names else "it names none")
            raise UsageError(f"{self.found} has no layer {quoted(place)}: {hint}")
        if not self._stage.has(place):
            group, engine, number = place
            what = f"{engine} command {number} in a group {group}"
            if engine == RECORD:
                what = f"record {number}"
            raise UsageError(f"{self.found} has no {what}: there are {self._stage.count}")

    def _step(self) -> Stop | None:
        self._raise_again()
        try:
            for stop, made in self._events:
                self._finish(made)
                if stop is not None:
                    self.last = stop
                    self.steps += 1
                    return stop
        except BmnetuError as error:
            self.finished, self.error = True, error
            raise
        self.finished = True
        return None

    def _raise_again(self) -> None:
        """Nothing runs behind what failed."""
        if self.error is not None:
            raise self.error

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
    def count(self) -> str:
        """What there is to execute, in words."""
        return self._stage.count

    @property
    def names(self) -> list[str]:
        """The tensors of which the file says where they lie in DDR; of a dynamic stage all."""
        return self._stage.names

    def is_final(self, name: str) -> bool:
        """Whether a tensor has been computed; its memory can hold another one by now."""
        return name in self._final

    def tensor(self, name: str) -> Array:
        """What lies in a tensor's place now. Raises UsageError for an unknown name, a place that is
        outside of the memory, or a tensor of a dynamic stage that is not yet computed."""
        return self._stage.tensor(name)

    def memory(self, space: Space, address: int, size: int, lane: int = 0) -> Array:
        """A copy of bytes, uint8 [size]: at an address in DDR, or from an offset on in L2 or in a
        lane of local memory. Raises UsageError outside of them, UnsupportedError for L2 and local
        memory of a dynamic stage, where the firmware decides what lies there."""
        return self._stage.memory(space, address, size, lane)

    def waits(self) -> list[Wait]:
        """The next command of each engine in the group that runs, or runs next; or the host layer
        or the record that is next. None where nothing is left. Raises the error of what
        failed, unless it is that all wait."""
        waits = self._stage.waits()
        if any(each.may_start for each in waits):
            self._raise_again()
        return waits

    def compare(self) -> list[Comparison]:
        """The tensors of the reference that were final up to now, in that order."""
        return list(self._compared.values())


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
