"""Sums of two 8-bit tensors: windows of two taps, one on each tensor.

A window takes 5 cycles a step of 16 words and adds up in 32 bits; products, their sum, a ReLU and a
rounding shift by the commands of arithmetic take up to 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, i32, ui8
from dialects.quant import compute, types
from dialects.quant.arithmetic import rounding_shift
from dialects.quant.base import int_attr, ints
from passes.kernels.builder import TileBuilder
from passes.kernels.flat import Chunk, Flat
from passes.kernels.planes import lines_of


def may_be_window(b: TileBuilder, op: compute.EltwiseOp, sources: Sequence[SSAValue]) -> bool:
    """Whether a sum of two different tensors may be computed as a window's: it has a sum of more
    than 16 bits, which must not change what is saturated."""
    if op.kind.data != "sum" or len(sources) != 2 or b.is_at(sources[0], sources[1], 0):
        return False
    assert op.multipliers is not None
    shift = op.shift.value.data
    low = high = 0
    for x, m in zip(op.xs, ints(op.multipliers), strict=True):
        ends = [m * end for end in ((0, 255) if types.is_unsigned(x) else (-128, 127))]
        low, high = low + min(ends), high + max(ends)
    least, most = (0, 255) if types.is_unsigned(op.y) else (-128, 127)
    wide_low, wide_high = (rounding_shift(np.array(x), shift) for x in (-32768, 32767))
    below = low >= -32768 or wide_low <= least
    return bool(below and (high <= 32767 or wide_high >= most))


def weighted_sum(
    op: compute.EltwiseOp,
) -> Callable[[Flat, Chunk | None, list[SSAValue]], SSAValue]:
    """Of two 8-bit tensors, as a window that meets both. Where only one is signed, it becomes
    unsigned by 128 more, which the bias takes off again."""
    assert op.multipliers is not None
    element = types.tensor_type(op.y).element_type
    first, second = (m & 0xFF for m in ints(op.multipliers))
    mixed = types.is_unsigned(op.xs[0]) != types.is_unsigned(op.xs[1])
    bias = 0
    if mixed:
        bias = -128 * ints(op.multipliers)[types.is_unsigned(op.xs[0])]
    words = (first | second << 8, second | first << 8, bias & 0xFFFF)
    made: list[SSAValue] = []

    def emit(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        b, dst = flat.b, flat.local(chunk, element)
        if not made:
            made.append(_same_in_all_lanes(b, xs[0], words))
        if mixed:
            xs = [_unsigned(flat, chunk, x) for x in xs]
        for a, other, result in zip(*(lines_of(b, x) for x in (*xs, dst)), strict=True):
            lanes = Ref.of(result).shape[1]
            weights = b.window(made[0], (0, 0, 0, 0), (1, lanes, 1, len(words)))
            properties: dict[str, Attribute] = {"shift": int_attr(op.shift.value.data)}
            b.add(tile.WeightedSumOp, [result, a, other, weights], properties)
        return dst

    return emit


def _same_in_all_lanes(b: TileBuilder, x: SSAValue, words: Sequence[int]) -> SSAValue:
    """Words [1, C, 1, n] that are the same in all of x's lanes. The tensor unit makes them out of
    any word that is there: the DMA engine, which often has more to do, would take longer."""
    lanes = min(Ref.of(x).shape[1], BM1684.lanes)
    one = (1, lanes, 1, 1)
    result = b.local(i32, (1, lanes, 1, len(words)))
    places = [b.window(result, (0, 0, 0, i), one) for i in range(len(words))]
    b.arith("and", places[0], b.window(b.words(x), (0, 0, 0, 0), one), 0)
    for place, word in reversed(list(zip(places, words, strict=True))):
        b.arith("or", place, places[0], word)
    return result


def _unsigned(flat: Flat, chunk: Chunk | None, x: SSAValue) -> SSAValue:
    """An 8-bit tensor, if it is signed with 128 more."""
    ref = Ref.of(x)
    if not ref.is_signed:
        return x
    bits = flat.b.view(x, ref.with_(element=ui8))
    return flat.b.arith("xor", flat.local(chunk, ui8), bits, 128, signed=False)
