"""quant-float-resizes: means of neighbours whose weights depend on the shape are taken in float."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects.constant import ConstantAttr
from dialects.positions import linear_taps
from dialects.quant import types
from dialects.quant.movement import InterpolateOp
from passes.records.in_float import InFloat, in_all_samples

HALF_UP = 2.0**-13
"""More than float32 rounds a mean of 8-bit numbers, and less than a half is from other results."""


@dataclass(frozen=True)
class QuantFloatResizesPass(ModulePass):
    """Puts an 8-bit resize between converters where its weights depend on the shape.

    Before and after: quant ops, in ``@main`` and in its samples. Weights of 8 bits are constants;
    in a map of any size they are computed, in float. The result is rounded to the nearest, halves
    upwards.
    """

    name = "quant-float-resizes"
    level = "quant"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for resizes in in_all_samples(op, InterpolateOp):
            varies = len({(r.indices.data.digest, r.weights.data.digest) for r in resizes}) > 1
            if varies and resizes[0].positions is not None:
                for resize in resizes:
                    _in_float(resize)


def _in_float(op: InterpolateOp) -> None:
    ops, axis = InFloat(op), op.axis.value.data
    assert op.positions is not None
    sizes = (types.shape_of(value)[axis] for value in (op.x, op.y))
    indices, weights = linear_taps(op.positions.data, *sizes)
    result = types.float_tensor(types.shape_of(op.y))
    y = ops.put(
        InterpolateOp, ops.integers(op.x), result, axis=op.axis, positions=op.positions,
        indices=ConstantAttr.of(indices), weights=ConstantAttr.of(weights),
    )  # fmt: skip
    ops.replace(ops.function("power", y, shift=HALF_UP))
