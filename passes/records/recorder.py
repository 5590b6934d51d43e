"""What lowerings to records build with: records appended one after the other, and the shapes that
their tensors have in every sample of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import LocationAttr, TensorType, f32
from xdsl.ir import Attribute, Block, SSAValue
from xdsl.utils.exceptions import VerifyException

from dialects.bm1684.record.base import RecordOp, Shape
from dialects.bm1684.record.movement import COPY, INFER, ConstantOp, ReshapeOp, TransposeOp
from dialects.bm1684.record.pointwise import LookupOp
from dialects.c_struct import Values
from dialects.quant import types
from dialects.quant.base import QuantOp
from passes.module.locations import LayerError

Array = NDArray[Any]
STEP = ""
"""The name of a tensor that the network does not have."""


class NoRecord(Exception):
    """A layer that no record can carry; the message says why."""


class ShapeFixed(LayerError):
    """A layer that does not compute the same in a sample of another shape: ``sample`` is its
    number."""

    def __init__(self, location: LocationAttr, message: str, sample: int) -> None:
        super().__init__(location, message)
        self.sample = sample


class Recorder:
    """Appends records to a block.

    ``values`` has the record value of each value of the network; ``shapes`` of each record value
    the shape at the maximum, and in each sample.
    """

    def __init__(self, block: Block, count: int) -> None:
        self.block = block
        self.count = count
        """How many shapes there are: the largest, and the samples."""
        self.location: LocationAttr
        self.values: dict[SSAValue, SSAValue] = {}
        self.shapes: dict[SSAValue, list[Shape]] = {}
        self.constants: dict[SSAValue, Array] = {}
        """Values of the network that are no tensors at run time."""

    def value(self, value: SSAValue) -> SSAValue:
        """The record value of a value of the network."""
        if value in self.constants and value not in self.values:
            array = self.constants[value]
            self.values[value] = self.constant(array)
        return self.values[value]

    def constant(self, array: Array) -> SSAValue:
        """A float32 coefficient as a tensor."""
        v = {"rank": array.ndim, "shape": eight(array.shape)}
        kind = TensorType(f32, array.shape)
        op = ConstantOp([], [kind], [STEP], v, coefficients={"value": array})
        op.location = self.location
        self.block.add_op(op)
        self.shapes[op.ys[0]] = [array.shape] * self.count
        return op.ys[0]

    def all(
        self,
        kind: type[RecordOp],
        xs: Sequence[SSAValue],
        element: Attribute,
        tops: Sequence[str] = (STEP,),
        /,
        extra: Sequence[int] = (),
        coefficients: Mapping[str, Array] | None = None,
        **parameters: Any,
    ) -> list[SSAValue]:
        """Appends a record; its results hold ``element``."""
        v: Values = {**kind.RECORD.struct.defaults, **parameters}
        found: list[list[Shape]] = []
        for sample in range(self.count):
            operands = [self.shapes[x][sample] for x in xs]
            try:
                kind.check(v)
                found.append(kind.shapes(v, extra, operands))
            except VerifyException as error:
                if not sample:
                    raise NoRecord(str(error)) from None
                raise ShapeFixed(self.location, str(error), sample) from None
        results = [TensorType(element, shape) for shape in found[0]]
        op = kind(xs, results, tops, parameters, extra=extra, coefficients=coefficients)
        op.location = self.location
        self.block.add_op(op)
        for i, y in enumerate(op.ys):
            self.shapes[y] = [shapes[i] for shapes in found]
        return list(op.ys)

    def one(
        self,
        kind: type[RecordOp],
        xs: Sequence[SSAValue],
        element: Attribute,
        /,
        tops: Sequence[str] = (STEP,),
        **rest: Any,
    ) -> SSAValue:
        """Appends a record with one result."""
        return self.all(kind, xs, element, tops, **rest)[0]

    # -- what many layers need ---------------------------------------------------------------------

    def reshaped(self, x: SSAValue, shapes: Sequence[Shape]) -> SSAValue:
        """The value under another shape, which is given for every sample."""
        given = self.shapes[x]
        if given == [*shapes]:
            return x
        if reshape_entries(given, shapes) is None:
            return self._reshaped_by_parts(x, shapes)
        return self._reshaped_at_once(x, shapes)

    def _reshaped_at_once(self, x: SSAValue, shapes: Sequence[Shape]) -> SSAValue:
        given = self.shapes[x]
        entries = reshape_entries(given, shapes)
        if entries is None:
            sample = next(i for i in range(self.count)
                          if reshape_entries(given[: i + 1], shapes[: i + 1]) is None)  # fmt: skip
            message = f"no reshape makes {shapes[sample]} out of {given[sample]} there, too"
            raise ShapeFixed(self.location, message, sample)
        element = element_of(x)
        return self.one(ReshapeOp, [x], element, rank=len(entries), shape=eight(entries))

    def _reshaped_by_parts(self, x: SSAValue, shapes: Sequence[Shape]) -> SSAValue:
        """Each part is reshaped where it is the last: the axes before it keep their places, and a
        reshape copies the extents of those."""
        for old, new in reversed(reshape_parts(self.shapes[x], shapes)):
            now, extents = self.shapes[x], [shape[new] for shape in shapes]
            if [shape[old] for shape in now] == extents:
                continue
            rank, before = len(now[0]), old.start
            rest = [*range(before), *range(old.stop, rank)]
            x = self.transposed(x, [*rest, *range(before, old.stop)])
            wanted = [
                (*(shape[axis] for axis in rest), *part)
                for shape, part in zip(now, extents, strict=True)
            ]
            x, rank = self._reshaped_at_once(x, wanted), len(wanted[0])
            x = self.transposed(x, [*range(before), *range(len(rest), rank),
                                    *range(before, len(rest))])  # fmt: skip
        return x

    def transposed(self, x: SSAValue, order: Sequence[int]) -> SSAValue:
        """The value with reordered dimensions."""
        if [*order] == [*range(len(order))]:
            return x
        return self.one(TransposeOp, [x], element_of(x), order=eight(order, 1))

    def looked_up(self, x: SSAValue, table: Array, element: Attribute) -> SSAValue:
        """``table[byte]`` of 8-bit numbers: 256 numbers, of 8 bits or float32."""
        settings = {"kind": 0, "result": 0} if element == f32 else {}
        words = table if element == f32 else table.astype(np.uint32)
        return self.one(
            LookupOp, [x], element, rank=len(self.shapes[x][0]), coefficients={"table": words},
            shape=eight(self.shapes[x][0]), **settings,
        )  # fmt: skip


def eight(numbers: Sequence[int], rest: int = 0) -> tuple[int, ...]:
    """Numbers filled up to eight."""
    return (*numbers, *[rest] * (8 - len(numbers)))


def element_of(value: SSAValue) -> Attribute:
    """The element type of a tensor."""
    return types.tensor_type(value).element_type


def reshape_entries(given: Sequence[Shape], wanted: Sequence[Shape]) -> list[int] | None:
    """The entries of a new shape that make each wanted shape out of the given one of the same
    sample; None where there are none. Extents that no sample changes are numbers."""
    entries: list[int] = []
    for axis, first in enumerate(wanted[0]):
        extents = [shape[axis] for shape in wanted]
        if all(extent == first for extent in extents):
            entries.append(first)
        elif all(axis < len(x) and x[axis] == e for x, e in zip(given, extents, strict=True)):
            entries.append(COPY)
        else:
            entries.append(INFER)
    return entries if entries.count(INFER) <= 1 else None


def reshape_parts(given: Sequence[Shape], wanted: Sequence[Shape]) -> list[tuple[slice, slice]]:
    """The axes of both shapes in parts that hold equally many numbers in every sample, as many
    parts as there are."""
    parts: list[tuple[slice, slice]] = []
    ends = len(given[0]), len(wanted[0])
    begin = at = (0, 0)
    while at != ends:
        counts = [[prod(shape[begin[k] : at[k]]) for shape in shapes]
                  for k, shapes in enumerate((given, wanted))]  # fmt: skip
        if at != begin and counts[0] == counts[1] and begin[0] < at[0] and begin[1] < at[1]:
            parts.append((slice(begin[0], at[0]), slice(begin[1], at[1])))
            begin = at
        elif begin == at:
            at = min(at[0] + 1, ends[0]), min(at[1] + 1, ends[1])
        elif (counts[0] <= counts[1] and at[0] < ends[0]) or at[1] == ends[1]:
            at = at[0] + 1, at[1]
        else:
            at = at[0], at[1] + 1
    parts.append((slice(begin[0], ends[0]), slice(begin[1], ends[1])))
    return parts


def varies(numbers: Sequence[object]) -> bool:
    """Whether not all are alike."""
    return any(number != numbers[0] for number in numbers)


def shapes_of(ops: Sequence[QuantOp], operand: int | None = None) -> list[Shape]:
    """The shapes of an operand, or of the result, in every sample."""
    values = [op.results[0] if operand is None else op.operands[operand] for op in ops]
    return [types.shape_of(value) for value in values]


def byte_values(unsigned: bool) -> Array:
    """The number that each of the 256 byte patterns stands for."""
    return np.arange(256, dtype=np.uint8).view(np.uint8 if unsigned else np.int8).astype(np.int64)
