"""All ops that compute: convolution, pooling, element-wise arithmetic, functions.

On 8-bit tensors every op is exact integer arithmetic; ``sat`` saturates to the result type
([-128, 127] for si8, [0, 255] for ui8) and ``a >>r s`` is the rounding shift
``(a + 2^(s-1)) >> s`` (no addition for s = 0). On float32 tensors the same op is float arithmetic.
"""

from __future__ import annotations

from dialects.quant.conv import AnyConvOp, ConvAddOp, ConvOp
from dialects.quant.eltwise import EltwiseKind, EltwiseKindAttr, EltwiseOp
from dialects.quant.functions import PointwiseFunctionOp, SoftmaxOp
from dialects.quant.pointwise import (
    MOST_INDEX,
    CastOp,
    DequantizeOp,
    LookupOp,
    PointwiseOp,
    PReluOp,
    QuantizeOp,
    RequantizeOp,
)
from dialects.quant.pool import AveragePoolOp, MaxPoolOp, PoolOp

COMPUTE_OPS = [
    ConvOp,
    ConvAddOp,
    MaxPoolOp,
    AveragePoolOp,
    EltwiseOp,
    RequantizeOp,
    PReluOp,
    LookupOp,
    QuantizeOp,
    DequantizeOp,
    CastOp,
    PointwiseFunctionOp,
    SoftmaxOp,
]

__all__ = [
    "COMPUTE_OPS",
    "MOST_INDEX",
    "AnyConvOp",
    "AveragePoolOp",
    "CastOp",
    "ConvAddOp",
    "ConvOp",
    "DequantizeOp",
    "EltwiseKind",
    "EltwiseKindAttr",
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
