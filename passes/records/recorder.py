"""What lowerings to records build with: records appended one after the other, and the shapes that
their tensors have in every sample of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import LocationAttr, TensorType, f32, i32
from xdsl.ir import Attribute, Block, SSAValue
from xdsl.utils.exceptions import VerifyException

from dialects.bm1684.record import shape_ops
from dialects.bm1684.record.base import RecordOp, Shape
from dialects.bm1684.record.movement import COPY, INFER, ConstantOp, ReshapeOp, TransposeOp
from dialects.bm1684.record.pointwise import CODE_OF, ConvertOp, LookupOp
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
        self._known: dict[SSAValue, SSAValue] = {}

    def trial(self, kept: Sequence[int]) -> Recorder:
        """A recorder on a block of its own, with some of the shapes only."""
        found = Recorder(Block(), len(kept))
        found.location = self.location
        found.values, found.constants = dict(self.values), dict(self.constants)
        found._known = dict(self._known)
        found.shapes = {value: [shapes[each] for each in kept]
                        for value, shapes in self.shapes.items()}  # fmt: skip
        return found

    def value(self, value: SSAValue) -> SSAValue:
        """The record value of a value of the network."""
        if value in self.constants and value not in self.values:
            array = self.constants[value]
            self.values[value] = self.constant(array)
        return self.values[value]

    def constant(self, array: Array) -> SSAValue:
        """A float32 coefficient as a tensor."""
        settings: Values = {"rank": array.ndim, "shape": eight(array.shape)}
        return self.one(ConstantOp, [], f32, coefficients={"value": array}, **settings)

    def one(
        self,
        kind: type[RecordOp],
        xs: Sequence[SSAValue],
        element: Attribute,
        /,
        extra: Sequence[int] = (),
        coefficients: Mapping[str, Array] | None = None,
        **parameters: Any,
    ) -> SSAValue:
        """Appends a record; its result holds ``element``. Raises NoRecord where it does not fit at
        the largest shape, ShapeFixed where it does not fit in a sample."""
        v: Values = {**kind.RECORD.struct.defaults, **parameters}
        found: list[Shape] = []
        for sample in range(self.count):
            try:
                kind.check(v)
                found += kind.shapes(v, extra, [self.shapes[x][sample] for x in xs])
            except VerifyException as error:
                if not sample:
                    raise NoRecord(str(error)) from None
                raise ShapeFixed(self.location, str(error), sample) from None
        result = TensorType(element, found[0])
        op = kind(xs, [result], [STEP], parameters, extra=extra, coefficients=coefficients)
        op.location = self.location
        self.block.add_op(op)
        self.shapes[op.ys[0]] = found
        return op.ys[0]

    # -- what many layers need ---------------------------------------------------------------------

    def reshaped(self, x: SSAValue, shapes: Sequence[Shape]) -> SSAValue:
        """The value under another shape, which is given for every sample."""
        given = self.shapes[x]
        if given == [*shapes]:
            return x
        entries = reshape_entries(given, shapes)
        element = element_of(x)
        if entries is None:
            batch_stays = all(g[0] == s[0] for g, s in zip(given, shapes, strict=True))
            if element != f32 and not batch_stays:
                numbers = byte_values(element == types.ui8).astype(np.float32)
                y = self.reshaped(self.looked_up(x, numbers, f32), shapes)
                return self.converted(y, element)
            return self.one(shape_ops.ReshapeToOp, [x, self.shape(shapes)], element)
        return self.one(ReshapeOp, [x], element, rank=len(entries), shape=eight(entries))

    def shape(self, wanted: Sequence[Shape]) -> SSAValue:
        """A shape that is computed at run time, given for every sample."""
        for value, shapes in self.shapes.items():
            if shapes == [*wanted] and element_of(value) != i32:
                return self._shape_of(value)
        parts: list[SSAValue] = []
        numbers: list[int] = []
        for extents in zip(*wanted, strict=True):
            if not varies(extents):
                numbers.append(extents[0])
                continue
            if numbers:
                parts.append(self._numbers(numbers))
                numbers = []
            parts.append(self._extent(extents))
        if numbers:
            parts.append(self._numbers(numbers))
        if len(parts) == 1:
            return parts[0]
        return self.one(shape_ops.ShapeJoinOp, parts, i32, count=len(parts))

    def _shape_of(self, value: SSAValue) -> SSAValue:
        if value not in self._known:
            self._known[value] = self.one(shape_ops.ShapeOfOp, [value], i32)
        return self._known[value]

    def _numbers(self, numbers: Sequence[int]) -> SSAValue:
        return self.one(
            shape_ops.ShapeNumbersOp, [], i32, count=len(numbers), numbers=eight(numbers)
        )

    def _extent(self, wanted: Sequence[int]) -> SSAValue:
        """A shape of one extent: that of a tensor, or a multiple of it and a number."""
        for multiple in (False, True):
            for value, shapes in self.shapes.items():
                if element_of(value) == i32 or len({len(shape) for shape in shapes}) > 1:
                    continue
                for axis, extents in enumerate(zip(*shapes, strict=True)):
                    line = _line(extents, wanted)
                    if line is not None and (multiple or line == (1, 1, 0)):
                        return self._on_line(self._one_extent(value, axis), *line)
        raise NoRecord(f"its extent {wanted[0]} follows from no tensor's at every size")

    def _one_extent(self, value: SSAValue, axis: int) -> SSAValue:
        whole = self._shape_of(value)
        if len(self.shapes[value][0]) == 1:
            return whole
        place = axis | (axis + 1) << 8 | 1 << 16
        return self.one(shape_ops.ShapeSliceOp, [whole], i32, place=place)

    def _on_line(self, extent: SSAValue, factor: int, divisor: int, offset: int) -> SSAValue:
        steps = ((shape_ops.MUL, factor, 1), (shape_ops.DIV, divisor, 1),
                 (shape_ops.ADD if offset > 0 else shape_ops.SUB, abs(offset), 0))  # fmt: skip
        for code, number, nothing in steps:
            if number != nothing:
                operands = [extent, self._numbers([number])]
                extent = self.one(shape_ops.ShapeArithmeticOp, operands, i32, op=code)
        return extent

    def transposed(self, x: SSAValue, order: Sequence[int]) -> SSAValue:
        """The value with reordered dimensions."""
        if [*order] == [*range(len(order))]:
            return x
        return self.one(TransposeOp, [x], element_of(x), order=eight(order, 1))

    def converted(self, x: SSAValue, element: Attribute) -> SSAValue:
        """Another element type, rounded and saturated; no scale is applied."""
        source, result = (CODE_OF[types.numpy_of(each)] for each in (element_of(x), element))
        return self.one(
            ConvertOp, [x], element, source=source, result=result,
            input_mode=0 if source == 0 else 2, output_mode=0 if result == 0 else 2,
        )  # fmt: skip

    def looked_up(self, x: SSAValue, table: Array, element: Attribute) -> SSAValue:
        """``table[byte]`` of 8-bit numbers: 256 numbers, of 8 bits or float32."""
        settings: Values = {"kind": 0, "result": 0} if element == f32 else {}
        words = table if element == f32 else table.astype(np.uint32)
        return self.one(
            LookupOp, [x], element, rank=len(self.shapes[x][0]), coefficients={"table": words},
            shape=eight(self.shapes[x][0]), **settings,
        )  # fmt: skip


def _line(extents: Sequence[int], wanted: Sequence[int]) -> tuple[int, int, int] | None:
    """(factor, divisor, offset) with which ``factor * extent / divisor + offset`` is wanted in
    every sample; all are whole, and nothing is rounded. None where there are none."""
    other = next((i for i, extent in enumerate(extents) if extent != extents[0]), None)
    if other is None:
        return None
    slope = Fraction(wanted[0] - wanted[other], extents[0] - extents[other])
    offset = wanted[0] - slope * extents[0]
    fits = all(slope * e + offset == w for e, w in zip(extents, wanted, strict=True))
    whole = all(slope.numerator * e % slope.denominator == 0 for e in extents)
    if slope <= 0 or not fits or not whole:
        return None
    return slope.numerator, slope.denominator, int(offset)


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
