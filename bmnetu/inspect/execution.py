"""The run of a stage on the model of the NPU: its commands' bytes, or its records."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.bmodel import NamedTensor
from bmnetu.bmodel.notes import RECORD
from bmnetu.emit.static import placed, stage_program
from bmnetu.errors import FaultError, UnsupportedError
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.places import MOST_DDR, observed
from bmnetu.inspect.record_lifetimes import record_events
from bmnetu.inspect.records import stream_of
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine
from dialects.bm1684.model import ModelError, Npu
from dialects.bm1684.npu import DTYPES
from dialects.bm1684.record.local import LocalGroup
from dialects.bm1684.record.machine import Machine, MachineError
from dialects.bm1684.record.stream import Stream
from dialects.host.base import defined_part
from dialects.names import quoted
from passes.image.groups import Site
from passes.verification.firmware import launched, run_record
from passes.verification.host import HostError
from passes.verification.npu import execute, read_tensor

Array = NDArray[Any]
NOT_RUN = (
    "layers in local memory, as the vendor's compiler makes them, which the model of the firmware"
    " does not run; bmnetu-model dis prints them"
)
"""Of such a record of a dynamic stage."""


@dataclass
class Outcome:
    """The outputs by name, and inner tensors that were asked for."""

    outputs: dict[str, Array]
    inner: dict[str, Array] = field(default_factory=dict[str, Array])


def run_stage(found: Chosen, inputs: Mapping[str, Array], dump: Sequence[str] = ()) -> Outcome:
    """Runs a stage once, for inputs in its data types. ``dump`` names tensors between its subnets.

    Raises FaultError where commands or records are wrong, UnsupportedError for what the models
    cannot do.
    """
    check_memory(found)
    if found.stage.is_dynamic:
        return _run_records(found, list(inputs.values()), dump)
    return _run_commands(found, inputs, dump)


def check_memory(found: Chosen) -> int:
    """The bytes of DDR that a stage needs. Raises UnsupportedError for more than the model has."""
    stage = found.stage
    memory = stage.context_address + stage.context_size - BM1684.context_start
    if memory > MOST_DDR:
        raise UnsupportedError(f"{found}: its memory reaches {memory} bytes far, the model of the"
                               f" NPU has {MOST_DDR}")  # fmt: skip
    return memory


@contextmanager
def told(found: Chosen) -> Generator[None]:
    """What the models refuse becomes a sentence that names the stage."""
    try:
        yield
    except ModelError as error:
        raise FaultError(f"{found}, {error}") from None
    except HostError as error:
        raise UnsupportedError(f"{found}, subnet {error.place}: {error}") from None


def inner_names(found: Chosen) -> list[str]:
    """The tensors that the file names: those between subnets, and those of our compiler's notes."""
    between = [t.name for subnet in found.stage.subnets for t in subnet.outputs]
    return list(dict.fromkeys([*between, *(t.name for t in found.notes.tensors)]))


def _run_commands(found: Chosen, inputs: Mapping[str, Array], dump: Sequence[str]) -> Outcome:
    program = stage_program(found.stage)
    made: dict[str, Array] = {}
    outcome = Outcome({})

    def on_host(place: int, results: list[Array]) -> None:
        for tensor, value in zip(program.calls[place].outputs, results, strict=True):
            made[tensor.name] = defined_part(value)
            if tensor.name in dump:
                outcome.inner[tensor.name] = made[tensor.name]

    def on_npu(place: int, npu: Npu) -> None:
        for tensor in program.calls[place].outputs:
            made.pop(tensor.name, None)
            if tensor.name in dump:
                outcome.inner[tensor.name] = read_tensor(npu, tensor.observation())

    watched: dict[Site, list[NamedTensor]] = {}
    for tensor in found.notes.tensors:
        if tensor.name in dump and tensor.engine in list(Engine):
            site = (tensor.group, Engine(tensor.engine), tensor.number)
            watched.setdefault(site, []).append(tensor)

    def after(site: Site, npu: Npu) -> None:
        for at in watched.get(site, ()):
            outcome.inner[at.name] = read_tensor(npu, observed(at))

    tensors = {placed(t): inputs[t.name] for t in found.stage.inputs}
    with told(found):
        npu = execute(program, tensors, None, after, on_host, on_npu)
        for tensor in map(placed, found.stage.outputs):
            value = made.get(tensor.name)
            outcome.outputs[tensor.name] = (
                read_tensor(npu, tensor.observation()) if value is None else value
            )
    return outcome


def launch(found: Chosen, stream: Stream, inputs: list[Array]) -> Machine:
    """A dynamic stage on fresh memory, of which nothing has run. Raises UnsupportedError for more
    memory than the model has."""
    stage = found.stage
    memory = np.zeros(check_memory(found), np.uint8)
    first = stage.coeff_address - BM1684.context_start
    memory[first : first + len(stage.coeff)] = np.frombuffer(stage.coeff, np.uint8)
    return launched(stream, memory, inputs)


def record_results(found: Chosen, machine: Machine, index: int) -> list[Array]:
    """Runs a record. Raises FaultError; UsageError for shapes that the records do not take."""
    try:
        return run_record(machine, index)
    except MachineError as error:
        if found.largest is not None:
            record_events(found)  # which raises where the shapes are the reason
        layer = found.layer(0, RECORD, error.index + 1)
        where = f"record {error.index}" + (f" of layer {quoted(layer)}" if layer else "")
        raise FaultError(f"{found}, {where}: {error.message}") from None


def _run_records(found: Chosen, inputs: list[Array], dump: Sequence[str]) -> Outcome:
    stage, stream = found.stage, stream_of(found)
    for index, group in enumerate(stream.groups):
        if isinstance(group, LocalGroup):
            raise UnsupportedError(f"{found}, record {index}: {NOT_RUN}")
    named = {t.number: t for t in found.notes.tensors if t.engine == RECORD and t.name in dump}
    outcome = Outcome({})

    def observe(index: int, results: list[Array]) -> None:
        at = named.get(index + 1)
        if at is not None and at.dtype in DTYPES and results:
            value = results[0]
            same = value.itemsize == np.dtype(at.dtype).itemsize
            outcome.inner[at.name] = value.view(at.dtype) if same else value

    machine = launch(found, stream, inputs)
    for index in range(len(stream.groups)):
        observe(index, record_results(found, machine, index))
    results = machine.outputs
    outputs = outcome.outputs
    for id, tensor in zip(stream.outputs, stage.outputs, strict=True):
        kind = tensor.data_type.numpy
        if id not in results or results[id].dtype.itemsize != kind.itemsize:
            raise FaultError(f"{found}: no record makes the output {tensor.name!r} as {kind}")
        outputs[tensor.name] = results[id].view(kind)
    return outcome
