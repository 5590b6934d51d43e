"""Where the maxima of windows stand, and numbers put back there: one comparison an element of the
window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.layout import DDR, Layout, Ref, i32
from dialects.quant import types
from dialects.quant.base import ints
from dialects.quant.movement.unpooling import PoolIndexOp, UnpoolOp, WindowPlacesOp
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.movement.pixels import Cut, Span, grid, tiles

SOURCES = 4
"""Buffers of pooled size that an unpooling holds: numbers, places, corners, the comparison."""


@dataclass(frozen=True)
class Tap:
    """An element of the windows: ``offset`` from their corner's place, and where it lies within the
    map: (first, count) of windows along H and W, and its first row and column."""

    offset: int
    rows: Span
    columns: Span
    place: Span


def _taps(op: WindowPlacesOp, windows: Span, rows: Span) -> Iterator[Tap]:
    """The elements of some rows of windows that lie within some rows of the map, the last first."""
    (kh, kw), (sh, sw), (top, left) = ints(op.kernel), ints(op.stride), ints(op.pad)
    width, count = types.shape_of(op.whole)[3], types.shape_of(op.pooled)[3]
    for i in reversed(range(kh)):
        first, held = _inside(windows, sh, i - top, rows)
        for j in reversed(range(kw)):
            left_one, across = _inside((0, count), sw, j - left, (0, width))
            if held and across:
                place = (first * sh - top + i, left_one * sw - left + j)
                yield Tap(i * width + j, (first, held), (left_one, across), place)


def _inside(windows: Span, step: int, shift: int, places: Span) -> Span:
    """(first, count) of the windows k whose element ``k * step + shift`` is among the places."""
    begin = max(windows[0], -(-(places[0] - shift) // step))
    end = min(windows[0] + windows[1], -(-(places[0] + places[1] - shift) // step))
    return begin, max(0, end - begin)


def _corners(
    b: TileBuilder, op: WindowPlacesOp, more: int, box: Sequence[int], at: int
) -> SSAValue:
    """The places of the windows' corners, ``more`` further, in every image and lane of a tile."""
    values = (op.corners() + more).astype(np.float32)
    rows, columns = values.shape
    source = b.constant(values.reshape(1, 1, rows, columns).view(np.uint32))
    n, c, h, w = box
    ref = Ref(i32, (n, c, h, w), Layout(4, 1, (0, 0, columns, 1)), DDR)
    local = b.local(f32, (n, c, h, w))
    b.load(local, b.view(source, ref, 4 * at * columns))
    return local


def _loaded(b: TileBuilder, source: SSAValue, cut: Cut, rows: Span) -> SSAValue:
    (g0, gn), (c0, cn) = cut.groups, cut.channels
    box = (gn, cn, rows[1], Ref.of(source).shape[3])
    local = b.local(f32, box)
    b.load(local, b.window(source, (g0, c0, rows[0], 0), box))
    return local


def lower_pool_index(
    b: TileBuilder, op: PoolIndexOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """The largest of ``(elements behind it) * (x == y)`` over the window, from its end."""
    x, y = types.shape_of(op.x), types.shape_of(op.y)
    (kh, kw), (sh, _), (top, _) = ints(op.kernel), ints(op.stride), ints(op.pad)
    last = (kh - 1) * x[3] + kw

    def read(rows: Span) -> Span:
        first = max(0, rows[0] * sh - top)
        end = min(x[2], (rows[0] + rows[1] - 1) * sh - top + kh)
        return min(first, x[2] - 1), max(1, end - first)

    for cut in tiles(b, x, y, read, (1, 4)):
        whole, pooled = (
            _loaded(b, source, cut, rows)
            for source, rows in zip(sources, (cut.source, cut.rows), strict=True)
        )
        box = Ref.of(pooled).shape
        best, equal = b.local(f32, box), b.local(f32, box)
        b.fill(b.words(best), 0)
        for tap in _taps(op, cut.rows, cut.source):
            extent = (*box[:2], tap.rows[1], tap.columns[1])
            at = (tap.rows[0] - cut.rows[0], tap.columns[0])
            place = (tap.place[0] - cut.source[0], tap.place[1])
            some = grid(b, whole, place, extent, (sh, ints(op.stride)[1]))
            found = grid(b, equal, at, extent, (1, 1))
            b.arith("eq", found, some, grid(b, pooled, at, extent, (1, 1)))
            b.arith("mul", found, found, float_bits(float(last - tap.offset)))
            target = grid(b, best, at, extent, (1, 1))
            b.arith("max", target, target, found)
        corners = _corners(b, op, last, box, cut.rows[0])
        b.arith("sub", best, corners, best)
        (g0, _), (c0, _) = cut.groups, cut.channels
        b.store(b.window(dest, (g0, c0, cut.rows[0], 0), box), best)


def lower_unpool(
    b: TileBuilder, op: UnpoolOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Each element of the windows: the numbers times ``(place == own place)``."""
    x, y = types.shape_of(op.x), types.shape_of(op.y)
    kernel, (sh, sw), (top, _) = ints(op.kernel), ints(op.stride), ints(op.pad)
    overlap = kernel[0] > sh or kernel[1] > sw

    def read(rows: Span) -> Span:
        first = max(0, -(-(rows[0] + top - kernel[0] + 1) // sh))
        end = min(x[2], (rows[0] + rows[1] - 1 + top) // sh + 1)
        return min(first, x[2] - 1), max(1, end - first)

    for cut in tiles(b, x, y, read, (SOURCES, 1)):
        numbers, places = (_loaded(b, source, cut, cut.source) for source in sources)
        box = Ref.of(numbers).shape
        corners = _corners(b, op, 0, box, cut.source[0])
        b.arith("sub", places, places, corners)
        equal = b.local(f32, box)
        result = b.local(f32, (*box[:2], cut.rows[1], y[3]))
        b.fill(b.words(result), 0)
        for tap in _taps(op, cut.source, cut.rows):
            extent = (*box[:2], tap.rows[1], tap.columns[1])
            at = (tap.rows[0] - cut.source[0], tap.columns[0])
            some, own, found = (
                grid(b, each, at, extent, (1, 1)) for each in (numbers, places, equal)
            )
            target = grid(b, result, (tap.place[0] - cut.rows[0], tap.place[1]), extent, (sh, sw))
            b.arith("eq", found, own, float_bits(float(tap.offset)))
            if not overlap:
                b.arith("mul", target, found, some)
                continue
            other = b.local(f32, extent)
            b.arith("mul", other, target, found)
            b.arith("sub", target, target, other)
            b.arith("mul", found, found, some)
            b.arith("add", target, target, found)
        (g0, _), (c0, _) = cut.groups, cut.channels
        b.store(b.window(dest, (g0, c0, cut.rows[0], 0), Ref.of(result).shape), result)
