"""quant-float-means: 8-bit means whose numbers depend on the shape are taken in float."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log2, prod

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects.constant import ConstantAttr
from dialects.positions import linear_taps
from dialects.quant import types
from dialects.quant.base import ints
from dialects.quant.compute import AveragePoolOp
from dialects.quant.movement import InterpolateOp
from passes.records.in_float import InFloat, in_all_samples
from passes.records.windows import has_one_divisor, is_whole

MOST_BITS = 13
"""Bits behind the point of a mean, and those of its divisor: together with its 8 bits float32 then
still tells a half from the multiples of 1 over the divisor next to it."""
HALF_UP = 2.0**-13
"""More than float32 rounds a mean of 8-bit numbers, and less than a half is from other results."""


@dataclass(frozen=True)
class QuantFloatMeansPass(ModulePass):
    """Puts an 8-bit mean between converters where its divisor or its weights depend on the shape.

    Before and after: quant ops, in ``@main`` and in its samples. An integer mean has one multiplier
    and one shift, which are those of its divisor; a mean over a map of any size, or over windows
    that the map's edge clips, has no such numbers in a dynamic network. A resize takes means of
    neighbours, whose 8-bit weights are constants; in a map of any size they are computed. The mean
    of the integers is rounded to the nearest, halves upwards.
    """

    name = "quant-float-means"
    level = "quant"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for pools in in_all_samples(op, AveragePoolOp):
            if is_whole(pools) or not has_one_divisor(pools[0]):
                largest = max(prod(ints(pool.kernel)) for pool in pools)
                for pool in pools:
                    _pool_in_float(pool, largest)
        for resizes in in_all_samples(op, InterpolateOp):
            varies = len({(r.indices.data.digest, r.weights.data.digest) for r in resizes}) > 1
            if varies and resizes[0].positions is not None:
                for resize in resizes:
                    _resize_in_float(resize)


def _pool_in_float(pool: AveragePoolOp, largest: int) -> None:
    """Puts the mean of the integers themselves in place of an 8-bit one.

    It is rounded to units of 2^-bits first, where rounding is sure: means are multiples of 1 over
    the divisor, so halves can be told from all else in float. Then one product, and one rounding.
    """
    ops = InFloat(pool)
    ratio = types.scale_ratio(pool.x, pool.y)
    used = ceil(log2(largest)) - max(0, floor(log2(ratio)))  # larger means saturate
    bits = max(0, min(MOST_BITS, MOST_BITS - used))
    bits = 0 if ratio == 1 else bits
    properties = {name: value for name, value in pool.properties.items() if name != "tops"}
    result = types.float_tensor(types.shape_of(pool.y))
    y = ops.put(AveragePoolOp, ops.integers(pool.x), result, **properties)
    half_up = 2.0 ** -(2 + ceil(log2(largest)))
    y = ops.function("power", y, scale=2.0**bits, shift=half_up)
    if ratio != 1:
        y = ops.function("round", y)
        y = ops.function("power", y, scale=ratio * 2.0**-bits)
    ops.replace(y)


def _resize_in_float(op: InterpolateOp) -> None:
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
