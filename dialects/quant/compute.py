"""Ops that compute: convolution, pooling, element-wise arithmetic, table lookup.

On 8-bit tensors every op is exact integer arithmetic; ``sat`` saturates to the result type
([-128, 127] for si8, [0, 255] for ui8) and ``a >>r s`` is the rounding shift
``(a + 2^(s-1)) >> s`` (no addition for s = 0). On float32 tensors the same op is float arithmetic.
"""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import FloatAttr
from xdsl.irdl import irdl_op_definition, prop_def

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
class SigmoidOp(FloatFunctionOp):
    """``1 / (1 + exp(-x))``, float32."""

    name = "quant.sigmoid"


@irdl_op_definition
class TanhOp(FloatFunctionOp):
    """Hyperbolic tangent, float32."""

    name = "quant.tanh"


@irdl_op_definition
class PowerOp(FloatFunctionOp):
    """``(shift + scale * x) ^ power``, float32. Where a power that is no integer meets a negative
    base the result is not defined."""

    name = "quant.power"
    power = prop_def(FloatAttr)
    scale = prop_def(FloatAttr)
    offset = prop_def(FloatAttr)
    assembly_format = (
        "$x `power` $power `scale` $scale `offset` $offset"
        " `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )


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
    SigmoidOp,
    TanhOp,
    PowerOp,
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
    "PointwiseOp",
    "PoolOp",
    "PowerOp",
    "QuantizeOp",
    "RequantizeOp",
    "SigmoidOp",
    "SoftmaxOp",
    "TanhOp",
]
