"""quant-fuse-relu: float ReLUs move into the layer before them."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import BoolAttr
from xdsl.dialects.func import FuncOp
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects.quant import types
from dialects.quant.compute import ConvOp, EltwiseOp, PReluOp
from passes.base import NpuFunctionPass


class _FuseRelu(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: PReluOp, rewriter: PatternRewriter) -> None:
        producer = op.x.owner
        if not isinstance(producer, (ConvOp, EltwiseOp)) or not types.is_float(op.x):
            return
        if op.slope.array.any() or op.upper is not None or not op.x.has_one_use():
            return
        producer.relu = BoolAttr.from_bool(True)
        producer.tops = op.tops
        rewriter.replace(op, [], [producer.results[0]])


@dataclass(frozen=True)
class QuantFuseReluPass(NpuFunctionPass):
    """Fuses a float ReLU that is the only reader of a convolution or eltwise into it.

    Before: ``conv``, then ``prelu`` with slope 0. After: ``conv ... relu true``, named after the
    ReLU. 8-bit ReLUs are part of their producer's arithmetic from the start.
    """

    name = "quant-fuse-relu"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        walker = PatternRewriteWalker(_FuseRelu(), apply_recursively=False)
        walker.rewrite_region(function.body)
