"""Ops that compute: convolution, pooling, element-wise arithmetic, table lookup.

On 8-bit tensors every op is exact integer arithmetic; ``sat`` saturates to the result type
([-128, 127] for si8, [0, 255] for ui8) and ``a >>r s`` is the rounding shift
``(a + 2^(s-1)) >> s`` (no addition for s = 0). On float32 tensors the same op is float arithmetic.
"""

from __future__ import annotations

import numpy as np
from xdsl.irdl import irdl_op_definition, prop_def

from dialects.function_properties import FunctionProperties
from dialects.quant.base import I64, Array, require_axis, require_floats
from dialects.quant.conv import ConvOp
from dialects.quant.eltwise import EltwiseOp
from dialects.quant.pointwise import (
    DequantizeOp,
    LookupOp,
    PointwiseOp,
    PReluOp,
    QuantizeOp,
    RequantizeOp,
)
from dialects.quant.pool import AveragePoolOp, MaxPoolOp, PoolOp
from dialects.quant.windows import RowWindow


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

    def result_of(self, x: Array) -> Array:
        return self.row.of(x, self.settings)


@irdl_op_definition
class SoftmaxOp(FloatFunctionOp):
    """``exp(x - max) / sum exp(x - max)`` along one axis, float32."""

    name = "quant.softmax"
    axis = prop_def(I64)
    assembly_format = "$x `axis` $axis `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        require_axis(self, self.axis.value.data)

    def rows_needed(self) -> RowWindow | None:
        return self.rows_alike() if self.axis.value.data == 1 else None

    def is_image_by_image(self) -> bool:
        return self.axis.value.data != 0

    def result_of(self, x: Array) -> Array:
        axis = self.axis.value.data
        power = np.exp(x - x.max(axis=axis, keepdims=True))
        return power / power.sum(axis=axis, keepdims=True)


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

__all__ = [
    "COMPUTE_OPS",
    "AveragePoolOp",
    "ConvOp",
    "DequantizeOp",
    "EltwiseOp",
    "LookupOp",
    "MaxPoolOp",
    "PReluOp",
    "PointwiseFunctionOp",
    "PointwiseOp",
    "PoolOp",
    "QuantizeOp",
    "RequantizeOp",
    "SoftmaxOp",
]
