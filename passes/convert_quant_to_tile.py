"""convert-quant-to-tile: every layer becomes loads, computations and stores of tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Attribute, Block, BlockArgument, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Ref, contiguous, si8, ui8
from dialects.quant import compute, movement, strips, types
from dialects.quant.base import PART, QuantOp, i64s, int_attr
from dialects.quant.scale import ScaleAttr
from passes.kernels.builder import TileBuilder, ddr_bytes
from passes.kernels.conv import lower_conv
from passes.kernels.movement import (
    Home,
    copy_words,
    homes_in_concats,
    lower_broadcast,
    lower_concat,
    lower_reshape,
    lower_slice,
    lower_transpose,
    part_of,
    rows_of,
)
from passes.kernels.pointwise import (
    lower_dequantize,
    lower_eltwise,
    lower_function,
    lower_lookup,
    lower_quantize,
    lower_requantize,
    words_of,
)
from passes.kernels.pool import lower_average_pool, lower_max_pool
from passes.kernels.prelu import lower_prelu
from passes.kernels.softmax import lower_softmax
from passes.kernels.strips import (
    lower_exchange_halo,
    lower_join_strips,
    lower_quantize_strips,
    lower_split_strips,
)
from passes.kernels.tiling import CannotLower
from passes.support.program import LayerError, main_function, names, replace_body

Lowering = Callable[[TileBuilder, Any, Any, SSAValue], None]

ONE_OPERAND: dict[type[Operation], Lowering] = {
    compute.ConvOp: lower_conv,
    compute.MaxPoolOp: lower_max_pool,
    compute.AveragePoolOp: lower_average_pool,
    compute.RequantizeOp: lower_requantize,
    compute.PReluOp: lower_prelu,
    compute.LookupOp: lower_lookup,
    compute.QuantizeOp: lower_quantize,
    compute.DequantizeOp: lower_dequantize,
    compute.PointwiseFunctionOp: lower_function,
    compute.SoftmaxOp: lower_softmax,
    movement.ReshapeOp: lower_reshape,
    movement.TransposeOp: lower_transpose,
    movement.SliceOp: lower_slice,
    movement.BroadcastOp: lower_broadcast,
    strips.SplitStripsOp: lower_split_strips,
    strips.JoinStripsOp: lower_join_strips,
    strips.ExchangeHaloOp: lower_exchange_halo,
    strips.QuantizeStripsOp: lower_quantize_strips,
}
MANY_OPERANDS: dict[type[Operation], Lowering] = {
    compute.EltwiseOp: lower_eltwise,
    movement.ConcatOp: lower_concat,
}


def storage(value: SSAValue) -> Ref:
    """The DDR memref of a tensor: rank 4, contiguous, 8-bit tensors packed 4N along dim 0. A
    network input that is only split into strips holds plain bytes, from which that costs least."""
    shape = types.shape_of(value)
    n, c, h = (*shape, 1, 1)[:3]
    four = (n, c, h, prod(shape[3:]))
    element: Attribute = types.tensor_type(value).element_type
    if isinstance(value, BlockArgument) and _is_only_split(value):
        return Ref(element, four, contiguous(four, 1), DDR)
    packed = element in (si8, ui8)
    return Ref(element, four, contiguous(four, 4, 4 if packed else 1), DDR)


def _is_only_split(value: SSAValue) -> bool:
    """Whether nothing but the cut into strips, perhaps of some rows, reads a tensor."""
    readers = [use.operation for use in value.uses]
    return bool(readers) and all(
        isinstance(op, strips.SplitStripsOp)
        or (rows_of(op) is not None and _is_only_split(op.results[0]))
        for op in readers
    )


@dataclass
class _Lowering:
    """The function being built, and where each tensor lies."""

    b: TileBuilder
    buffers: dict[SSAValue, SSAValue]
    outputs: dict[SSAValue, SSAValue]
    homes: dict[SSAValue, Home] = field(default_factory=dict[SSAValue, Home])
    """Where tensors lie that are made inside of another."""

    def network_tensor(self, kind: type[tile.BufferOp], value: SSAValue, name: str) -> SSAValue:
        ref = storage(value)
        properties: dict[str, Attribute] = {
            "bytes": int_attr(ddr_bytes(ref)),
            "top": StringAttr(name),
            "shape": i64s(types.shape_of(value)),
        }
        scale = types.scale_of(value)
        if scale is not None and not types.is_float(value):
            properties["scale"] = ScaleAttr.of(scale)
        return self.b.add(kind, [], properties, ref).results[0]

    def dest(self, value: SSAValue) -> SSAValue:
        """Where a result goes: the network output, or scratch memory in DDR."""
        if value not in self.buffers:
            self.buffers[value] = self._new_dest(value)
        return self.buffers[value]

    def _new_dest(self, value: SSAValue) -> SSAValue:
        ref = storage(value)
        if value in self.outputs:
            return self.outputs.pop(value)
        if value in self.homes:
            home = self.homes[value]
            return self._part(self.dest(home.whole), ref, home.byte, home.row)
        return self.b.alloc(ref, ddr_bytes(ref))

    def _part(self, whole: SSAValue, part: Ref, byte: int | None, row: int | None) -> SSAValue:
        """A part of a tensor in DDR, from a byte on or from a row of every channel on; rows keep
        the steps of the whole."""
        if row is None:
            return self.b.view(whole, part, byte or 0)
        layout = Ref.of(whole).layout
        byte = row * layout.strides[2] * layout.unit
        return self.b.view(whole, part.with_(layout=layout), byte)

    def lower(self, op: QuantOp) -> None:
        self.b.location = op.location
        result = op.results[0]
        sources = [self.buffers[x] for x in op.operands]
        byte = row = None
        if result not in self.outputs and result not in self.homes:
            row = rows_of(op)
            byte = part_of(op) if row is None else None
        if byte is not None or row is not None:
            self.buffers[result] = self._part(sources[0], storage(result), byte, row)
        else:
            try:
                self._compute(op, sources, self.dest(result))
            except CannotLower as error:
                raise LayerError(op.location, str(error)) from None
        if op.top and not isinstance(op, strips.StripOp):
            height, part = (op.attributes.get(x) for x in (strips.IMAGE_HEIGHT, PART))
            self.b.observe(self.buffers[result], op.top, types.shape_of(result), height, part)

    def _compute(self, op: QuantOp, sources: Sequence[SSAValue], dest: SSAValue) -> None:
        if type(op) in MANY_OPERANDS:
            MANY_OPERANDS[type(op)](self.b, op, sources, dest)
        elif type(op) in ONE_OPERAND:
            ONE_OPERAND[type(op)](self.b, op, sources[0], dest)
        else:
            raise CannotLower(f"{op.name} has no lowering")


@dataclass(frozen=True)
class ConvertQuantToTilePass(ModulePass):
    """Replaces tensors by memrefs in DDR and every layer by its tiles, one layer after the other.

    Before: quant ops on tensors. After: tile ops; every tensor lies whole in DDR (float32
    row-major, 8 bit as 4N) and is marked by tile.observe when it is final. A tile takes at
    most a ``share``-th of local memory, so that the next ones can be loaded meanwhile. With
    ``whole`` element-wise layers keep channels in their lanes, as tile-keep-local wants them, and
    large weights come in pieces; with ``fold`` convolutions of few channels are folded.
    """

    name = "convert-quant-to-tile"
    level = "quant"

    share: int = 1
    whole: bool = False
    fold: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = main_function(op)
        block, body = Block(), function.body.block
        budget = BM1684.lane_bytes // self.share
        b = TileBuilder(block, function.location, budget, self.whole, self.fold)
        lowering = _Lowering(b, {}, {})
        for value, name in zip(body.args, names(function, "input_names"), strict=True):
            lowering.buffers[value] = lowering.network_tensor(tile.InputOp, value, name)
        returned = body.last_op
        assert isinstance(returned, ReturnOp)
        targets: list[tuple[SSAValue, SSAValue]] = []
        for value, name in zip(returned.operands, names(function, "output_names"), strict=True):
            target = lowering.network_tensor(tile.OutputOp, value, name)
            targets.append((value, target))
            if value not in body.args:
                lowering.outputs.setdefault(value, target)
        lowering.homes = homes_in_concats(body, set(lowering.outputs))
        for inner in body.ops:
            if isinstance(inner, QuantOp):
                lowering.lower(inner)
        _copy_repeated(lowering, targets)
        _drop_unused(block)
        b.add(ReturnOp, [[]], {})
        replace_body(function, block)


def _copy_repeated(lowering: _Lowering, targets: Sequence[tuple[SSAValue, SSAValue]]) -> None:
    """Copies outputs that are network inputs, or another output once more."""
    for value, target in targets:
        source = lowering.buffers[value]
        if source is not target:
            copy_words(lowering.b, source, target, words_of(target))


def _drop_unused(block: Block) -> None:
    """Removes views and scratch buffers that nothing uses."""
    for op in reversed(list(block.ops)):
        if isinstance(op, (tile.AllocOp, tile.ViewOp)) and op.ref.first_use is None:
            op.detach()
            op.erase()
