"""What is wrong with a stage: its commands, host layers, border and records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from xdsl.utils.exceptions import VerifyException

from bmnetu.bmodel import Stage, Tensor
from bmnetu.bmodel.notes import RECORD
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.steps import Step, steps_of
from dialects.bm1684.isa import Engine
from dialects.bm1684.model.errors import DeadlockError, ModelError, RaceError
from dialects.bm1684.model.faults import Memory, faults
from dialects.bm1684.model.memory.access import Access
from dialects.bm1684.record.local import LocalGroup
from dialects.bm1684.record.stream import Coefficient, RecordCode, StreamError, unpack
from dialects.host.ops import BY_NUMBER
from dialects.names import quoted

KINDS: dict[type[ModelError], str] = {DeadlockError: "wait", RaceError: "race"}


@dataclass(frozen=True)
class Fault:
    """One finding. ``kind``: "command" (its fields, its id or its addresses), "wait", "race",
    "border", "host" or "record". ``at`` is the number of the command in its group, of the subnet
    of a host layer, or of the record; the group counts over the stage. ``layer`` where the file
    says which one it is."""

    net: str
    stage: int
    kind: str
    sentence: str
    group: int | None = None
    engine: Engine | None = None
    at: int | None = None
    layer: str = ""

    def __str__(self) -> str:
        place = f"net {quoted(self.net)}, stage {self.stage}"
        if self.engine is not None:
            place += f", group {self.group}, {self.engine} command {self.at}"
        elif self.at is not None:
            place += f", {'record' if self.kind == 'record' else 'subnet'} {self.at}"
        place += f" of layer {quoted(self.layer)}" if self.layer else ""
        return f"{place}: {self.sentence}"

    def record(self) -> dict[str, Any]:
        """All of it for JSON."""
        return asdict(self) | {"engine": None if self.engine is None else str(self.engine)}


def stage_faults(found: Chosen) -> Iterator[Fault]:
    """Everything that is wrong with a stage, as far as it can be known without running it."""
    stage = found.stage
    if stage.is_dynamic:
        for at, sentence in _record_faults(stage):
            layer = "" if at is None else found.layer(0, RECORD, at + 1)
            yield Fault(found.net, found.number, "record", sentence, at=at, layer=layer)
        return
    memory = _memory(stage)
    for number, step in enumerate(steps_of(stage)):
        if step.subnet.host is not None:
            for sentence in _host_faults(step):
                yield Fault(found.net, found.number, "host", sentence, at=number)
            continue
        touched: list[Access] = []
        groups = [(group.tiu, group.gdma) for group in step.groups]
        clean = True
        for error in faults(groups, memory, touched):
            clean = False
            group = None if error.group is None else step.first + error.group
            what = (KINDS.get(type(error), "command"), error.sentence)
            layer = found.layer(group or 0, error.engine or "", error.id or 0)
            yield Fault(found.net, found.number, *what, group, error.engine, error.id, layer)
        for tensor in step.subnet.outputs if clean else ():
            if not _is_written(tensor, touched):
                sentence = f"no command writes {quoted(tensor.name)} at {tensor.address:#x}"
                yield Fault(found.net, found.number, "border", sentence, at=number)


def _memory(stage: Stage) -> Memory:
    return Memory(
        range(stage.coeff_address, stage.coeff_address + len(stage.coeff)),
        range(stage.context_address, stage.context_address + stage.context_size),
    )


def _is_written(tensor: Tensor, touched: list[Access]) -> bool:
    end = tensor.address + tensor.size
    return any(a.write and a.start < end and tensor.address < a.stop for a in touched)


def _host_faults(step: Step) -> Iterator[str]:
    """What the host library would not do with a layer."""
    host = step.subnet.host
    assert host is not None
    op = BY_NUMBER.get(host.number)
    if op is None:
        yield f"there is no host layer of number {host.number}"
        return
    layer, given = op.LAYER, step.subnet.inputs
    if not len(layer.inputs) - layer.optional <= len(given) <= len(layer.inputs):
        yield f"{op.name} has {len(given)} inputs, it takes {', '.join(layer.inputs)}"
        return
    try:
        values = layer.struct.unpack(host.params)
        op.check(values)
        op.shapes(values, [tensor.shape for tensor in given])
    except (VerifyException, ValueError, ArithmeticError, IndexError) as error:
        yield f"{op.name}: {error}"


# -- records ---------------------------------------------------------------------------------------


def _record_faults(stage: Stage) -> Iterator[tuple[int | None, str]]:
    """The number of a record, and what is wrong with it."""
    try:
        stream = unpack(stage.records, len(stage.inputs), len(stage.outputs))
    except StreamError as error:
        yield None, str(error)
        return
    memory = _memory(stage)
    known = set(stream.inputs)
    for index, group in enumerate(stream.groups):
        read = [each.id for each in (group.inputs if isinstance(group, LocalGroup)
                                     else group.neurons)]  # fmt: skip
        for id in dict.fromkeys(read):
            if id not in known:
                yield index, f"it reads tensor {id} before it is made"
        made = group.outputs if isinstance(group, LocalGroup) else group.results
        known |= {each.id for each in made}
        if isinstance(group, RecordCode):
            yield from ((index, sentence) for sentence in _address_faults(group, memory))
    for id in stream.outputs:
        if id not in known:
            yield None, f"the output with the id {id} is never made"


def _address_faults(record: RecordCode, memory: Memory) -> Iterator[str]:
    for each in (*record.sources, *record.results):
        area, what = memory.neurons, "neurons"
        if isinstance(each, Coefficient):
            area, what = memory.weights, "weights"
        if each.address is not None and each.address not in area:
            yield f"its address {each.address:#x} lies outside of the {what}"
