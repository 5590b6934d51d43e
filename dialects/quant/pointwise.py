"""Ops that compute each element of the result from the same element of one operand."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import FloatAttr
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def, traits_def

from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.arithmetic import quantize, rounding_shift, saturate
from dialects.quant.base import (
    I64,
    ONE,
    ZERO,
    Array,
    HoldsIndices,
    Strided,
    UnaryOp,
    WideSums,
    one_kind,
    require,
    require_floats,
    require_shift,
)
from dialects.quant.windows import RowWindow

MOST_INDEX = (1 << 23) - 1
"""Whole numbers from 0 on to this one are as well float32 as int32."""


def as_index(x: Array) -> Array:
    """float32 as the nearest whole number from 0 to MOST_INDEX, int32; halves to even."""
    return np.clip(np.rint(x), 0, MOST_INDEX).astype(np.int32)


def as_float(x: Array) -> Array:
    """int32 as float32: its low 23 bits."""
    return (x & MOST_INDEX).astype(np.float32)


class PointwiseOp(UnaryOp):
    """One operand, one result of the same shape."""

    def verify_(self) -> None:
        super().verify_()
        require(types.shape_of(self.x) == types.shape_of(self.y), self, "keeps the shape")

    def rows_needed(self) -> RowWindow | None:
        return self.rows_alike()

    def is_image_by_image(self) -> bool:
        return True


@irdl_op_definition
class RequantizeOp(PointwiseOp):
    """Another scale or sign: ``y = sat((x * multiplier) >>r shift)``, multiplier 0 to 127.

    A ui8 result of a si8 operand is a ReLU.
    """

    name = "quant.requantize"
    traits = traits_def(WideSums(), Strided())
    multiplier = prop_def(I64)
    shift = prop_def(I64, default_value=ZERO)
    assembly_format = (
        "$x `multiplier` $multiplier (`shift` $shift^)?"
        " `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, False, False)
        require(0 <= self.multiplier.value.data <= 127, self, "multiplier must be 0 to 127")
        require_shift(self, self.shift)

    def result_of(self, x: Array) -> Array:
        product = x.astype(np.int64) * self.multiplier.value.data
        return saturate(rounding_shift(product, self.shift.value.data), types.dtype_of(self.y))


@irdl_op_definition
class PReluOp(PointwiseOp):
    """x where x >= 0, else x times the slope of its channel (axis 1) or the one slope.

    Integer: ``x < 0: y = sat((x * slope) >>r shift)``, int8 slopes, else ``y = sat((x * multiplier)
    >>r multiplier_shift)``: only with a multiplier can the result have another scale. The sign of
    the type is kept. Float with ``upper`` and the one slope 0: ``min(max(x, 0), upper)``.
    """

    name = "quant.prelu"
    traits = traits_def(WideSums(), Strided())
    slope = prop_def(ConstantAttr)
    shift = prop_def(I64, default_value=ZERO)
    multiplier = prop_def(I64, default_value=ONE)
    multiplier_shift = prop_def(I64, default_value=ZERO)
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

    def result_of(self, x: Array) -> Array:
        slope = self.slope.array
        if slope.size > 1:
            slope = slope.reshape((1, -1) + (1,) * (x.ndim - 2))
        if self.upper is not None:
            return np.clip(x, np.float32(0), np.float32(self.upper.value.data))
        if types.is_float(self.x):
            return np.maximum(x, 0) + slope * np.minimum(x, 0)
        kind = types.dtype_of(self.y)
        product = x.astype(np.int64) * slope.astype(np.int64)
        negative = saturate(rounding_shift(product, self.shift.value.data), kind)
        product = x.astype(np.int64) * self.multiplier.value.data
        positive = rounding_shift(product, self.multiplier_shift.value.data)
        return np.where(x >= 0, saturate(positive, kind), negative)


@irdl_op_definition
class LookupOp(PointwiseOp):
    """``y = table[x & 255]``: any function of one 8-bit value. The table has 256 bytes (uint8)."""

    name = "quant.lookup"
    traits = traits_def(Strided())
    table = prop_def(ConstantAttr)
    assembly_format = "$x `table` $table `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, False, False)
        require(self.table.shape == (256,), self, "the table must have 256 entries")
        require(self.table.data.dtype == "uint8", self, "the table must hold bytes (uint8)")

    def result_of(self, x: Array) -> Array:
        return np.take(self.table.array, x.view(np.uint8)).view(types.dtype_of(self.y))


@irdl_op_definition
class QuantizeOp(PointwiseOp):
    """float32 to 8 bit: ``y = sat(round_half_even(x * float32(1/scale)))``."""

    name = "quant.quantize"

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, True, False)

    def result_of(self, x: Array) -> Array:
        return quantize(x, types.scale_of(self.y) or 1.0, types.dtype_of(self.y))


@irdl_op_definition
class DequantizeOp(PointwiseOp):
    """8 bit to float32: ``y = float32(x) * scale``."""

    name = "quant.dequantize"

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, False, True)

    def result_of(self, x: Array) -> Array:
        return x.astype(np.float32) * np.float32(types.scale_of(self.x) or 1.0)


@irdl_op_definition
class CastOp(UnaryOp):
    """Between the floats of the NPU and the int32 of host layers: whole numbers from 0 to
    2^23 - 1. To int32: the nearest of these. To float32: the low 23 bits. It is not cut."""

    name = "quant.cast"
    traits = traits_def(HoldsIndices())

    def verify_(self) -> None:
        super().verify_()
        kinds = {types.is_float(self.x), types.is_float(self.y)}
        index = types.is_index(self.x) or types.is_index(self.y)
        require(index and kinds == {True, False}, self, "one side is f32, the other i32")
        require(types.shape_of(self.x) == types.shape_of(self.y), self, "keeps the shape")

    def result_of(self, x: Array) -> Array:
        return as_float(x) if types.is_index(self.x) else as_index(x)
