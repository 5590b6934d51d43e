"""Windows that are pooled along columns first, then along rows, where that takes fewer cycles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.tiu import STEP_PIXELS, WIDE_STEP_PIXELS, ceil_div, window_step
from dialects.bm1684.layout import Ref
from dialects.quant.base import ints
from passes.kernels.builder import TileBuilder
from passes.kernels.planes import planes_of
from passes.kernels.tiling import Axis, Problem
from passes.kernels.window import Pads

BETWEEN = BM1684.lane_bytes // 8
"""Bytes of each lane that the results of columns may take."""
Pair = tuple[int, int]
Pool = Callable[[SSAValue, SSAValue, Pair, Pair, Pads], None]
"""Emits the command of a window: result, operand, kernel, stride and pads."""


def pair(value: Any) -> Pair:
    """Rows and columns."""
    first, second = ints(value)
    return first, second


def separated(p: Problem, weighted: bool) -> Problem:
    """The problem with room for the results of columns, where the two parts of its window take
    fewer cycles together than the whole; ``weighted``: it is no maximum."""
    return replace(p, scratch=_between(p)) if _pays(p, weighted) else p


def _between(p: Problem) -> int:
    """Bytes of each lane of the results of columns, of a plane."""
    width = p.width.size if p.fill is None else p.width.span(p.width.out)
    return 4 * p.height.out * width


def _pays(p: Problem, weighted: bool) -> bool:
    is_float, (kh, kw) = p.pack == 1, (p.height.kernel, p.width.kernel)
    step = STEP_PIXELS if is_float else WIDE_STEP_PIXELS

    def cycles(pixels: int, kernel: Pair, stride: int) -> int:
        return ceil_div(pixels, step) * window_step(kernel, stride, is_float, weighted=weighted)

    pixels, between, stride = p.height.out * p.width.out, _between(p), _stride(p.width)
    direct = cycles(pixels, (kh, kw), stride)
    parts = cycles(between // 4, (kh, 1), 1) + cycles(pixels, (1, kw), stride)
    return min(kh, kw) > 1 and between <= BETWEEN and parts < direct


def _stride(axis: Axis) -> int:
    return axis.stride if axis.out > 1 else 1


def columns_then_rows(
    b: TileBuilder, dst: SSAValue, src: SSAValue, kernel: Pair, stride: Pair, pads: Pads, pool: Pool
) -> None:
    """The two parts of a window on a tile."""
    up, down, left, right = pads
    for y, x in zip(planes_of(b, dst), planes_of(b, src), strict=True):
        n, c, height, width = Ref.of(y).shape
        ref = Ref.of(x)
        between = b.local(ref.element, (n, c, height, ref.shape[3]), 4, ref.layout.pack)
        pool(between, x, (kernel[0], 1), (stride[0], 1), (up, down, 0, 0))
        across = stride[1] if width > 1 else 1
        pool(y, between, (1, kernel[1]), (1, across), (0, 0, left, right))
