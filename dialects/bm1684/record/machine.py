"""Our model of the firmware: executes a stream of records on a memory, for inputs of any shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.utils.exceptions import VerifyException

from dialects.bm1684.record.base import Call, Shape
from dialects.bm1684.record.local import LocalGroup
from dialects.bm1684.record.stream import (
    FLOAT_SIZE,
    N4,
    SHAPE_SIZE,
    Coefficient,
    Neuron,
    RecordCode,
    Stream,
)

Array = NDArray[Any]


class MachineError(ValueError):
    """A record that cannot be executed: which one, and why."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index
        self.message = message


@dataclass(frozen=True)
class _Entry:
    """What the firmware knows of a tensor."""

    shape: Shape
    size: int
    mode: int
    array: Array | None = None
    """The user's buffer."""
    address: int | None = None


def stored(array: Array, mode: int) -> Array:
    """The bytes of a tensor in memory; 4N: byte k of a word belongs to image 4 g + k."""
    if mode != N4:
        return np.ascontiguousarray(array).view(np.uint8).reshape(-1)
    n = len(array)
    grown = np.zeros((-(-n // 4) * 4, *array.shape[1:]), array.dtype)
    grown[:n] = array
    words = np.moveaxis(grown.reshape(-1, 4, *array.shape[1:]), 1, -1)
    return np.ascontiguousarray(words).view(np.uint8).reshape(-1)


def loaded(data: Array, shape: Shape, size: int, mode: int) -> Array:
    """The opposite of :func:`stored`: float32 or uint8."""
    if size == FLOAT_SIZE:
        return data.view(np.float32).reshape(shape)
    if mode != N4:
        return data.reshape(shape)
    words = data.reshape(-1, *shape[1:], 4)
    return np.moveaxis(words, -1, 1).reshape(-1, *shape[1:])[: shape[0]]


def stored_bytes(shape: Shape, size: int, mode: int) -> int:
    """Bytes of a tensor in memory."""
    n = shape[0] if mode != N4 else -(-shape[0] // 4) * 4
    return int(np.prod((n, *shape[1:]))) * (4 if size == FLOAT_SIZE else 1)


class Machine:
    """A network's records and its memory, one launch: the records run one by one.

    ``memory`` are the bytes from the address ``start`` on: coefficients, then the context.
    ``inputs`` are the network's inputs by id, with their shapes of this launch. ``outputs`` are the
    results of the network by id, as far as they are made.
    """

    def __init__(
        self, stream: Stream, memory: Array, start: int, inputs: Mapping[int, Array]
    ) -> None:
        self.stream, self.memory, self.start = stream, memory, start
        self.outputs: dict[int, Array] = {}
        self._table: dict[int, _Entry] = {}
        for id in stream.inputs:
            array = inputs[id]
            size = FLOAT_SIZE if array.dtype == np.float32 else 2
            raw = array if size == FLOAT_SIZE else array.view(np.uint8)
            self._table[id] = _Entry(array.shape, size, 0, raw)

    def run(self, index: int) -> list[Array]:
        """The results of a record. Raises MachineError."""
        record = self.stream.groups[index]
        if isinstance(record, LocalGroup):
            raise MachineError(index, f"group {index} has layers in local memory, which our model"
                               " of the firmware does not execute")
        try:
            results = _run(record, self._table, self.memory, self.start)
        except (VerifyException, ValueError, KeyError) as error:
            raise MachineError(index, f"{record.kind.name}: {error}") from None
        for neuron, array in zip(record.results, results, strict=True):
            self._table[neuron.id] = self._made(index, record, neuron, array)
        return results

    def _made(self, index: int, record: RecordCode, neuron: Neuron, array: Array) -> _Entry:
        """Stores a result."""
        if neuron.is_shape:
            return _Entry(array.shape, SHAPE_SIZE, 0, array)
        is_float = array.dtype == np.float32
        if is_float != (record.data_size == FLOAT_SIZE):
            raise MachineError(index, f"{record.kind.name} makes {array.dtype}, the record says"
                               f" size {record.data_size}")
        raw = array if is_float else array.view(np.uint8)
        if neuron.address is None:
            self.outputs[neuron.id] = array
            return _Entry(array.shape, record.data_size, 0, np.ascontiguousarray(raw))
        data = stored(raw, record.output_mode)
        self.memory[_place(neuron.address, data.size, self.memory, self.start)] = data
        return _Entry(array.shape, record.data_size, record.output_mode, None, neuron.address)

    def is_shape(self, id: int) -> bool:
        """Whether a tensor is made, and is a shape."""
        return id in self._table and self._table[id].size == SHAPE_SIZE

    def tensor(self, id: int) -> Array | None:
        """What lies in a tensor's place now, 8 bits as uint8; None before it is made. A shape is an
        array of that shape."""
        entry = self._table.get(id)
        if entry is None or entry.array is not None:
            return None if entry is None else entry.array
        return _load(Neuron(id, entry.address), self._table, self.memory, self.start)


def execute(
    stream: Stream,
    memory: Array,
    start: int,
    inputs: Mapping[int, Array],
    observe: Callable[[int, list[Array]], None] = lambda index, results: None,
) -> dict[int, Array]:
    """Runs the records of a :class:`Machine`; the results of the network by id. ``observe`` gets
    the results of each record. Raises MachineError.
    """
    machine = Machine(stream, memory, start, inputs)
    for index in range(len(stream.groups)):
        observe(index, machine.run(index))
    return machine.outputs


def _place(address: int, nbytes: int, memory: Array, start: int) -> slice:
    begin = address - start
    if not 0 <= begin <= len(memory) - nbytes:
        raise ValueError(f"{nbytes} bytes at {address:#x} lie outside of the network's memory")
    return slice(begin, begin + nbytes)


def _run(
    record: RecordCode, table: Mapping[int, _Entry], memory: Array, start: int
) -> list[Array]:
    kind = record.kind
    kind.check(record.values)
    named = kind.sources(record.values, record.extra)
    addresses = {
        name.name: each.address
        for name, each in zip(named, record.sources, strict=True)
        if isinstance(each, Coefficient)
    }

    def coefficient(name: str, dtype: type[np.generic], count: int) -> Array:
        nbytes = count * np.dtype(dtype).itemsize
        return memory[_place(addresses[name], nbytes, memory, start)].view(dtype)

    xs = [_load(each, table, memory, start) for each in record.neurons]
    call = Call(record.values, record.extra, xs, coefficient)
    expected = kind.shapes(record.values, record.extra, call.shapes)
    results = kind.compute(call)
    if [y.shape for y in results] != expected:
        raise ValueError(f"results of {[y.shape for y in results]}, its rule gives {expected}")
    return results


def _load(neuron: Neuron, table: Mapping[int, _Entry], memory: Array, start: int) -> Array:
    if neuron.id not in table:
        raise ValueError(f"tensor {neuron.id} is read before it is made")
    entry = table[neuron.id]
    if neuron.is_shape != (entry.size == SHAPE_SIZE):
        raise ValueError(f"{neuron.id} is {'no ' if neuron.is_shape else 'a '}shape")
    if entry.array is not None:
        if neuron.address is not None:
            raise ValueError(f"tensor {neuron.id} lies in the user's buffer, the record has an"
                             " address")
        return entry.array
    if neuron.address is None:
        raise ValueError(f"tensor {neuron.id} has no address")
    nbytes = stored_bytes(entry.shape, entry.size, entry.mode)
    data = memory[_place(neuron.address, nbytes, memory, start)]
    return loaded(data.copy(), entry.shape, entry.size, entry.mode)
