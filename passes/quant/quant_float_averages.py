"""quant-float-averages: means whose divisor depends on the shape are taken in float."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.compute import AveragePoolOp, DequantizeOp, QuantizeOp
from passes.module.functions import npu_functions
from passes.records.windows import has_one_divisor, is_whole


@dataclass(frozen=True)
class QuantFloatAveragesPass(ModulePass):
    """Puts an 8-bit mean between converters where its divisor depends on the shape.

    Before and after: quant ops, in ``@main`` and in its samples. An integer mean has one multiplier
    and one shift, which are those of its divisor; a mean over a map of any size, or over windows
    that the map's edge clips, has no such numbers in a dynamic network. Its float mean is rounded
    to the nearest, halves to even.
    """

    name = "quant-float-averages"
    level = "quant"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        bodies = [list(f.body.block.ops) for f in npu_functions(op)]
        if len({len(body) for body in bodies}) != 1:
            return  # convert-quant-to-record names the layer
        for ops in zip(*bodies, strict=True):
            pools = [each for each in ops if isinstance(each, AveragePoolOp)]
            if len(pools) != len(ops) or types.is_float(pools[0].y):
                continue
            if is_whole(pools) or not has_one_divisor(pools[0]):
                for pool in pools:
                    _in_float(pool)


def _in_float(pool: AveragePoolOp) -> None:
    def put(made: QuantOp) -> SSAValue:
        made.location = pool.location
        Rewriter.insert_op(made, InsertPoint.before(pool))
        return made.results[0]

    unnamed = ArrayAttr([StringAttr("")])
    x = put(
        DequantizeOp.create(
            operands=[pool.x], result_types=[types.float_like(pool.x)], properties={"tops": unnamed}
        )
    )
    mean = put(
        AveragePoolOp.create(
            operands=[x], result_types=[types.float_like(pool.y)],
            properties=pool.properties | {"tops": unnamed},
        )
    )  # fmt: skip
    y = QuantizeOp.create(
        operands=[mean], result_types=[pool.y.type], properties={"tops": pool.tops}
    )
    y.location = pool.location
    Rewriter.replace_op(pool, y)
