"""Ops that make few numbers out of many."""

from dialects.quant.reductions.matmul import MatMulOp
from dialects.quant.reductions.recurrent import Cell, CellAttr, RecurrentOp
from dialects.quant.reductions.reduce import ReduceKind, ReduceKindAttr, ReduceOp

REDUCTION_OPS = [ReduceOp, RecurrentOp, MatMulOp]

__all__ = [
    "REDUCTION_OPS",
    "Cell",
    "CellAttr",
    "MatMulOp",
    "RecurrentOp",
    "ReduceKind",
    "ReduceKindAttr",
    "ReduceOp",
]
