"""Words of four pixels as those of four strips, in local memory."""

from __future__ import annotations

from dataclasses import replace

from xdsl.ir import SSAValue

from dialects.bm1684.layout import Layout, Ref, si8
from dialects.quant.strips import STRIPS
from passes.kernels.builder import TileBuilder

PIXELS = 4
"""Neighbouring bytes of a row in a word."""
CYCLES = 36
"""Of a step of words of one strip: nine for those of two strips, in two rounds."""


def transpose_bytes(b: TileBuilder, words: SSAValue, packed: SSAValue) -> None:
    """Makes ``words`` [1, C, h, 4 * w], a strip a byte, of ``packed`` [4, C, h, w], four pixels a
    word of each strip. ``packed`` is used up; ``words`` may have longer rows.

    Byte j of word k and byte k of word j change places: first halves of words that are two strips
    apart, then bytes of neighbours.
    """
    ref, into = Ref.of(packed), Ref.of(words)
    n, *others = ref.layout.strides
    half = (STRIPS // 2, *ref.shape[1:])
    spare = b.local(ref.element, half)

    def strips(first: int, step: int) -> SSAValue:
        """The words of two strips, ``step`` apart."""
        layout = replace(ref.layout, strides=(n * step, *others))
        return b.view(packed, ref.with_(shape=half, layout=layout), 4 * n * first)

    def pixels(first: int, step: int) -> SSAValue:
        """Where the words of two of four pixels go, ``step`` apart."""
        _, c, h, w = into.layout.strides
        layout = Layout(4, 1, (step * w, c, h, PIXELS * w))
        return b.view(words, into.with_(shape=half, layout=layout), 4 * w * first)

    def as_bytes(x: SSAValue) -> SSAValue:
        n, c, h, w = Ref.of(x).shape
        layout = replace(Ref.of(x).layout, pack=4)
        return b.view(x, Ref(si8, (4 * n, c, h, w), layout, Ref.of(x).place))

    def xor(dst: SSAValue, one: SSAValue, other: SSAValue) -> None:
        """Of bytes: half of the cycles that words take."""
        b.arith("xor", as_bytes(dst), as_bytes(one), as_bytes(other))

    def differing(low: SSAValue, high: SSAValue, bits: int, mask: int) -> SSAValue:
        """Where the masked bits of ``high`` differ from those so much higher in ``low``."""
        b.arith("shift", spare, low, -bits)
        xor(spare, spare, high)
        return b.arith("and", spare, spare, mask)

    low, high = strips(0, 1), strips(2, 1)
    moved = differing(low, high, 16, 0x0000FFFF)
    xor(high, high, moved)
    xor(low, low, b.arith("shift", moved, moved, 16))
    low, high = strips(0, 2), strips(1, 2)
    moved = differing(low, high, 8, 0x00FF00FF)
    xor(pixels(1, 2), high, moved)
    xor(pixels(0, 2), low, b.arith("shift", moved, moved, 8))
