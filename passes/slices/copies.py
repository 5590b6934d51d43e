"""Copies of layers on parts of their tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, IntegerType, StringAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue

from dialects.quant import movement, types
from dialects.quant.base import PART, QuantOp, i64s, int_attr, ints

Span = tuple[int, int]
"""First index along an axis, and how many."""
UNNAMED = ArrayAttr([StringAttr("")])
"""The top of a tensor that the network does not have."""


@dataclass(frozen=True)
class SliceSpans:
    """What one copy of the layers has of each tensor: ``needed`` of those that it reads or makes,
    ``kept`` of those that others read, where all parts together are the whole."""

    needed: Mapping[SSAValue, Span]
    kept: Mapping[SSAValue, Span]


def results_read_outside(layers: Sequence[Operation]) -> list[SSAValue]:
    """The results that other layers, or none at all, read."""
    inside = set(layers)
    return [
        value
        for op in layers
        for value in op.results
        if value.first_use is None or any(use.operation not in inside for use in value.uses)
    ]


@dataclass
class Copies:
    """Replaces layers, in order, by copies of them, one a part, cut along an axis.

    ``reads(op, part, held)``: what of an operand a copy reads; it may be all of ``held``, what the
    copies have of it, where more does no harm. ``settings``: properties of a copy that
    differ. Results that others read are concatenated and bear their names there; the compare finds
    all others part by part.
    """

    layers: Sequence[QuantOp]
    axis: int
    reads: Callable[[QuantOp, SliceSpans, Span | None], Span]
    settings: Callable[[QuantOp, SliceSpans], Mapping[str, Attribute]] = lambda op, part: {}

    def run(self, parts: Sequence[SliceSpans]) -> None:
        first, last = self.layers[0], self.layers[-1]
        block, after = first.parent_block(), last.next_op
        assert block is not None
        assert after is not None
        pieces: dict[SSAValue, list[SSAValue]] = {value: [] for value in parts[0].kept}
        for part in parts:
            made = self._copy(block, first, part)
            for value, found in pieces.items():
                held = part.needed[value]
                found.append(self._cut(block, made[value], held, part.kept[value], value, first))
        for value, found in pieces.items():
            owner = _owner(value)
            whole = movement.ConcatOp.create(
                operands=found,
                result_types=[value.type],
                properties={"tops": owner.tops, "axis": int_attr(self.axis)},
                attributes=dict(owner.attributes),
                location=owner.location,
            )
            block.insert_op_before(whole, after)
            value.replace_all_uses_with(whole.y)
        for op in reversed(self.layers):
            op.detach()
            op.erase()

    def _copy(self, block: Block, before: Operation, part: SliceSpans) -> dict[SSAValue, SSAValue]:
        """All layers on one part; returns what became of each value."""
        made: dict[SSAValue, SSAValue] = {}
        cuts: dict[tuple[SSAValue, Span], SSAValue] = {}

        def operand(op: QuantOp, value: SSAValue) -> SSAValue:
            held = part.needed[value] if value in made else self._all(value)
            asked = self.reads(op, part, held if value in made else None)
            if (value, asked) not in cuts:
                source = made.get(value, value)
                cuts[value, asked] = self._cut(block, source, held, asked, op.results[0], before)
            return cuts[value, asked]

        for op in self.layers:
            (result,) = op.results
            first, count = part.needed[result]
            old = op.attributes.get(PART)
            triples = () if old is None else ints(cast(DenseArrayBase[IntegerType], old))
            whole = types.shape_of(result)[self.axis]
            properties = {**op.properties, **self.settings(op, part)}
            if result in part.kept:
                properties["tops"] = UNNAMED
            new = type(op).create(
                operands=[operand(op, x) for x in op.operands],
                result_types=[self._type(result, count)],
                properties=properties,
                attributes={**op.attributes, PART: i64s([*triples, self.axis, first, whole])},
                location=op.location,
            )
            block.insert_op_before(new, before)
            made[result] = new.results[0]
        return made

    def _cut(
        self,
        block: Block,
        value: SSAValue,
        held: Span,
        asked: Span,
        like: SSAValue,
        before: Operation,
    ) -> SSAValue:
        """``asked`` of a tensor that holds ``held``; in the place of the layer of ``like``."""
        if held == asked:
            return value
        op = movement.SliceOp.create(
            operands=[value],
            result_types=[self._type(value, asked[1])],
            properties={
                "tops": UNNAMED,
                "axis": int_attr(self.axis),
                "begin": int_attr(asked[0] - held[0]),
            },
            location=_owner(like).location,
        )
        block.insert_op_before(op, before)
        return op.y

    def _all(self, value: SSAValue) -> Span:
        return 0, types.shape_of(value)[self.axis]

    def _type(self, value: SSAValue, count: int) -> Any:
        shape = list(types.shape_of(value))
        shape[self.axis] = count
        return types.like(value, shape)


def _owner(value: SSAValue) -> QuantOp:
    owner = value.owner
    assert isinstance(owner, QuantOp)
    return owner
