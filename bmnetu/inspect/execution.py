"""The run of a stage on the model of the NPU: its commands' bytes, or its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.bmodel import Stage
from bmnetu.emit.static import placed, stage_program
from bmnetu.errors import FaultError, UnsupportedError
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.records import stream_of
from dialects.bm1684.chip import BM1684
from dialects.bm1684.model import ModelError, Npu
from dialects.bm1684.record.local import LocalGroup
from dialects.bm1684.record.machine import MachineError
from dialects.host.base import defined_part
from passes.verification.firmware import execute_records
from passes.verification.host import HostError
from passes.verification.npu import execute, read_tensor

Array = NDArray[Any]
MOST_DDR = 1 << 32
"""Bytes of DDR that the model has, as the vendor's simulator. What a run does not touch of them
takes no memory."""


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
    stage = found.stage
    memory = stage.context_address + stage.context_size - BM1684.context_start
    if memory > MOST_DDR:
        raise UnsupportedError(f"{found}: its memory reaches {memory} bytes far, the model of the"
                               f" NPU has {MOST_DDR}")  # fmt: skip
    if stage.is_dynamic:
        return Outcome(_run_records(found, list(inputs.values()), memory))
    return _run_commands(found, inputs, dump)


def inner_names(stage: Stage) -> list[str]:
    """The tensors between subnets, which the file names."""
    return list(dict.fromkeys(t.name for subnet in stage.subnets for t in subnet.outputs))


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

    tensors = {placed(t): inputs[t.name] for t in found.stage.inputs}
    try:
        npu = execute(program, tensors, None, None, on_host, on_npu)
        for tensor in map(placed, found.stage.outputs):
            value = made.get(tensor.name)
            outcome.outputs[tensor.name] = (
                read_tensor(npu, tensor.observation()) if value is None else value
            )
    except ModelError as error:
        raise FaultError(f"{found}, {error}") from None
    except HostError as error:
        raise UnsupportedError(f"{found}, subnet {error.place}: {error}") from None
    return outcome


def _run_records(found: Chosen, inputs: list[Array], size: int) -> dict[str, Array]:
    stage, stream = found.stage, stream_of(found)
    for index, group in enumerate(stream.groups):
        if isinstance(group, LocalGroup):
            raise UnsupportedError(
                f"{found}, record {index}: layers in local memory, as the vendor's compiler makes"
                " them, which the model of the firmware does not run; bmnetu-model dis prints them"
            )
    memory = np.zeros(size, np.uint8)
    first = stage.coeff_address - BM1684.context_start
    memory[first : first + len(stage.coeff)] = np.frombuffer(stage.coeff, np.uint8)
    try:
        results = execute_records(stream, memory, inputs)
    except MachineError as error:
        raise FaultError(f"{found}, record {error.index}: {error.message}") from None
    outputs: dict[str, Array] = {}
    for id, tensor in zip(stream.outputs, stage.outputs, strict=True):
        kind = tensor.data_type.numpy
        if id not in results or results[id].dtype.itemsize != kind.itemsize:
            raise FaultError(f"{found}: no record makes the output {tensor.name!r} as {kind}")
        outputs[tensor.name] = results[id].view(kind)
    return outputs
