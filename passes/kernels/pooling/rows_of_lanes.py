"""Pooling of the whole map, of all rows of lanes at once.

A step of the engine takes 16 pixels, or 64 of an 8-bit image; a pooling of the whole map has one
pixel, in each row of lanes. The rows of a lane lie one after the other in memory: taken as rows of
an image, they are pooled in the same steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, aligned, lane_rows, local_bytes
from dialects.quant import compute
from dialects.quant.base import ints
from passes.kernels.builder import TileBuilder

NO_PADS, STRIDES = (0, 0, 0, 0), (1, 1)
"""Of the window that meets the rows."""


def is_of_rows_of_lanes(
    b: TileBuilder, op: compute.PoolOp, source: SSAValue, dest: SSAValue
) -> bool:
    """Whether the window is the whole map, there are several rows of lanes, and all of them fit
    local memory."""
    x, y = Ref.of(source), Ref.of(dest)
    pixels = x.shape[2] * x.shape[3]
    is_whole = ints(op.kernel) == x.shape[2:] and y.shape[2:] == (1, 1) and not any(ints(op.pad))
    need = sum(local_bytes(r.shape, aligned(r.shape, 4, r.layout.pack)) for r in (x, y, y))
    fits = need <= b.options.budget and pixels <= BM1684.limits.width
    return b.options.whole and is_whole and fits and x.shape[1] > BM1684.lanes


def pool_rows_of_lanes(
    b: TileBuilder,
    source: SSAValue,
    dest: SSAValue,
    pool: Callable[[SSAValue, SSAValue], None],
) -> None:
    """``pool(dst, src)`` emits the command of a window [1, pixels] with NO_PADS and STRIDES, src
    [n, lanes, rows, at least so many pixels], dst [n, lanes, rows, 1]. What a row holds behind its
    pixels, and lanes without a channel in the last row, make numbers that nothing reads."""
    x, y = Ref.of(source), Ref.of(dest)
    src, dst = (b.local(each.element, each.shape, 4, each.layout.pack) for each in (x, y))
    b.load(src, source)
    n, lanes, rows = x.shape[0], BM1684.lanes, lane_rows(x.shape[1])
    image = (n, lanes, rows, Ref.of(src).layout.strides[1])
    layout = aligned(image, 4, x.layout.pack)
    made = b.local(y.element, (n, lanes, rows, 1), 4, y.layout.pack)
    pool(made, b.view(src, Ref.of(src).with_(shape=image, layout=layout)))
    _spread(b, b.words(dst), b.words(made))
    b.store(dest, dst)


def _spread(b: TileBuilder, dst: SSAValue, made: SSAValue) -> None:
    """Words [g, lanes, rows, 1] to the rows of lanes of [g, C, 1, 1]; lanes behind the last channel
    are left alone, as another tensor may lie there."""
    words, groups = Ref.of(dst), Ref.of(dst).shape[0]
    step = words.layout.strides[1]
    spread = replace(words.layout, strides=(words.layout.strides[0], 0, step, 1))
    full, rest = divmod(words.shape[1], BM1684.lanes)
    for first, lanes, rows in ((0, BM1684.lanes, full), (full, rest, 1 if rest else 0)):
        if rows:
            shape = groups, lanes, rows, 1
            into = words.with_(shape=shape, layout=spread)
            source = b.window(made, (0, 0, first, 0), shape)
            b.arith("copy", b.view(dst, into, 4 * first * step), source)
