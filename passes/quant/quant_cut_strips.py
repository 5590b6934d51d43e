"""quant-cut-strips: a single 8-bit image runs as four strips, the four images of a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from dialects.quant import types
from dialects.quant.base import QuantOp, int_attr
from dialects.quant.compute import QuantizeOp
from dialects.quant.movement import SliceOp
from dialects.quant.strips import (
    IMAGE_HEIGHT,
    STRIPS,
    ExchangeHaloOp,
    JoinStripsOp,
    QuantizeStripsOp,
    SplitStripsOp,
    StripOp,
)
from dialects.quant.windows import RowWindow
from passes.base import NpuFunctionPass
from passes.cost.tensors import transfer_cycles
from passes.kernels.convolution.stacked import is_one_dense
from passes.kernels.input_strips.ahead import FloatStripsAhead
from passes.kernels.movement.in_place import first_row
from passes.kernels.storage import storage
from passes.strips.plan import StripGroup, plan_strips

_Strips = dict[int, SSAValue]


@dataclass
class _Forms:
    """The forms in which each tensor is there: whole, in strips of so many rows, and those with
    the halo that a layer reads."""

    whole: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    strips: dict[SSAValue, _Strips] = field(default_factory=dict[SSAValue, _Strips])
    halos: dict[tuple[SSAValue, RowWindow], SSAValue] = field(
        default_factory=dict[tuple[SSAValue, RowWindow], SSAValue]
    )

    def whole_of(self, value: SSAValue, before: Operation) -> SSAValue:
        """The tensor as one image; joins its strips where there is nothing else."""
        if value not in self.strips:
            return value
        if value not in self.whole:
            source = next(iter(self.strips[value].values()))
            self.whole[value] = _move(JoinStripsOp, source, value, value.type, before)
        return self.whole[value]

    def strips_of(self, value: SSAValue, rows: int, before: Operation) -> SSAValue:
        """The tensor in strips; splits it, whole, where there are none of that height."""
        found = self.strips.get(value, {})
        if rows not in found:
            source = self.whole_of(value, before)
            kind = _strip_type(value, rows)
            self.whole.setdefault(value, source)
            if isinstance(source.owner, QuantizeOp) and _lies_in_ddr(source.owner):
                made = _quantize(source.owner, kind, before)
            else:
                made = _move(SplitStripsOp, source, value, kind, before)
            self.strips.setdefault(value, {})[rows] = made
        return self.strips[value][rows]

    def with_halo(
        self, value: SSAValue, rows: int, window: RowWindow, before: Operation
    ) -> SSAValue:
        """Strips with the rows around them that a layer reads."""
        source = self.strips_of(value, rows, before)
        if not window.needs_exchange:
            return source
        key = (source, window)
        if key not in self.halos:
            kind = _strip_type(value, window.top + rows + window.bottom)
            properties = {
                "height": int_attr(window.height),
                "above": int_attr(window.top),
                "below": int_attr(window.bottom),
                "fill": int_attr(window.fill),
            }
            self.halos[key] = _move(ExchangeHaloOp, source, value, kind, before, properties)
        return self.halos[key]


def _lies_in_ddr(op: QuantizeOp) -> bool:
    """Whether what is quantised is a network input, or a part of one, or has no place in local
    memory beside its 8-bit numbers. Any other tensor is quantised in its lanes."""
    value = op.x
    while isinstance(value.owner, SliceOp):
        value = value.owner.x
    return isinstance(value, BlockArgument) or transfer_cycles(op, in_strips=False) > 0


def _quantize(op: QuantizeOp, result: Attribute, before: Operation) -> SSAValue:
    """Makes strips of a float image in one step."""
    new = QuantizeStripsOp.create(
        operands=[op.x],
        result_types=[result],
        properties={"tops": op.tops},
        attributes={**op.attributes, IMAGE_HEIGHT: int_attr(types.shape_of(op.x)[2])},
        location=op.location,
    )
    block = before.parent_block()
    assert block is not None
    block.insert_op_before(new, before)
    return new.y


def _strip_type(value: SSAValue, rows: int) -> Attribute:
    _, channels, _, width = types.shape_of(value)
    return types.like(value, (STRIPS, channels, rows, width))


def _move(
    kind: type[StripOp],
    source: SSAValue,
    value: SSAValue,
    result: Attribute,
    before: Operation,
    properties: Mapping[str, Attribute] | None = None,
) -> SSAValue:
    """Inserts an op that moves rows of the tensor ``value``."""
    owner = value.owner
    name = owner.top if isinstance(owner, QuantOp) else "input"
    tops = ArrayAttr([StringAttr(name)])
    op = kind.create(
        operands=[source],
        result_types=[result],
        properties={"tops": tops, **(properties or {})},
        location=before.location,
    )
    block = before.parent_block()
    assert block is not None
    block.insert_op_before(op, before)
    return op.results[0]


def _cut(op: QuantOp, group: StripGroup, forms: _Forms) -> None:
    """Replaces a layer by the same layer on strips."""
    window, result = op.row_window(), op.results[0]
    assert window is not None
    operands = [forms.with_halo(x, group.rows(x), window, op) for x in op.operands]
    properties = {**op.properties, **op.with_row_padding(0, 0)}
    rows = group.rows(result)
    new = type(op).create(
        operands=operands,
        result_types=[_strip_type(result, rows)],
        properties=properties,
        attributes={**op.attributes, IMAGE_HEIGHT: int_attr(window.out)},
        location=op.location,
    )
    block = op.parent_block()
    assert block is not None
    block.insert_op_before(new, op)
    forms.strips[result] = {rows: new.results[0]}


@dataclass(frozen=True)
class QuantCutStripsPass(NpuFunctionPass):
    """Runs layers of a single 8-bit image on four horizontal strips of it, where that costs less.

    Before: tensors [1, C, H, W]. After: chains of layers on [4, C, rows, W], which the chip
    computes in about a quarter of the time; halos are exchanged before the layers that read rows
    of the neighbours, images are split and joined where the chains begin and end. A layer stays
    whole where that costs less than ``margin`` percent of its strips.
    """

    name = "quant-cut-strips"
    level = "quant"

    margin: int = 100

    def apply_to(self, function: FuncOp) -> None:
        block = function.body.block
        plan = plan_strips(block, self.margin)
        forms = _Forms()
        cut: list[Operation] = []
        for inner in list(block.ops):
            group = plan.placed.get(inner)
            if group is None or not isinstance(inner, QuantOp):
                for index, value in enumerate(inner.operands):
                    inner.operands[index] = forms.whole_of(value, inner)
            else:
                _cut(inner, group, forms)
                cut.append(inner)
                (result,) = inner.results
                if any(isinstance(use.operation, ReturnOp) for use in result.uses):
                    forms.whole_of(result, inner)  # stored while others compute
        for inner in reversed(cut):
            inner.detach()
            inner.erase()
        for inner in list(block.ops):
            if isinstance(inner, ExchangeHaloOp):
                if _is_of_bytes(inner.x):
                    _split_with_halo(inner)
                elif _is_quantised_for(inner):
                    _quantize_with_halo(inner)
        for inner in list(block.ops):
            if isinstance(inner, (QuantizeOp, SplitStripsOp)) and inner.y.first_use is None:
                inner.detach()
                inner.erase()


def _is_of_bytes(strips: SSAValue) -> bool:
    """Whether these are the strips of a network input that holds plain bytes."""
    image = strips.owner.x if isinstance(strips.owner, SplitStripsOp) else strips
    while isinstance(image.owner, SliceOp) and first_row(image.owner) is not None:
        image = image.owner.x
    return isinstance(image, BlockArgument) and storage(image).layout.pack == 1


def _split_with_halo(op: ExchangeHaloOp) -> None:
    """Cuts an image into strips with their halos in one step."""
    split = op.x.owner
    assert isinstance(split, SplitStripsOp)
    halo = {key: op.properties[key] for key in ("above", "below", "fill")}
    new = SplitStripsOp.create(
        operands=[split.x],
        result_types=[op.y.type],
        properties={"tops": op.tops, **halo},
        location=op.location,
    )
    block = op.parent_block()
    assert block is not None
    block.insert_op_before(new, op)
    op.y.replace_all_uses_with(new.y)
    op.detach()
    op.erase()


def _is_quantised_for(op: ExchangeHaloOp) -> bool:
    """Whether strips are made of floats, and only to have this halo, of zeros, for a convolution
    that makes them as it goes."""
    made, readers = op.x.owner, [use.operation for use in op.y.uses]
    if not isinstance(made, QuantizeStripsOp) or op.fill.value.data or len(list(op.x.uses)) > 1:
        return False
    return len(readers) == 1 and is_one_dense(readers[0]) and FloatStripsAhead.pays(made)


def _quantize_with_halo(op: ExchangeHaloOp) -> None:
    """Makes strips of a float image with their halos in one step."""
    made = op.x.owner
    assert isinstance(made, QuantizeStripsOp)
    halo = {key: op.properties[key] for key in ("above", "below")}
    new = QuantizeStripsOp.create(
        operands=[made.x],
        result_types=[op.y.type],
        properties={**made.properties, **halo},
        attributes=made.attributes,
        location=made.location,
    )
    block = op.parent_block()
    assert block is not None
    block.insert_op_before(new, op)
    op.y.replace_all_uses_with(new.y)
    for old in (op, made):
        old.detach()
        old.erase()
