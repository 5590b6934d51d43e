"""The tile ops that hold and move data: buffers, views, transfers, markers."""

from __future__ import annotations

from abc import ABC
from math import prod

from xdsl.dialects.builtin import IntegerAttr, MemRefType, StringAttr, i64
from xdsl.ir import Attribute
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)
from xdsl.utils.exceptions import VerifyException

from dialects.bm1684.layout import Ref
from dialects.constant import ConstantAttr
from dialects.quant.base import I64S, ints, require, require_ints
from dialects.quant.scale import ScaleAttr

I64 = IntegerAttr.constr(i64)
ZERO = IntegerAttr(0, i64)
AnyMemRef = MemRefType[Attribute]


class TileOp(IRDLOperation, ABC):
    """One op of the tile level: all its values are memrefs of rank 4 with #tile attributes."""

    def verify_(self) -> None:
        for value in (*self.operands, *self.results):
            try:
                Ref.of(value)
            except (TypeError, ValueError) as error:
                raise VerifyException(f"{self.name}: {error}") from None


class BufferOp(TileOp, ABC):
    """Memory for one memref. ``address``: byte address in DDR or L2, byte offset in each lane of
    local memory; absent until an allocation pass sets it."""

    address = opt_prop_def(I64)
    ref = result_def(AnyMemRef)

    @property
    def located(self) -> int:
        """The address. Raises VerifyException when no pass has set it."""
        if self.address is None:
            raise VerifyException(f"{self.name} has no address: run the allocation passes first")
        return self.address.value.data


@irdl_op_definition
class AllocOp(BufferOp):
    """Scratch memory of ``bytes`` bytes (per lane in local memory), contents undefined."""

    name = "tile.alloc"
    bytes = prop_def(I64)
    assembly_format = "`bytes` $bytes (`address` $address^)? attr-dict `:` type($ref)"


@irdl_op_definition
class ConstantOp(BufferOp):
    """Constant data in the weights part of DDR; its bytes are stored as they are."""

    name = "tile.constant"
    value = prop_def(ConstantAttr)
    assembly_format = "$value (`address` $address^)? attr-dict `:` type($ref)"


class NetworkTensorOp(BufferOp, ABC):
    """A network input or output in DDR: its name, its shape in the network, and for 8-bit data the
    real value of one step."""

    bytes = prop_def(I64)
    top = prop_def(StringAttr)
    shape = prop_def(I64S)
    scale = opt_prop_def(ScaleAttr)
    assembly_format = (
        "$top `shape` $shape (`scale` $scale^)? `bytes` $bytes (`address` $address^)?"
        " attr-dict `:` type($ref)"
    )


@irdl_op_definition
class InputOp(NetworkTensorOp):
    """A network input."""

    name = "tile.input"


@irdl_op_definition
class OutputOp(NetworkTensorOp):
    """A network output."""

    name = "tile.output"


@irdl_op_definition
class ViewOp(TileOp):
    """Another memref on the same buffer, ``offset`` bytes further (per lane in local memory)."""

    name = "tile.view"
    source = operand_def(AnyMemRef)
    offset = prop_def(I64, default_value=ZERO)
    ref = result_def(AnyMemRef)
    assembly_format = "$source (`offset` $offset^)? attr-dict `:` type($source) `->` type($ref)"


class TransferOp(TileOp, ABC):
    """Copies ``src`` to ``dst``, element by element in the order n, c, h, w. The shapes may differ,
    but hold equally many; strides are free."""

    dst = operand_def(AnyMemRef)
    src = operand_def(AnyMemRef)
    assembly_format = "$dst `,` $src attr-dict `:` type($dst) `,` type($src)"

    def verify_(self) -> None:
        super().verify_()
        dst, src = Ref.of(self.dst), Ref.of(self.src)
        same = prod(dst.shape) == prod(src.shape) and dst.layout.unit == src.layout.unit
        require(same, self, "both sides must hold equally many elements of one unit")
        require(max(*dst.shape, *src.shape) <= 65535, self, "a dimension is above 65535")


@irdl_op_definition
class LoadOp(TransferOp):
    """DDR to local memory (GDMA)."""

    name = "tile.load"


@irdl_op_definition
class StoreOp(TransferOp):
    """Local memory to DDR (GDMA)."""

    name = "tile.store"


@irdl_op_definition
class CopyOp(TransferOp):
    """DDR to DDR or L2, or local to local memory (GDMA)."""

    name = "tile.copy"


@irdl_op_definition
class FillOp(TileOp):
    """Sets every unit of ``dst`` to the bits of ``value`` (GDMA)."""

    name = "tile.fill"
    dst = operand_def(AnyMemRef)
    value = prop_def(I64)
    assembly_format = "$dst `value` $value attr-dict `:` type($dst)"


@irdl_op_definition
class ObserveOp(TileOp):
    """A marker: from here on ``ref`` (in DDR) holds the whole tensor named ``top``, in the
    network's ``shape``, elements row-major, 8-bit ones packed four images a word. With ``height``
    the four images are the strips of one image of so many rows; with ``part`` it is a part of
    that tensor: for each axis that is cut the axis, the first index, and the extent of the
    whole. With ``channels`` its channels stand in another order: for each its number in the
    network. With ``last`` it is an image of a tensor of this shape, whose channels come last."""

    name = "tile.observe"
    ref = operand_def(AnyMemRef)
    top = prop_def(StringAttr)
    shape = prop_def(I64S)
    height = opt_prop_def(I64)
    part = opt_prop_def(I64S)
    channels = opt_prop_def(I64S)
    last = opt_prop_def(I64S)
    assembly_format = (
        "$ref $top `shape` $shape (`height` $height^)? (`part` $part^)? (`channels` $channels^)?"
        " (`last` $last^)? attr-dict `:` type($ref)"
    )

    def verify_(self) -> None:
        super().verify_()
        if self.part is not None:
            require_ints(self, "part", self.part, len(self.part) // 3 * 3, 0)
        if self.channels is not None:
            count = ints(self.shape)[1] if len(self.shape) > 1 else 0
            every = sorted(ints(self.channels)) == list(range(count))
            require(every, self, f"channels holds each of {count} numbers once")
