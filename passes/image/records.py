"""What the runtime gets of a dynamic network: the stream of records and the coefficients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684.chip import BM1684
from dialects.bm1684.record.base import NO_BUFFER, RecordOp, is_shape, shape_of
from dialects.bm1684.record.stream import (
    MAX_ID,
    Coefficient,
    Neuron,
    Operand,
    RecordCode,
    Stream,
    store_mode,
    word_size,
)
from dialects.quant import types
from passes.image.program import integer
from passes.module.functions import main_function, names


@dataclass(frozen=True)
class BorderTensor:
    """An input or output of a dynamic network, at its largest shape; ``scale`` is the real value
    of one step of 8-bit numbers."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None


@dataclass(frozen=True)
class DynamicProgram:
    """What the runtime gets. ``coeff``: the coefficients, from the start of the network's memory
    on; ``ddr_bytes``: the size of that memory."""

    stream: Stream
    coeff: bytes
    ddr_bytes: int

    @staticmethod
    def of(module: ModuleOp) -> DynamicProgram:
        """Encodes a module of record ops that have addresses."""
        function = main_function(module)
        coeff = _coefficients(function)
        return DynamicProgram(
            stream_of(function), coeff, len(coeff) + integer(function, "context_size")
        )


def records_of(function: FuncOp) -> list[RecordOp]:
    """The records of a function, in order."""
    return [op for op in function.body.block.ops if isinstance(op, RecordOp)]


def border(module: ModuleOp) -> tuple[list[BorderTensor], list[BorderTensor]]:
    """The network's inputs and outputs."""
    function = main_function(module)
    returned = function.body.block.last_op
    assert isinstance(returned, ReturnOp)
    return (
        _border(function.body.block.args, names(function, "input_names")),
        _border(returned.operands, names(function, "output_names")),
    )


def _border(values: Sequence[SSAValue], found: Sequence[str]) -> list[BorderTensor]:
    return [
        BorderTensor(
            name, shape_of(value), types.dtype_name(types.tensor_type(value).element_type),
            None if types.is_float(value) else types.scale_of(value),
        )
        for value, name in zip(values, found, strict=True)
    ]  # fmt: skip


def _coefficients(function: FuncOp) -> bytes:
    size = integer(function, "coeff_size")
    parts: list[tuple[int, bytes]] = []
    for record in records_of(function):
        places = () if record.coefficient_addresses is None else (
            record.coefficient_addresses.get_values())  # fmt: skip
        constants = record.constants
        if len(places) != len(constants):
            raise PassFailedException(f"{record.name} has no place for a coefficient:"
                                      " run record-allocate-ddr")
        for at, constant in zip(places, constants, strict=True):
            parts.append((at - BM1684.context_start, constant.array.tobytes()))
    if any(not 0 <= begin <= size - len(data) for begin, data in parts):
        raise PassFailedException(f"a coefficient lies outside of the coeff_size of {size} bytes")
    image = np.zeros(size, np.uint8)
    for begin, data in parts:
        image[begin : begin + len(data)] = np.frombuffer(data, np.uint8)
    return image.tobytes()


Define = Callable[[SSAValue, int | None], Neuron]
"""Gives a value its id, with its address."""


def stream_of(function: FuncOp) -> Stream:
    """The stream of a function of records that have addresses."""
    block = function.body.block
    returned = block.last_op
    assert isinstance(returned, ReturnOp)
    tensors: dict[SSAValue, Neuron] = {}

    def define(value: SSAValue, address: int | None) -> Neuron:
        if len(tensors) > MAX_ID:
            raise PassFailedException(f"the network has more than {MAX_ID} tensors")
        return tensors.setdefault(value, Neuron(len(tensors) + 1, address, is_shape(value)))

    for arg in block.args:
        define(arg, None)
    records = [_record(record, tensors, define) for record in records_of(function)]
    return Stream(
        inputs=tuple(tensors[arg].id for arg in block.args),
        outputs=tuple(tensors[value].id for value in returned.operands),
        groups=tuple(records),
        batch=max((shape_of(arg)[0] for arg in block.args), default=1),
    )


def _record(record: RecordOp, tensors: dict[SSAValue, Neuron], define: Define) -> RecordCode:
    v, extra = record.values, record.numbers
    if record.addresses is None:
        raise PassFailedException(f"{record.name} has no addresses: run record-allocate-ddr")
    places = iter(
        () if record.coefficient_addresses is None else record.coefficient_addresses.get_values()
    )
    neurons = iter(record.xs)
    sources: list[Operand] = [
        Coefficient(next(places)) if source.is_coefficient else tensors[next(neurons)]
        for source in record.sources(v, extra)
    ]
    results = tuple(
        define(y, None if at == NO_BUFFER else at)
        for y, at in zip(record.ys, record.addresses.get_values(), strict=True)
    )
    return RecordCode(
        type(record), v, extra, word_size(record.ys[0]), store_mode((*record.xs, *record.ys)[0]),
        store_mode(record.ys[0]), tuple(sources), results,
    )  # fmt: skip
