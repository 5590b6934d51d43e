"""quant-float-averages: means whose divisor depends on the shape are taken in float."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log2, prod

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects.quant import types
from dialects.quant.base import ints
from dialects.quant.compute import (
    AveragePoolOp,
)
from passes.records.in_float import InFloat, in_all_samples
from passes.records.windows import has_one_divisor, is_whole

MOST_BITS = 13
"""Bits behind the point of a mean, and those of its divisor: together with its 8 bits float32 then
still tells a half from the multiples of 1 over the divisor next to it."""


@dataclass(frozen=True)
class QuantFloatAveragesPass(ModulePass):
    """Puts an 8-bit mean between converters where its divisor depends on the shape.

    Before and after: quant ops, in ``@main`` and in its samples. An integer mean has one multiplier
    and one shift, which are those of its divisor; a mean over a map of any size, or over windows
    that the map's edge clips, has no such numbers in a dynamic network. The mean of the integers is
    rounded to the nearest, halves upwards.
    """

    name = "quant-float-averages"
    level = "quant"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for pools in in_all_samples(op, AveragePoolOp):
            if is_whole(pools) or not has_one_divisor(pools[0]):
                largest = max(prod(ints(pool.kernel)) for pool in pools)
                for pool in pools:
                    _in_float(pool, largest)


def _in_float(pool: AveragePoolOp, largest: int) -> None:
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
