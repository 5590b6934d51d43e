"""How a tensor of the quant level lies in DDR."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, BlockArgument, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.layout import DDR, Ref, contiguous, si8, ui8
from dialects.execute import names_of
from dialects.quant import strips, types
from dialects.quant.base import i64s, int_attr
from dialects.quant.scale import ScaleAttr
from passes.kernels.builder import TileBuilder, ddr_bytes
from passes.kernels.movement.in_place import first_row
from passes.module.functions import functions, named_inputs


def storage(value: SSAValue) -> Ref:
    """The DDR memref of a tensor: rank 4, contiguous, 8-bit tensors packed 4N along dim 0. A
    network input that is only split into strips holds plain bytes, from which that costs least."""
    shape = types.shape_of(value)
    n, c, h = (*shape, 1, 1)[:3]
    four = (n, c, h, prod(shape[3:]))
    element: Attribute = types.tensor_type(value).element_type
    if isinstance(value, BlockArgument) and _is_only_split(value) and not _is_shared(value):
        return Ref(element, four, contiguous(four, 1), DDR)
    packed = element in (si8, ui8)
    return Ref(element, four, contiguous(four, 4, 4 if packed else 1), DDR)


def _is_shared(value: BlockArgument[Attribute]) -> bool:
    """Whether other functions of the module make or read a function's argument, too."""
    function = value.owner.parent_op()
    assert isinstance(function, FuncOp)
    module = function.parent_op()
    others = functions(module) if isinstance(module, ModuleOp) else []
    name = dict(named_inputs(function))[value]
    return any(
        name in names_of(other, which)
        for other in others if other is not function
        for which in ("input_names", "output_names")
    )  # fmt: skip


def _is_only_split(value: SSAValue) -> bool:
    """Whether nothing but the cut into strips, perhaps of some rows, reads a tensor."""
    readers = [use.operation for use in value.uses]
    return bool(readers) and all(
        isinstance(op, strips.SplitStripsOp)
        or (first_row(op) is not None and _is_only_split(op.results[0]))
        for op in readers
    )


def network_tensor(
    b: TileBuilder, kind: type[tile.BufferOp], value: SSAValue, name: str
) -> SSAValue:
    """The buffer of a network input or output."""
    ref = storage(value)
    properties: dict[str, Attribute] = {
        "bytes": int_attr(ddr_bytes(ref)),
        "top": StringAttr(name),
        "shape": i64s(types.shape_of(value)),
    }
    scale = types.scale_of(value)
    if scale is not None and not types.is_float(value):
        properties["scale"] = ScaleAttr.of(scale)
    return b.add(kind, [], properties, ref).results[0]


def part_in(
    b: TileBuilder, whole: SSAValue, part: Ref, byte: int | None, row: int | None
) -> SSAValue:
    """A part of a tensor in DDR, from a byte on or from a row of every channel on; rows keep the
    steps of the whole."""
    if row is None:
        return b.view(whole, part, byte or 0)
    layout = Ref.of(whole).layout
    byte = row * layout.strides[2] * layout.unit
    return b.view(whole, part.with_(layout=layout), byte)
