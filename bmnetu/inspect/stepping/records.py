"""The records of a dynamic stage, executed one by one on the model of the firmware."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from bmnetu.bmodel.notes import RECORD
from bmnetu.errors import UnsupportedError, UsageError
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.execution import NOT_RUN, launch, record_results
from bmnetu.inspect.records import record_kind, stream_of, tensor_names
from bmnetu.inspect.stepping.base import Array, Place, Stop, Wait, counted, unknown_tensor
from dialects.bm1684.chip import BM1684
from dialects.bm1684.model import Space
from dialects.bm1684.npu import DTYPES
from dialects.bm1684.record.local import LocalGroup
from dialects.names import quoted
from dialects.ufw.shapes import show


class RecordSteps:
    """A dynamic stage with its inputs, whose shapes are those of the launch; a :class:`Stepper`.

    A tensor has the name that the file gives it, else ``tN``, with N its id in the stream, as in
    ``dis``.
    """

    def __init__(self, found: Chosen, inputs: Mapping[str, Array]) -> None:
        for t in found.stage.inputs:
            shape = inputs[t.name].shape
            if len(shape) != len(t.shape) or not all(map(int.__le__, shape, t.shape)):
                raise UsageError(f"{found}: input {quoted(t.name)} takes up to {show(t.shape)}, not"
                                 f" {show(shape)}")  # fmt: skip
        self.found = found
        self.stream = stream_of(found)
        self._machine = launch(found, self.stream, [inputs[t.name] for t in found.stage.inputs])
        self._done = 0
        groups = self.stream.groups
        self.layers = Counter(found.layer(0, RECORD, i + 1) for i in range(len(groups)))
        self.count = counted(len(groups), "records")
        self._names = tensor_names(found, self.stream)
        self._ids = {name: id for id, name in self._names.items()}
        self.names = list(self._ids)
        self._types: dict[int, Any] = {
            id: t.data_type.numpy
            for ids, some in ((self.stream.inputs, found.stage.inputs),
                              (self.stream.outputs, found.stage.outputs))
            for id, t in zip(ids, some, strict=True)
        }  # fmt: skip
        for t in found.notes.tensors:
            id = self._ids.get(t.name)
            if t.engine == RECORD and t.dtype in DTYPES and id is not None:
                self._types.setdefault(id, np.dtype(t.dtype))

    def events(self) -> Iterator[tuple[Stop | None, Collection[str]]]:
        for index, group in enumerate(self.stream.groups):
            if isinstance(group, LocalGroup):
                raise UnsupportedError(f"{self.found}, record {index}: {NOT_RUN}")
            results = record_results(self.found, self._machine, index)
            for neuron, value in zip(group.results, results, strict=True):
                self._types.setdefault(neuron.id, value.dtype)
            layer = self.found.layer(0, RECORD, index + 1)
            self.layers[layer] -= 1
            self._done = index + 1
            made = [self._names[each.id] for each in group.results]
            yield Stop(0, RECORD, index, layer), made
        yield None, [t.name for t in self.found.stage.outputs]

    def has(self, place: Place) -> bool:
        group, engine, number = place
        return (group, engine) == (0, RECORD) and 0 <= number < len(self.stream.groups)

    def tensor(self, name: str) -> Array:
        if name not in self._ids:
            raise unknown_tensor(name, self.names)
        id = self._ids[name]
        value = self._machine.tensor(id)
        if value is None:
            raise UsageError(f"tensor {quoted(name)} is not yet computed: its shape is not known"
                             " before")
        kind = self._types.get(id, value.dtype)
        if self._machine.is_shape(id):
            return np.array(value.shape, np.int32)
        return value.view(kind) if value.dtype.itemsize == np.dtype(kind).itemsize else value

    def memory(self, space: Space, address: int, size: int, lane: int) -> Array:
        if space is not Space.DDR:
            raise UnsupportedError(f"{self.found} is dynamic: the chip's firmware decides what lies"
                                   f" in {space} when it runs, so that only DDR can be read")
        data = self._machine.memory
        begin = address - BM1684.context_start
        if begin < 0 or size < 0 or begin + size > len(data):
            raise UsageError(f"{size} bytes at {address:#x} are outside of the net's memory,"
                             f" {BM1684.context_start:#x} to"
                             f" {BM1684.context_start + len(data) - 1:#x}")
        return data[begin : begin + size].copy()

    def waits(self) -> list[Wait]:
        """The next record: the firmware ends each before it begins the next one."""
        if self._done == len(self.stream.groups):
            return []
        kind = record_kind(self.stream.groups[self._done])
        return [Wait(0, RECORD, self._done, kind, "records", self._done, self._done)]

