"""The quant dialect: exact integer arithmetic, and float32 islands."""

from xdsl.ir import Dialect

from dialects.quant.compute import COMPUTE_OPS, EltwiseKindAttr
from dialects.quant.eltwise import BINARY_OPS, BinaryKindAttr
from dialects.quant.movement import MOVEMENT_OPS
from dialects.quant.reductions import REDUCTION_OPS, CellAttr, ReduceKindAttr
from dialects.quant.scale import ScaleAttr
from dialects.quant.strips import STRIP_OPS

QUANT = Dialect(
    "quant",
    [*COMPUTE_OPS, *BINARY_OPS, *REDUCTION_OPS, *MOVEMENT_OPS, *STRIP_OPS],
    [ScaleAttr, EltwiseKindAttr, BinaryKindAttr, ReduceKindAttr, CellAttr],
)

__all__ = ["QUANT"]
