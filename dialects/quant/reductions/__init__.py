"""Ops that make few numbers out of many."""

from dialects.quant.reductions.reduce import ReduceKind, ReduceKindAttr, ReduceOp

REDUCTION_OPS = [ReduceOp]

__all__ = ["REDUCTION_OPS", "ReduceKind", "ReduceKindAttr", "ReduceOp"]
