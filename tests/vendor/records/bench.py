"""All cases of a record as one network of the runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bmnetu.bmodel import (
    Bmodel,
    DataType,
    Net,
    Stage,
    StoreMode,
    Tensor,
    align,
    tensor_bytes,
)
from dialects.bm1684.chip import BM1684
from dialects.bm1684.record import movement, pointwise
from dialects.bm1684.record.base import RecordOp, Shape
from dialects.bm1684.record.machine import execute
from dialects.bm1684.record.stream import (
    BYTE_SIZE,
    FLOAT_SIZE,
    N1,
    N4,
    SHAPE_SIZE,
    Coefficient,
    Neuron,
    Operand,
    RecordCode,
    Stream,
    pack,
)
from passes.records.recorder import eight
from tests.vendor.records.cases import (
    F32,
    MEMORY,
    START,
    Case,
    Chain,
    numbers,
)
from tests.vendor.runtime import Array


def sizes_of(kind: Any) -> tuple[int, int]:
    """The words for the size of a type's numbers and for how they are stored."""
    return (FLOAT_SIZE, N1) if kind is F32 else (BYTE_SIZE, N4)


class Bench:
    """A network of all cases of a record, each with inputs and outputs of its own."""

    def __init__(self, kind: type[RecordOp], cases: Sequence[Case | Chain]) -> None:
        self.coeff = bytearray()
        self.free = START + MEMORY // 2
        self.inputs: list[tuple[str, Any, list[Shape], bool]] = []
        self.outputs: list[tuple[str, Any, Shape]] = []
        self.input_ids: list[int] = []
        self.output_ids: list[int] = []
        self.records: list[RecordCode] = []
        self.ids = 0
        for number, case in enumerate(cases):
            if isinstance(case, Chain):
                self._add_chain(number, case)
            elif kind is movement.ConstantOp:
                self._add_constant(number, case)
            else:
                self._add(number, kind, case)

    def _add(self, number: int, kind: type[RecordOp], case: Case) -> None:
        v = {**kind.RECORD.struct.defaults, **case.parameters}
        kind.check(v)
        largest = list(case.shapes[0])
        made = kind.shapes(v, case.extra, largest)
        for name, nbytes in kind.RECORD.scratch.items():
            v[name] = self._room(nbytes(largest, made, case.made is F32))
        sources: list[Operand] = []
        for source in kind.sources(v, case.extra):
            if source.is_coefficient:
                sources.append(self._coefficient(case.coefficients[source.name]))
                continue
            at = sum(isinstance(each, Neuron) for each in sources)
            sources.append(self._input(case, at, f"x{number}.{source.name}"))
        self._record(kind, v, case, sources, self._output(f"y{number}", case, made[0]))

    def _add_constant(self, number: int, case: Case) -> None:
        v = {**movement.ConstantOp.RECORD.struct.defaults, **case.parameters}
        constant = Neuron(self._id(), self._room(4096))
        value = case.coefficients["value"]
        self._record(movement.ConstantOp, v, case, [self._coefficient(value)], constant)
        largest = case.shapes[0][0]
        added = {
            "a_rank": 4, "a_shape": eight(largest), "b_rank": 4, "b_shape": eight(value.shape)
        }  # fmt: skip
        x = self._input(case, 0, f"x{number}")
        y = self._output(f"y{number}", case, largest)
        v = {**pointwise.BinaryOp.RECORD.struct.defaults, **added}
        self._record(pointwise.BinaryOp, v, case, [x, constant], y)

    def _add_chain(self, number: int, chain: Chain) -> None:
        largest = {f"x{i}": shape for i, shape in enumerate(chain.shapes[0])}
        tensors = {name: self._input(chain, i, f"{name}.{number}")
                   for i, name in enumerate(largest)}  # fmt: skip
        size, mode = sizes_of(chain.made)
        for step in chain.steps:
            kind, xs = step.kind, [largest[x] for x in step.xs]
            v = {**kind.RECORD.struct.defaults, **step.parameters}
            kind.check(v)
            (shape,) = kind.shapes(v, (), xs)
            for name, nbytes in kind.RECORD.scratch.items():
                v[name] = self._room(nbytes(xs, [shape], chain.made is F32))
            if kind.RECORD.makes_shape:
                made = Neuron(self._id(), None, True)
            elif step is chain.steps[-1]:
                made = self._output(f"y{number}", chain, shape)
            else:
                made = Neuron(self._id(), self._room(tensor_bytes(
                    DataType[np.dtype(chain.made).name.upper()], StoreMode(mode), shape)))
            sources = [tensors[x] for x in step.xs]
            modes = (
                N1 if not sources or sources[0].is_shape else mode,
                N1 if made.is_shape else mode,
            )
            self.records.append(RecordCode(
                kind, v, (), SHAPE_SIZE if made.is_shape else size, *modes, tuple(sources), (made,)
            ))  # fmt: skip
            tensors[step.name], largest[step.name] = made, shape

    def _id(self) -> int:
        self.ids += 1
        return self.ids

    def _room(self, size: int) -> int:
        """The address of so much memory; 0 for none."""
        at, self.free = self.free, self.free + align(size)
        return at if size else 0

    def _coefficient(self, array: Array) -> Coefficient:
        self.coeff += bytes(-len(self.coeff) % BM1684.ddr_alignment)
        at = START + len(self.coeff)
        self.coeff += np.ascontiguousarray(array).tobytes()
        return Coefficient(at)

    def _input(self, case: Case | Chain, at: int, name: str) -> Neuron:
        shapes = [each[at] for each in case.shapes]
        self.inputs.append((name, case.given[at], shapes, case.positive))
        self.input_ids.append(self._id())
        return Neuron(self.ids)

    def _output(self, name: str, case: Case | Chain, shape: Shape) -> Neuron:
        self.outputs.append((name, case.made, shape))
        self.output_ids.append(self._id())
        return Neuron(self.ids)

    def _record(
        self, kind: type[RecordOp], v: Mapping[str, Any], case: Case, sources: Sequence[Operand],
        result: Neuron,
    ) -> None:
        size, output = sizes_of(case.made)
        source = N1 if case.given[0] is F32 else N4
        self.records.append(
            RecordCode(kind, v, case.extra, size, source, output, tuple(sources), (result,))
        )

    @property
    def stream(self) -> Stream:
        """All records."""
        return Stream(tuple(self.input_ids), tuple(self.output_ids), tuple(self.records), 5)

    def bmodel(self) -> Bmodel:
        """The file's contents."""
        at = START + MEMORY
        tensors: list[Tensor] = []
        borders = [(name, kind, shapes[0]) for name, kind, shapes, _ in self.inputs] + self.outputs
        for name, kind, shape in borders:
            data_type = DataType[np.dtype(kind).name.upper()]
            mode = StoreMode.N1 if kind is F32 else StoreMode.N4
            size = tensor_bytes(data_type, mode, shape)
            tensors.append(Tensor(name, data_type, mode, at, size, shape, 1.0))
            at = align(at + size)
        coeff = bytes(self.coeff) + bytes(-len(self.coeff) % BM1684.ddr_alignment)
        context = START + max(len(coeff), BM1684.ddr_alignment)
        count = len(self.inputs)
        stage = Stage(
            inputs=tuple(tensors[:count]), outputs=tuple(tensors[count:]),
            context_address=context, context_size=at - context, coeff_address=START, coeff=coeff,
            groups=(), records=pack(self.stream), batch_is_free=True, size_is_free=True,
        )  # fmt: skip
        return Bmodel((Net("net", (stage,)),))

    def given(self, index: int) -> dict[str, Array]:
        """Random inputs at the shapes of this number."""
        found: dict[str, Array] = {}
        for name, kind, shapes, positive in self.inputs:
            array = numbers(shapes[min(index, len(shapes) - 1)], kind)
            found[name] = np.abs(array) + F32(0.01) if positive else array
        return found

    def expected(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """What our model of the firmware computes."""
        memory = np.zeros(MEMORY, np.uint8)
        memory[: len(self.coeff)] = np.frombuffer(bytes(self.coeff), np.uint8)
        stream = self.stream
        inputs = dict(zip(stream.inputs, given.values(), strict=True))
        found = execute(stream, memory, START, inputs)
        return {
            name: found[id].view(kind)
            for id, (name, kind, _) in zip(stream.outputs, self.outputs, strict=True)
        }
