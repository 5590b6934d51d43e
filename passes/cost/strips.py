"""What strips of an image cost: to make them, to exchange their halos, and to join them."""

from __future__ import annotations

from xdsl.ir import SSAValue

from dialects.bm1684.cycles.tiu import FLOAT_ARITH, STEP_PIXELS, ceil_div
from dialects.bm1684.isa import Eu
from dialects.bm1684.layout import lane_rows
from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.strips import STRIPS
from dialects.quant.windows import RowWindow

COPY, SHIFT, MASK = (FLOAT_ARITH[kind] for kind in (Eu.COPY, Eu.SHIFT, Eu.OR))
"""Cycles a step of words."""
TURN = COPY + (STRIPS - 1) * SHIFT + STRIPS * SHIFT + (STRIPS - 1) * (SHIFT + MASK)
"""Cycles a step of a strip that joins and splits an image once; see below."""


def steps(value: SSAValue, rows: int) -> int:
    """Steps of 16 pixels that ``rows`` rows of a tensor take in one word of images."""
    _, channels, _, width = types.shape_of(value)
    return lane_rows(channels) * ceil_div(rows * width, STEP_PIXELS)


def join_cycles(image: SSAValue, rows: int) -> int:
    """Cycles of making an image of its strips of so many rows: one strip is copied, the others are
    shifted to the lowest byte."""
    first, *others = _present(image, rows)
    return COPY * steps(image, first) + SHIFT * sum(steps(image, count) for count in others)


def split_cycles(image: SSAValue, rows: int) -> int:
    """Cycles of making strips of an image: each is shifted to the highest byte and added to those
    before it, which go down by one."""
    first, *others = _present(image, rows)
    added = sum(steps(image, count) for count in others)
    down = len(others) * steps(image, rows)
    return SHIFT * (steps(image, first) + added + down) + MASK * added


def _present(image: SSAValue, rows: int) -> list[int]:
    """The rows of the image in each strip."""
    height = types.shape_of(image)[2]
    return [min(max(height - k * rows, 0), rows) for k in range(STRIPS)]


def exchange_cycles(op: QuantOp, window: RowWindow, rows: int) -> float:
    """Cycles of the halo exchange of a layer's operand, in strips of so many rows: a copy of the
    strips, shifts of the rows around them, and masks of those outside the image."""
    if not window.needs_exchange:
        return 0
    x = op.operands[0]
    cycles = COPY * steps(x, rows) + sum(
        SHIFT * steps(x, halo) for halo in (window.top, window.bottom) if halo
    )
    missing = min(STRIPS * rows - window.height, rows)
    if missing:
        cycles += MASK * steps(x, missing)
    if window.fill:
        cycles += MASK * sum(steps(x, n) for n in (window.top, missing + window.bottom) if n)
    return cycles
