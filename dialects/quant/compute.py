"""Ops that compute: convolution, pooling, element-wise arithmetic, table lookup.

On 8-bit tensors every op is exact integer arithmetic; ``sat`` saturates to the result type
([-128, 127] for si8, [0, 255] for ui8) and ``a >>r s`` is the rounding shift
``(a + 2^(s-1)) >> s`` (no addition for s = 0). On float32 tensors the same op is float arithmetic.
"""

from __future__ import annotations

from xdsl.dialects.builtin import (
    BoolAttr,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    f32,
    i64,
)
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure

from dialects.blob import BlobAttr
from dialects.function_properties import FunctionProperties
from dialects.quant import types
from dialects.quant.base import (
    I64S,
    AnyTensor,
    QuantOp,
    i64s,
    ints,
    one_kind,
    require,
    require_axis,
    require_floats,
    require_ints,
    require_shift,
    window_size,
)

_I64 = IntegerAttr.constr(i64)
_ZERO = IntegerAttr(0, i64)
_ONE = IntegerAttr(1, i64)


@irdl_op_definition
class ConvOp(QuantOp):
    """2-d convolution, also InnerProduct (kernel = whole map), Scale and BatchNorm (1x1, group =
    C).

    x [N, C, H, W], weight [O, C/group, kh, kw], bias [O]; pad is top, bottom, left, right.
    Integer: ``y = sat((sum x*w + bias) >>r shift)``, int8 weights, int16 bias, one shift a layer.
    Float: ``y = sum x*w + bias``, then ``max(y, 0)`` with ``relu``. With ``winograd`` the sums are
    those of F(2x2, 3x3), and the weight holds the 4x4 transforms [O, C, 4, 4] of 3x3 kernels;
    stride, dilation and group are 1. ``use_winograd`` is the layer's own wish, until
    quant-choose-winograd has heard it.
    """

    name = "quant.conv"
    x = operand_def(AnyTensor)
    weight = prop_def(BlobAttr)
    bias = opt_prop_def(BlobAttr)
    stride = prop_def(I64S, default_value=i64s([1, 1]))
    pad = prop_def(I64S, default_value=i64s([0, 0, 0, 0]))
    dilation = prop_def(I64S, default_value=i64s([1, 1]))
    group = prop_def(_I64, default_value=IntegerAttr(1, i64))
    shift = prop_def(_I64, default_value=_ZERO)
    relu = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    winograd = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    use_winograd = opt_prop_def(BoolAttr)
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = (
        "$x `weight` $weight (`bias` $bias^)? (`stride` $stride^)? (`pad` $pad^)?"
        " (`dilation` $dilation^)? (`group` $group^)? (`shift` $shift^)? (`relu` $relu^)?"
        " (`winograd` $winograd^)? (`use_winograd` $use_winograd^)?"
        " `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        kh, kw = self.weight.shape[2:]
        return (3, 3) if self.winograd.value.data else (kh, kw)

    def verify_(self) -> None:
        super().verify_()
        one_kind(self)
        require_ints(self, "stride", self.stride, 2, 1)
        require_ints(self, "pad", self.pad, 4, 0)
        require_ints(self, "dilation", self.dilation, 2, 1)
        x, y, w = types.shape_of(self.x), types.shape_of(self.y), self.weight.shape
        group = self.group.value.data
        require(len(x) == 4 and len(w) == 4, self, "input and weight must have rank 4")
        require(group >= 1 and w[0] % group == 0, self, f"{w[0]} outputs in {group} groups")
        require(x[1] == w[1] * group, self, f"{x[1]} channels, weights want {w[1] * group}")
        if self.winograd.value.data:
            plain = {*ints(self.stride), *ints(self.dilation), group} == {1}
            require(plain, self, "winograd wants stride, dilation and group 1")
            require(w[2:] == (4, 4), self, "winograd weights must have shape [O, C, 4, 4]")
        (kh, kw), (top, bottom, left, right) = self.kernel, ints(self.pad)
        want = (
            x[0],
            w[0],
            window_size(x[2], kh, ints(self.stride)[0], top + bottom, ints(self.dilation)[0]),
            window_size(x[3], kw, ints(self.stride)[1], left + right, ints(self.dilation)[1]),
        )
        require(y == want, self, f"result shape {y}, the window gives {want}")
        require(self.bias is None or self.bias.shape == (w[0],), self, "bias must have shape [O]")
        kinds = ("float32", "float32") if types.is_float(self.x) else ("int8", "int16")
        require(self.weight.data.dtype == kinds[0], self, f"weights must be {kinds[0]}")
        require(
            self.bias is None or self.bias.data.dtype == kinds[1], self, f"bias must be {kinds[1]}"
        )
        require_shift(self, self.shift)


class PoolOp(QuantOp):
    """A window over H and W. ``pad`` is top, bottom, left, right as in the network; the last window
    of a row or column may reach past the padded map and is clipped there."""

    x = operand_def(AnyTensor)
    kernel = prop_def(I64S)
    stride = prop_def(I64S)
    pad = prop_def(I64S, default_value=i64s([0, 0, 0, 0]))
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = (
        "$x `kernel` $kernel `stride` $stride (`pad` $pad^)?"
        " `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        one_kind(self)
        require_ints(self, "kernel", self.kernel, 2, 1)
        require_ints(self, "stride", self.stride, 2, 1)
        require_ints(self, "pad", self.pad, 4, 0)
        x, y, pad = types.shape_of(self.x), types.shape_of(self.y), ints(self.pad)
        require(len(x) == 4 and x[:2] == y[:2], self, "pooling keeps N and C of a rank 4 tensor")
        require(
            isinstance(self, AveragePoolOp) or types.scale_of(self.x) == types.scale_of(self.y),
            self,
            "pooling keeps its input's scale",
        )
        for axis in (0, 1):
            begin, end = pad[2 * axis], x[2 + axis] + pad[2 * axis + 1]
            start = (y[2 + axis] - 1) * ints(self.stride)[axis] - begin
            require(start < end, self, f"the last window along axis {2 + axis} lies outside")


@irdl_op_definition
class MaxPoolOp(PoolOp):
    """Maximum over the window; padding does not take part. Scale and type of the input are kept."""

    name = "quant.max_pool"


@irdl_op_definition
class AveragePoolOp(PoolOp):
    """Mean over the window. The divisor counts padding (as zeros) but not what is clipped.

    Integer: ``y = sat((sum * m) >>r s)``, (m, s) = :func:`dialects.quant.arithmetic.mean_factor` of
    the divisor and the ratio of both scales: the result can have one of its own.
    """

    name = "quant.average_pool"


@irdl_op_definition
class EltwiseOp(QuantOp):
    """Sum, product or maximum of tensors of one shape.

    Integer sum: ``t = sat16(x0*m0)``, ``t = sat16(t + xi*mi)``, ``y = sat(t >>r shift)``, int8
    multipliers m. Integer product of two: ``y = sat((x0*x1) >>r shift)``. Integer max: all operands
    have the type of the result. Float sum: ``sum ci*xi``. ``relu`` (float) clamps below at 0.
    """

    name = "quant.eltwise"
    xs = var_operand_def(AnyTensor)
    kind = prop_def(StringAttr)
    multipliers = opt_prop_def(I64S)
    coefficients = opt_prop_def(DenseArrayBase.constr(f32))
    shift = prop_def(_I64, default_value=_ZERO)
    relu = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = (
        "$kind `(` $xs `)` (`multipliers` $multipliers^)? (`coefficients` $coefficients^)?"
        " (`shift` $shift^)? (`relu` $relu^)?"
        " `tops` $tops attr-dict `:` type($xs) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        one_kind(self)
        kind, shape = self.kind.data, types.shape_of(self.y)
        require(
            kind in ("sum", "product", "max"), self, f"kind {kind!r} is none of sum, product, max"
        )
        require(len(self.xs) >= 1, self, "wants operands")
        require(all(types.shape_of(x) == shape for x in self.xs), self, "all shapes must be equal")
        if types.is_float(self.y):
            count = len(self.xs) if self.coefficients is None else len(self.coefficients)
            require(count == len(self.xs), self, "wants one coefficient an operand")
            return
        require_shift(self, self.shift)
        if kind == "sum":
            factors = () if self.multipliers is None else ints(self.multipliers)
            require(len(factors) == len(self.xs), self, "wants one multiplier an operand")
            require(all(-128 <= m <= 127 for m in factors), self, "multipliers must be int8")
        if kind == "product":
            require(len(self.xs) == 2, self, "an integer product takes two operands")
        if kind == "max":
            same = all(x.type == self.y.type for x in self.xs)
            require(same, self, "an integer maximum takes operands of the result's type")


class PointwiseOp(QuantOp):
    """One operand, one result of the same shape."""

    x = operand_def(AnyTensor)
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = "$x `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        require(types.shape_of(self.x) == types.shape_of(self.y), self, "keeps the shape")


@irdl_op_definition
class RequantizeOp(PointwiseOp):
    """Another scale or sign: ``y = sat((x * multiplier) >>r shift)``, multiplier 0 to 127.

    A ui8 result of a si8 operand is a ReLU.
    """

    name = "quant.requantize"
    multiplier = prop_def(_I64)
    shift = prop_def(_I64, default_value=_ZERO)
    assembly_format = (
        "$x `multiplier` $multiplier (`shift` $shift^)?"
        " `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, False, False)
        require(0 <= self.multiplier.value.data <= 127, self, "multiplier must be 0 to 127")
        require_shift(self, self.shift)


@irdl_op_definition
class PReluOp(PointwiseOp):
    """x where x >= 0, else x times the slope of its channel (axis 1) or the one slope.

    Integer: ``x < 0: y = sat((x * slope) >>r shift)``, int8 slopes, else ``y = sat((x * multiplier)
    >>r multiplier_shift)``: only with a multiplier can the result have another scale. The sign of
    the type is kept. Float with ``upper`` and the one slope 0: ``min(max(x, 0), upper)``.
    """

    name = "quant.prelu"
    slope = prop_def(BlobAttr)
    shift = prop_def(_I64, default_value=_ZERO)
    multiplier = prop_def(_I64, default_value=_ONE)
    multiplier_shift = prop_def(_I64, default_value=_ZERO)
    upper = opt_prop_def(FloatAttr)
    assembly_format = (
        "$x `slope` $slope (`shift` $shift^)? (`multiplier` $multiplier^)?"
        " (`multiplier_shift` $multiplier_shift^)? (`upper` $upper^)?"
        " `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        one_kind(self)
        require_shift(self, self.shift)
        require_shift(self, self.multiplier_shift)
        shape = types.shape_of(self.x)
        channels = shape[1] if len(shape) > 1 else 1
        require(self.slope.shape in ((1,), (channels,)), self, f"slope must be [1] or [{channels}]")
        multiplier, shift = self.multiplier.value.data, self.multiplier_shift.value.data
        require(0 <= multiplier <= 127, self, "multiplier must be 0 to 127")
        same = types.is_float(self.x) or self.x.type == self.y.type
        scaled = types.dtype_of(self.x) == types.dtype_of(self.y) and not types.is_float(self.x)
        require(same if (multiplier, shift) == (1, 0) else scaled, self, "keeps the type")
        plain = types.is_float(self.x) and self.slope.shape == (1,)
        require(self.upper is None or plain, self, "upper is for floats and one slope")


@irdl_op_definition
class LookupOp(PointwiseOp):
    """``y = table[x & 255]``: any function of one 8-bit value. The table has 256 bytes (uint8)."""

    name = "quant.lookup"
    table = prop_def(BlobAttr)
    assembly_format = "$x `table` $table `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, False, False)
        require(self.table.shape == (256,), self, "the table must have 256 entries")
        require(self.table.data.dtype == "uint8", self, "the table must hold bytes (uint8)")


@irdl_op_definition
class QuantizeOp(PointwiseOp):
    """float32 to 8 bit: ``y = sat(round_half_even(x * float32(1/scale)))``."""

    name = "quant.quantize"

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, True, False)


@irdl_op_definition
class DequantizeOp(PointwiseOp):
    """8 bit to float32: ``y = float32(x) * scale``."""

    name = "quant.dequantize"

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, False, True)


class FloatFunctionOp(PointwiseOp):
    """A function on float32 tensors."""

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, True, True)


@irdl_op_definition
class PointwiseFunctionOp(FunctionProperties, FloatFunctionOp):
    """A function of :mod:`dialects.functions`, float32. Outside its domain it is not defined."""

    name = "quant.pointwise"
    assembly_format = (
        "$function $x (`with` $parameters^)? `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        _ = self.settings  # raises for an unknown function or parameter


@irdl_op_definition
class SoftmaxOp(FloatFunctionOp):
    """``exp(x - max) / sum exp(x - max)`` along one axis, float32."""

    name = "quant.softmax"
    axis = prop_def(_I64)
    assembly_format = "$x `axis` $axis `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        require_axis(self, self.axis.value.data)


COMPUTE_OPS = [
    ConvOp,
    MaxPoolOp,
    AveragePoolOp,
    EltwiseOp,
    RequantizeOp,
    PReluOp,
    LookupOp,
    QuantizeOp,
    DequantizeOp,
    PointwiseFunctionOp,
    SoftmaxOp,
]
