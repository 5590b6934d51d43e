"""Ops that make few numbers out of many."""

from dialects.quant.reductions.recurrent import Cell, CellAttr, RecurrentOp
from dialects.quant.reductions.reduce import ReduceKind, ReduceKindAttr, ReduceOp

REDUCTION_OPS = [ReduceOp, RecurrentOp]

__all__ = [
    "REDUCTION_OPS",
    "Cell",
    "CellAttr",
    "RecurrentOp",
    "ReduceKind",
    "ReduceKindAttr",
    "ReduceOp",
]
