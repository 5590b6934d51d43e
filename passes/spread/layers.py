"""The layers of a region as layers on pieces that lie side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, IntegerType, f32
from xdsl.ir import Attribute, Operation, SSAValue

from dialects.constant import Array, ConstantAttr
from dialects.quant import types
from dialects.quant.base import PART, PIECES, QuantOp, i64s, int_attr, ints
from dialects.quant.compute import AveragePoolOp, ConvOp, EltwiseOp, PReluOp
from dialects.quant.eltwise import EltwiseKind, EltwiseKindAttr
from dialects.quant.movement import ConcatOp, SliceOp
from dialects.quant.windows import ROWS, RowWindow
from passes.channels.orders import channels_of
from passes.slices.copies import UNNAMED
from passes.slices.plan_rows import rows_read
from passes.spread.pieces import Pieces
from passes.spread.region import Entry, Placed, is_dense

CHANNELS = 1
"""The axis of channels."""


def side_by_side(weight: Array, count: int) -> Array:
    """Weights [O, C, kh, kw] for as many tensors beside each other: [count*O, count*C, kh, kw],
    zeros for the channels of others."""
    outputs, channels, *kernel = weight.shape
    wide = np.zeros((count, outputs, count, channels, *kernel), weight.dtype)
    each = np.arange(count)
    wide[each, :, each] = weight
    return wide.reshape(count * outputs, count * channels, *kernel)


def _repeated(constant: ConstantAttr, count: int) -> ConstantAttr:
    return ConstantAttr.of(np.concatenate([constant.array] * count))


@dataclass
class Spread:
    """Makes the new layers; :meth:`put` puts them in place of the old ones.

    ``made``: for each layer of the region those that take its place, in their order.
    ``results``: for the result of each exit its parts.
    """

    placed: Placed
    made: dict[Operation, list[QuantOp]] = field(default_factory=dict[Operation, list[QuantOp]])
    results: dict[SSAValue, list[SSAValue]] = field(
        default_factory=dict[SSAValue, list[SSAValue]]
    )

    def __post_init__(self) -> None:
        region = self.placed.region
        values = {region.entry.y: self._entry(region.entry)}
        for link in region.links:
            operands = [values[x] if x in values else self._repeat(link, x) for x in link.operands]
            values[link.results[0]] = self._link(link, operands)
        for op in region.exits:
            (x,), (y,) = op.operands, op.results
            if isinstance(op, ConvOp):
                self.results[y] = self._exit(op, values[x])
            else:
                self.results[y] = [self._mean(op, values[x])]

    @property
    def count(self) -> int:
        return self.placed.region.count

    def _entry(self, entry: Entry) -> SSAValue:
        """Convolutions of each piece, one concatenation; a float ReLU follows on all pieces at
        once."""
        layer, pieces = entry.layer, self.placed.pieces[entry.y]
        relu = types.is_float(entry.y) and bool(entry.convs[0].relu.value.data)
        firsts = (i * pieces.shift for i in range(self.count))
        wholes = [self._piece(entry, first, pieces.rows, relu) for first in firsts]
        kind = _shaped(entry.y, self.count * channels_of(entry.y), pieces.rows)
        facts = self._facts(layer, pieces)
        value = self._add(
            layer, ConcatOp, wholes, kind, {"axis": int_attr(CHANNELS)}, {} if relu else facts
        )
        if relu:
            slope = {"slope": ConstantAttr.of(np.zeros(1, np.float32))}
            value = self._add(layer, PReluOp, [value], kind, slope, facts)
        return value

    def _piece(self, entry: Entry, first: int, count: int, relu: bool) -> SSAValue:
        """Some rows of what the entry makes, without its ReLU."""
        parts: list[SSAValue] = []
        for conv, low, rows in entry.parts(first, count):
            window = _window(conv)
            x = self._rows(entry.layer, conv.x, *rows_read(window, (low, rows)))
            properties = _padded(conv, window, low, rows)
            if relu:
                properties["relu"] = BoolAttr.from_bool(False)
            kind = _shaped(conv.y, channels_of(conv.y), rows)
            parts.append(self._add(entry.layer, ConvOp, [x], kind, properties))
        if len(parts) == 1:
            return parts[0]
        kind = _shaped(entry.y, channels_of(entry.y), count)
        return self._add(entry.layer, ConcatOp, parts, kind, {"axis": int_attr(ROWS)})

    def _repeat(self, op: QuantOp, value: SSAValue) -> SSAValue:
        """An operand that is the same for all pixels, for all pieces."""
        channels = channels_of(value)
        if channels == 1:
            return value
        kind = _shaped(value, self.count * channels, 1)
        axis = {"axis": int_attr(CHANNELS)}
        return self._add(op, ConcatOp, [value] * self.count, kind, axis)

    def _link(self, op: QuantOp, operands: Sequence[SSAValue]) -> SSAValue:
        """One layer on all pieces."""
        pieces, (result,) = self.placed.pieces[op.results[0]], op.results
        kind = _shaped(result, self.count * channels_of(result), pieces.rows)
        properties = _properties(op)
        if isinstance(op, ConvOp):
            if is_dense(op):
                wide = side_by_side(op.weight.array, self.count)
                properties["weight"] = ConstantAttr.of(wide)
            else:
                properties["weight"] = _repeated(op.weight, self.count)
                properties["group"] = int_attr(self.count * op.group.value.data)
            if op.bias is not None:
                properties["bias"] = _repeated(op.bias, self.count)
        elif isinstance(op, PReluOp) and op.slope.array.size > 1:
            properties["slope"] = _repeated(op.slope, self.count)
        return self._add(op, type(op), operands, kind, properties, self._facts(op, pieces))

    def _exit(self, conv: ConvOp, value: SSAValue) -> list[SSAValue]:
        """A convolution for each part of the rows, on the piece that has what it reads."""
        pieces, cuts = self.placed.pieces[conv.x], self.placed.cuts[conv]
        window, channels = _window(conv), channels_of(conv.x)
        parts: list[SSAValue] = []
        for i, (first, end) in enumerate(pairwise(cuts)):
            low, rows = rows_read(window, (first, end - first))
            x = self._cut(conv, value, CHANNELS, i * channels, channels)
            x = self._rows(conv, x, low - i * pieces.shift, rows)
            kind = _shaped(conv.y, channels_of(conv.y), end - first)
            properties = _padded(conv, window, first, end - first)
            parts.append(self._add(conv, ConvOp, [x], kind, properties))
        return parts

    def _mean(self, op: QuantOp, value: SSAValue) -> SSAValue:
        """The mean of the means of equal parts: of each piece, as a row of one result, from the row
        on where its part begins."""
        (x,), (y,) = op.operands, op.results
        pieces, edges = self.placed.pieces[x], self.placed.cuts[op]
        step, each, channels = edges[1] - pieces.shift, edges[1], channels_of(y)
        rows = self.count if step else 1
        window = {"kernel": i64s([each, types.shape_of(x)[3]]), "stride": i64s([max(step, 1), 1])}
        kind = _shaped(y, self.count * channels, rows)
        means = self._add(op, AveragePoolOp, [value], kind, {**_properties(op), **window})
        parts: list[SSAValue] = []
        for i in range(self.count):
            part = self._cut(op, means, CHANNELS, i * channels, channels)
            parts.append(self._rows(op, part, i if step else 0, 1))
        settings = {
            "kind": EltwiseKindAttr(EltwiseKind.SUM),
            "coefficients": DenseArrayBase.from_list(f32, [1 / self.count] * self.count),
        }
        facts = {"tops": op.tops, **op.attributes}
        return self._add(op, EltwiseOp, parts, y.type, settings, facts)

    def _facts(self, op: QuantOp, pieces: Pieces) -> dict[str, Attribute]:
        """The top, and what the compare must know."""
        old = op.attributes.get(PART)
        triples = () if old is None else ints(cast(DenseArrayBase[IntegerType], old))
        known = {name: value for name, value in op.attributes.items() if name != PART}
        begin, whole, others = 0, types.shape_of(op.results[0])[ROWS], list[int]()
        for axis, first, extent in zip(triples[::3], triples[1::3], triples[2::3], strict=True):
            if axis == ROWS:
                begin, whole = first, extent
            else:
                others += (axis, first, extent)
        spans = [
            number
            for i, (first, end) in enumerate(pieces.good)
            for number in (first - i * pieces.shift, end - first, begin + first)
        ]
        rest = {PART: i64s(others)} if others else {}
        return {"tops": op.tops, **known, **rest, PIECES: i64s([whole, *spans])}

    def _rows(self, op: QuantOp, value: SSAValue, first: int, count: int) -> SSAValue:
        return self._cut(op, value, ROWS, first, count)

    def _cut(self, op: QuantOp, value: SSAValue, axis: int, begin: int, count: int) -> SSAValue:
        shape = list(types.shape_of(value))
        if (begin, count) == (0, shape[axis]):
            return value
        shape[axis] = count
        where = {"axis": int_attr(axis), "begin": int_attr(begin)}
        return self._add(op, SliceOp, [value], types.like(value, shape), where)

    def _add(
        self,
        layer: QuantOp,
        kind: type[QuantOp],
        operands: Sequence[SSAValue],
        result: Attribute,
        properties: Mapping[str, Attribute],
        facts: Mapping[str, Attribute] = {},
    ) -> SSAValue:
        attributes = dict(facts)
        tops = attributes.pop("tops", UNNAMED)
        op = kind.create(
            operands=operands,
            result_types=[result],
            properties={**properties, "tops": tops},
            attributes=attributes,
            location=layer.location,
        )
        self.made.setdefault(layer, []).append(op)
        return op.results[0]

    def drop(self) -> None:
        """Takes the new layers away, which read tensors of the network."""
        for op in reversed([op for ops in self.made.values() for op in ops]):
            op.drop_all_references()

    def put(self) -> None:
        """Replaces the layers of the region."""
        region = self.placed.region
        block = region.entry.layer.parent_block()
        assert block is not None
        for layer, ops in self.made.items():
            for op in ops:
                block.insert_op_before(op, layer)
        for op in region.exits:
            (y,) = op.results
            if isinstance(op, ConvOp):
                self._join(op, self.results[y])
            else:
                y.replace_all_uses_with(self.results[y][0])
        for op in reversed(region.layers):
            op.detach()
            op.erase()

    def _join(self, conv: ConvOp, parts: Sequence[SSAValue]) -> None:
        """Puts parts in the place of a whole: into the concatenation of rows that alone reads it,
        or one of their own."""
        reader = conv.y.get_user_of_unique_use()
        if isinstance(reader, ConcatOp) and reader.axis.value.data == ROWS and not conv.top:
            operands = list[SSAValue]()
            for x in reader.xs:
                operands += parts if x is conv.y else [x]
            reader.operands = operands
            return
        whole = ConcatOp.create(
            operands=parts,
            result_types=[conv.y.type],
            properties={"tops": conv.tops, "axis": int_attr(ROWS)},
            attributes=dict(conv.attributes),
            location=conv.location,
        )
        block = conv.parent_block()
        assert block is not None
        block.insert_op_before(whole, conv)
        conv.y.replace_all_uses_with(whole.y)


def _window(op: QuantOp) -> RowWindow:
    window = op.row_window()
    assert window is not None
    return window


def _properties(op: QuantOp) -> dict[str, Attribute]:
    return {name: value for name, value in op.properties.items() if name != "tops"}


def _padded(conv: ConvOp, window: RowWindow, first: int, count: int) -> dict[str, Attribute]:
    """The properties of a convolution that makes rows ``first``...: the padding is left at the
    edges of the image."""
    begin = first * window.stride - window.pad
    below = begin + (count - 1) * window.stride + window.extent - window.height
    return {**_properties(conv), **conv.with_row_padding(max(0, -begin), max(0, below))}


def _shaped(value: SSAValue, channels: int, rows: int) -> Any:
    images, _, _, width = types.shape_of(value)
    return types.like(value, (images, channels, rows, width))
