"""The tile dialect: transfers and computations on memrefs in DDR, L2 and local memory.

Destination-passing style: an op writes its first operand. Program order is the meaning; the
engines' overlap comes later, from the id waits of the commands. Most ops become one command.
"""

from __future__ import annotations

from abc import ABC

from xdsl.dialects.builtin import BoolAttr, IntegerAttr, MemRefType, StringAttr, i64
from xdsl.ir import Attribute, Dialect
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)
from xdsl.utils.exceptions import VerifyException

from dialects.blob import BlobAttr
from dialects.bm1684.layout import LayoutAttr, PlaceAttr, Ref, Space
from dialects.quant.base import I64S, i64s, require
from dialects.quant.scale import ScaleAttr

_I64 = IntegerAttr.constr(i64)
_ZERO = IntegerAttr(0, i64)
AnyMemRef = MemRefType[Attribute]


class BufferOp(IRDLOperation, ABC):
    """Memory for one memref. ``address``: byte address in DDR or L2, byte offset in each lane of
    local memory; absent until an allocation pass sets it."""

    address = opt_prop_def(_I64)
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
    bytes = prop_def(_I64)
    assembly_format = "`bytes` $bytes (`address` $address^)? attr-dict `:` type($ref)"


@irdl_op_definition
class ConstantOp(BufferOp):
    """Constant data in the weights part of DDR; the blob's bytes are stored as they are."""

    name = "tile.constant"
    blob = prop_def(BlobAttr)
    assembly_format = "$blob (`address` $address^)? attr-dict `:` type($ref)"


@irdl_op_definition
class InputOp(BufferOp):
    """A network input in DDR: its name, its shape in the network, and for 8-bit data the real
    value of one step."""

    name = "tile.input"
    bytes = prop_def(_I64)
    top = prop_def(StringAttr)
    shape = prop_def(I64S)
    scale = opt_prop_def(ScaleAttr)
    assembly_format = (
        "$top `shape` $shape (`scale` $scale^)? `bytes` $bytes (`address` $address^)?"
        " attr-dict `:` type($ref)"
    )


@irdl_op_definition
class OutputOp(BufferOp):
    """A network output in DDR: its name, its shape in the network, and for 8-bit data the real
    value of one step."""

    name = "tile.output"
    bytes = prop_def(_I64)
    top = prop_def(StringAttr)
    shape = prop_def(I64S)
    scale = opt_prop_def(ScaleAttr)
    assembly_format = (
        "$top `shape` $shape (`scale` $scale^)? `bytes` $bytes (`address` $address^)?"
        " attr-dict `:` type($ref)"
    )


@irdl_op_definition
class ViewOp(IRDLOperation):
    """Another memref on the same buffer, ``offset`` bytes further (per lane in local memory)."""

    name = "tile.view"
    source = operand_def(AnyMemRef)
    offset = prop_def(_I64, default_value=_ZERO)
    ref = result_def(AnyMemRef)
    assembly_format = "$source (`offset` $offset^)? attr-dict `:` type($source) `->` type($ref)"


class TransferOp(IRDLOperation, ABC):
    """Copies ``src`` to ``dst``, element by element; the shapes are equal, the strides free."""

    dst = operand_def(AnyMemRef)
    src = operand_def(AnyMemRef)
    assembly_format = "$dst `,` $src attr-dict `:` type($dst) `,` type($src)"

    def verify_(self) -> None:
        dst, src = Ref.of(self.dst), Ref.of(self.src)
        same = dst.shape == src.shape and dst.layout.unit == src.layout.unit
        require(same, self, "both sides must have one shape and one unit")
        require(max(dst.shape) <= 65535, self, "a dimension is above 65535")


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
class FillOp(IRDLOperation):
    """Sets every unit of ``dst`` to the bits of ``value`` (GDMA)."""

    name = "tile.fill"
    dst = operand_def(AnyMemRef)
    value = prop_def(_I64)
    assembly_format = "$dst `value` $value attr-dict `:` type($dst)"


@irdl_op_definition
class ObserveOp(IRDLOperation):
    """A marker: from here on ``ref`` (in DDR) holds the whole tensor named ``top``, in the
    network's ``shape``, elements row-major, 8-bit ones packed four images a word."""

    name = "tile.observe"
    ref = operand_def(AnyMemRef)
    top = prop_def(StringAttr)
    shape = prop_def(I64S)
    assembly_format = "$ref $top `shape` $shape attr-dict `:` type($ref)"


class WindowOp(IRDLOperation, ABC):
    """A sliding window over H and W of local tensors. pad: top, bottom, left, right."""

    stride = prop_def(I64S, default_value=i64s([1, 1]))
    pad = prop_def(I64S, default_value=i64s([0, 0, 0, 0]))


@irdl_op_definition
class ConvOp(WindowOp):
    """Convolution. ``relu`` is implied by an unsigned ``dst``. ``accumulate`` (float only) adds to
    dst.
    """

    name = "tile.conv"
    dst = operand_def(AnyMemRef)
    src = operand_def(AnyMemRef)
    weight = operand_def(AnyMemRef)
    bias = opt_operand_def(AnyMemRef)
    dilation = prop_def(I64S, default_value=i64s([1, 1]))
    shift = prop_def(_I64, default_value=_ZERO)
    accumulate = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    assembly_format = (
        "$dst `,` $src `,` $weight (`bias` $bias^ `:` type($bias))? (`stride` $stride^)?"
        " (`pad` $pad^)? (`dilation` $dilation^)? (`shift` $shift^)? (`accumulate` $accumulate^)?"
        " attr-dict `:` type($dst) `,` type($src) `,` type($weight)"
    )


@irdl_op_definition
class DepthwiseOp(WindowOp):
    """Convolution of every channel with its own kernel [C, 1, kh, kw]."""

    name = "tile.depthwise"
    dst = operand_def(AnyMemRef)
    src = operand_def(AnyMemRef)
    weight = operand_def(AnyMemRef)
    bias = opt_operand_def(AnyMemRef)
    dilation = prop_def(I64S, default_value=i64s([1, 1]))
    shift = prop_def(_I64, default_value=_ZERO)
    assembly_format = (
        "$dst `,` $src `,` $weight (`bias` $bias^ `:` type($bias))? (`stride` $stride^)?"
        " (`pad` $pad^)? (`dilation` $dilation^)? (`shift` $shift^)?"
        " attr-dict `:` type($dst) `,` type($src) `,` type($weight)"
    )


@irdl_op_definition
class MaxPoolOp(WindowOp):
    """Maximum over the window; padding counts as the least value."""

    name = "tile.max_pool"
    dst = operand_def(AnyMemRef)
    src = operand_def(AnyMemRef)
    kernel = prop_def(I64S)
    assembly_format = (
        "$dst `,` $src `kernel` $kernel (`stride` $stride^)? (`pad` $pad^)?"
        " attr-dict `:` type($dst) `,` type($src)"
    )


@irdl_op_definition
class AveragePoolOp(WindowOp):
    """Sum over the window times ``factor``: the bits of a float32, or of the 8-bit multiplier that
    goes with the rounding right shift by ``shift``. Padding counts as zeros."""

    name = "tile.average_pool"
    dst = operand_def(AnyMemRef)
    src = operand_def(AnyMemRef)
    kernel = prop_def(I64S)
    factor = prop_def(_I64)
    shift = prop_def(_I64, default_value=_ZERO)
    assembly_format = (
        "$dst `,` $src `kernel` $kernel `factor` $factor (`shift` $shift^)? (`stride` $stride^)?"
        " (`pad` $pad^)? attr-dict `:` type($dst) `,` type($src)"
    )


@irdl_op_definition
class ArithOp(IRDLOperation):
    """Tensor arithmetic ``dst = a KIND b``, b a tensor or the ``constant`` (its bits).

    kinds: mul, mac (dst + a*b), add, sub, max, min, and, or, xor, shift (constant > 0 left, < 0
    right, logical), copy. float32 elements: float arithmetic. i32: bits. 8 and 16 bit: the result
    is shifted right by ``shift`` with rounding and saturated. A dimension of b with stride 0 is
    broadcast.
    """

    name = "tile.arith"
    dst = operand_def(AnyMemRef)
    a = operand_def(AnyMemRef)
    b = opt_operand_def(AnyMemRef)
    kind = prop_def(StringAttr)
    constant = opt_prop_def(_I64)
    signed_constant = prop_def(BoolAttr, default_value=BoolAttr.from_bool(True))
    shift = prop_def(_I64, default_value=_ZERO)
    assembly_format = (
        "$kind $dst `,` $a (`,` $b^ `:` type($b))? (`constant` $constant^)?"
        " (`signed` $signed_constant^)? (`shift` $shift^)? attr-dict `:` type($dst) `,` type($a)"
    )

    def verify_(self) -> None:
        one = (self.b is None) != (self.constant is None) or self.kind.data == "copy"
        require(one, self, "wants a second tensor or a constant")


@irdl_op_definition
class ScalarOp(IRDLOperation):
    """float32 ``dst = a KIND b`` on aligned tensors; one of a and b may be the ``constant`` (bits
    of a float32). kinds: mul, add, sub, div."""

    name = "tile.scalar"
    dst = operand_def(AnyMemRef)
    a = operand_def(AnyMemRef)
    b = opt_operand_def(AnyMemRef)
    kind = prop_def(StringAttr)
    constant = opt_prop_def(_I64)
    constant_first = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    assembly_format = (
        "$kind $dst `,` $a (`,` $b^ `:` type($b))? (`constant` $constant^)?"
        " (`first` $constant_first^)? attr-dict `:` type($dst) `,` type($a)"
    )


@irdl_op_definition
class SfuOp(IRDLOperation):
    """Special functions on aligned float32 tensors.

    kinds: taylor (``terms`` coefficients at ``table`` in L2: x*(c0 + x*(c1 + ...))), exponent
    (integer), power_of_two (2^exponent), rsqrt, to_integer (truncates).
    """

    name = "tile.sfu"
    dst = operand_def(AnyMemRef)
    src = operand_def(AnyMemRef)
    table = opt_operand_def(AnyMemRef)
    kind = prop_def(StringAttr)
    terms = prop_def(_I64, default_value=IntegerAttr(1, i64))
    assembly_format = (
        "$kind $dst `,` $src (`table` $table^ `:` type($table))? (`terms` $terms^)?"
        " attr-dict `:` type($dst) `,` type($src)"
    )


@irdl_op_definition
class LookupOp(IRDLOperation):
    """``dst = table[index & 255]``: 32-bit words, the table in L2 (a memref or a fixed table's
    ``offset`` in L2)."""

    name = "tile.lookup"
    dst = operand_def(AnyMemRef)
    index = operand_def(AnyMemRef)
    table = opt_operand_def(AnyMemRef)
    offset = prop_def(_I64, default_value=_ZERO)
    assembly_format = (
        "$dst `,` $index (`table` $table^ `:` type($table))? (`offset` $offset^)?"
        " attr-dict `:` type($dst) `,` type($index)"
    )


def is_local(value: Attribute) -> bool:
    """True for memrefs in local memory."""
    return Ref.of(value).place.space is Space.LMEM


BUFFER_OPS = [AllocOp, ConstantOp, InputOp, OutputOp]
TRANSFER_OPS = [LoadOp, StoreOp, CopyOp]
COMPUTE_OPS = [
    ConvOp,
    DepthwiseOp,
    MaxPoolOp,
    AveragePoolOp,
    ArithOp,
    ScalarOp,
    SfuOp,
    LookupOp,
]
TILE = Dialect(
    "tile",
    [*BUFFER_OPS, ViewOp, *TRANSFER_OPS, FillOp, ObserveOp, *COMPUTE_OPS],
    [LayoutAttr, PlaceAttr],
)
