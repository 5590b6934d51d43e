"""The tile dialect: transfers and computations on memrefs in DDR, L2 and local memory.

Destination-passing style: an op writes its first operand. Program order is the meaning; the
engines' overlap comes later, from the id waits of the commands. Most ops become one command.
"""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from xdsl.dialects.builtin import BoolAttr, IntegerAttr, i64
from xdsl.ir import Dialect, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
)

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import (
    LayoutAttr,
    OrderAttr,
    PlaceAttr,
    Ref,
    SpaceAttr,
    has_derived_strides,
    lane_rows,
)
from dialects.bm1684.tile_kinds import ArithKind, ArithKindAttr, ScalarKindAttr, SfuKindAttr
from dialects.bm1684.tile_memory import (
    I64,
    ZERO,
    AllocOp,
    AnyMemRef,
    ConstantOp,
    CopyOp,
    FillOp,
    InputOp,
    LoadOp,
    ObserveOp,
    OutputOp,
    StoreOp,
    TileOp,
    ViewOp,
)
from dialects.bm1684.tile_memory import BufferOp as BufferOp
from dialects.bm1684.tile_memory import TransferOp as TransferOp
from dialects.quant.base import I64S, i64s, require, require_ints


def require_aligned(op: TileOp, *values: SSAValue | None) -> None:
    """Operands whose strides the command has no fields for. Raises VerifyException."""
    for value in values:
        aligned = value is None or has_derived_strides(Ref.of(value))
        require(aligned, op, "the command takes tensors with aligned strides only")


class WindowOp(TileOp, ABC):
    """A sliding window over H and W of local tensors. pad: top, bottom, left, right."""

    stride = prop_def(I64S, default_value=i64s([1, 1]))
    pad = prop_def(I64S, default_value=i64s([0, 0, 0, 0]))

    def verify_(self) -> None:
        super().verify_()
        require_ints(self, "stride", self.stride, 2, 1)
        require_ints(self, "pad", self.pad, 4, 0)


class WeightedOp(WindowOp, ABC):
    """A sliding window with weights. Integers: ``(sum + bias) >> shift``, rounded and saturated."""

    dst = operand_def(AnyMemRef)
    src = operand_def(AnyMemRef)
    weight = operand_def(AnyMemRef)
    bias = opt_operand_def(AnyMemRef)
    dilation = prop_def(I64S, default_value=i64s([1, 1]))
    shift = prop_def(I64, default_value=ZERO)

    def verify_(self) -> None:
        super().verify_()
        require_ints(self, "dilation", self.dilation, 2, 1)


@irdl_op_definition
class ConvOp(WeightedOp):
    """Convolution. ``relu`` is implied by an unsigned ``dst``. ``accumulate`` (float only) adds to
    dst. ``winograd``: F(2x2, 3x3), with transformed 4x4 weights."""

    name = "tile.conv"
    accumulate = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    winograd = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    assembly_format = (
        "$dst `,` $src `,` $weight (`bias` $bias^ `:` type($bias))? (`stride` $stride^)?"
        " (`pad` $pad^)? (`dilation` $dilation^)? (`shift` $shift^)? (`accumulate` $accumulate^)?"
        " (`winograd` $winograd^)?"
        " attr-dict `:` type($dst) `,` type($src) `,` type($weight)"
    )


@irdl_op_definition
class DepthwiseOp(WeightedOp):
    """Convolution of every channel with its own kernel [C, 1, kh, kw]."""

    name = "tile.depthwise"
    assembly_format = (
        "$dst `,` $src `,` $weight (`bias` $bias^ `:` type($bias))? (`stride` $stride^)?"
        " (`pad` $pad^)? (`dilation` $dilation^)? (`shift` $shift^)?"
        " attr-dict `:` type($dst) `,` type($src) `,` type($weight)"
    )

    def verify_(self) -> None:
        super().verify_()
        require_aligned(self, self.dst, self.src)


@irdl_op_definition
class WeightedSumOp(TileOp):
    """8 bit: ``dst = (a * m + b * n + bias) >> shift``, rounded and saturated. a and b have one
    type; each tensor is one plane in each lane, of one group of images. ``weights``: three words of
    each lane: m and n in the low bytes, n and m, and the 16-bit bias. It is a depthwise convolution
    whose window meets a and b, wherever they lie. Its operand ends up to ``BEHIND`` bytes behind
    the later one of them, which lie in the lane, too: see :attr:`ROWS_APART`."""

    ROWS_APART: ClassVar[int] = 16
    """The most rows of the operand from a to b: the largest dilation. So its rows need be no longer
    than the part of a lane's memory that this number gives."""
    BEHIND: ClassVar[int] = BM1684.lane_bytes // ROWS_APART
    name = "tile.weighted_sum"
    dst = operand_def(AnyMemRef)
    a = operand_def(AnyMemRef)
    b = operand_def(AnyMemRef)
    weights = operand_def(AnyMemRef)
    shift = prop_def(I64, default_value=ZERO)
    assembly_format = (
        "$dst `,` $a `,` $b `weights` $weights `:` type($weights) (`shift` $shift^)?"
        " attr-dict `:` type($dst) `,` type($a) `,` type($b)"
    )

    def verify_(self) -> None:
        super().verify_()
        dst, a, b = (Ref.of(value) for value in (self.dst, self.a, self.b))
        require(a.shape == b.shape == dst.shape, self, "all shapes must be equal")
        require(a.element == b.element, self, "both operands must have one type")
        one_plane = all(
            ref.groups == lane_rows(ref.shape[1], ref.place.lane) == 1 for ref in (dst, a, b)
        )
        require(one_plane, self, "each tensor must be one plane in each lane")


class PoolOp(WindowOp, ABC):
    """A pooling window."""

    dst = operand_def(AnyMemRef)
    src = operand_def(AnyMemRef)
    kernel = prop_def(I64S)

    def verify_(self) -> None:
        super().verify_()
        require_ints(self, "kernel", self.kernel, 2, 1)
        require_aligned(self, self.dst, self.src)


@irdl_op_definition
class MaxPoolOp(PoolOp):
    """Maximum over the window; padding counts as the least value."""

    name = "tile.max_pool"
    assembly_format = (
        "$dst `,` $src `kernel` $kernel (`stride` $stride^)? (`pad` $pad^)?"
        " attr-dict `:` type($dst) `,` type($src)"
    )


@irdl_op_definition
class AveragePoolOp(PoolOp):
    """Sum over the window times ``factor``: the bits of a float32, or of the 8-bit multiplier that
    goes with the rounding right shift by ``shift``. Padding counts as zeros."""

    name = "tile.average_pool"
    factor = prop_def(I64)
    shift = prop_def(I64, default_value=ZERO)
    assembly_format = (
        "$dst `,` $src `kernel` $kernel `factor` $factor (`shift` $shift^)? (`stride` $stride^)?"
        " (`pad` $pad^)? attr-dict `:` type($dst) `,` type($src)"
    )


@irdl_op_definition
class ArithOp(TileOp):
    """Tensor arithmetic ``dst = a KIND b``, b a tensor or the ``constant`` (its bits).

    float32 elements: float arithmetic. i32: bits. 8 and 16 bit: the result is shifted right by
    ``shift`` with rounding and saturated. A dimension of b with stride 0 is broadcast.
    """

    name = "tile.arith"
    kind = prop_def(ArithKindAttr)
    dst = operand_def(AnyMemRef)
    a = operand_def(AnyMemRef)
    b = opt_operand_def(AnyMemRef)
    constant = opt_prop_def(I64)
    signed_constant = prop_def(BoolAttr, default_value=BoolAttr.from_bool(True))
    shift = prop_def(I64, default_value=ZERO)
    assembly_format = (
        "$kind $dst `,` $a (`,` $b^ `:` type($b))? (`constant` $constant^)?"
        " (`signed` $signed_constant^)? (`shift` $shift^)? attr-dict `:` type($dst) `,` type($a)"
    )

    def verify_(self) -> None:
        super().verify_()
        one = (self.b is None) != (self.constant is None) or self.kind.data is ArithKind.COPY
        require(one, self, "needs a second tensor or a constant")


@irdl_op_definition
class ScalarOp(TileOp):
    """float32 ``dst = a KIND b`` on aligned tensors; one of a and b may be the ``constant`` (bits
    of a float32)."""

    name = "tile.scalar"
    kind = prop_def(ScalarKindAttr)
    dst = operand_def(AnyMemRef)
    a = operand_def(AnyMemRef)
    b = opt_operand_def(AnyMemRef)
    constant = opt_prop_def(I64)
    constant_first = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    assembly_format = (
        "$kind $dst `,` $a (`,` $b^ `:` type($b))? (`constant` $constant^)?"
        " (`first` $constant_first^)? attr-dict `:` type($dst) `,` type($a)"
    )

    def verify_(self) -> None:
        super().verify_()
        require_aligned(self, self.dst, self.a, self.b)


@irdl_op_definition
class SelectOp(TileOp):
    """``dst = a > b ? c : d`` on aligned float32 tensors. For b, c or d that is no tensor, the next
    of ``constants`` (bits of a float32) stands."""

    name = "tile.select"
    dst = operand_def(AnyMemRef)
    a = operand_def(AnyMemRef)
    b = opt_operand_def(AnyMemRef)
    c = opt_operand_def(AnyMemRef)
    d = opt_operand_def(AnyMemRef)
    constants = prop_def(I64S, default_value=i64s([]))
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    assembly_format = (
        "$dst `,` $a (`than` $b^ `:` type($b))? (`then` $c^ `:` type($c))?"
        " (`else` $d^ `:` type($d))? (`constants` $constants^)?"
        " attr-dict `:` type($dst) `,` type($a)"
    )

    def verify_(self) -> None:
        super().verify_()
        missing = [self.b, self.c, self.d].count(None)
        require_ints(self, "constants", self.constants, missing, 0)
        require_aligned(self, self.dst, self.a, self.b, self.c, self.d)


@irdl_op_definition
class SfuOp(TileOp):
    """Special functions on aligned float32 tensors. taylor has ``terms`` coefficients at ``table``
    in L2."""

    name = "tile.sfu"
    kind = prop_def(SfuKindAttr)
    dst = operand_def(AnyMemRef)
    src = operand_def(AnyMemRef)
    table = opt_operand_def(AnyMemRef)
    terms = prop_def(I64, default_value=IntegerAttr(1, i64))
    assembly_format = (
        "$kind $dst `,` $src (`table` $table^ `:` type($table))? (`terms` $terms^)?"
        " attr-dict `:` type($dst) `,` type($src)"
    )

    def verify_(self) -> None:
        super().verify_()
        require_aligned(self, self.dst, self.src)


@irdl_op_definition
class LookupOp(TileOp):
    """``dst = table[index & 255]``: 32-bit words, the table in L2 (a memref or a fixed table's
    ``offset`` in L2)."""

    name = "tile.lookup"
    dst = operand_def(AnyMemRef)
    index = operand_def(AnyMemRef)
    table = opt_operand_def(AnyMemRef)
    offset = prop_def(I64, default_value=ZERO)
    assembly_format = (
        "$dst `,` $index (`table` $table^ `:` type($table))? (`offset` $offset^)?"
        " attr-dict `:` type($dst) `,` type($index)"
    )

    def verify_(self) -> None:
        super().verify_()
        require_aligned(self, self.dst, self.index)


MEMORY_OPS = [
    AllocOp,
    ConstantOp,
    InputOp,
    OutputOp,
    ViewOp,
    LoadOp,
    StoreOp,
    CopyOp,
    FillOp,
    ObserveOp,
]
COMPUTE_OPS = [
    ConvOp,
    DepthwiseOp,
    WeightedSumOp,
    MaxPoolOp,
    AveragePoolOp,
    ArithOp,
    ScalarOp,
    SelectOp,
    SfuOp,
    LookupOp,
]
TILE = Dialect(
    "tile",
    [*MEMORY_OPS, *COMPUTE_OPS],
    [LayoutAttr, OrderAttr, PlaceAttr, SpaceAttr, ArithKindAttr, ScalarKindAttr, SfuKindAttr],
)
