"""Rows and columns taken, interpolated and interleaved by the tensor unit, within their lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import gcd, prod

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, align, aligned, contiguous, i32, local_bytes, si8, si16
from dialects.quant import movement, types
from dialects.quant.base import ints
from dialects.quant.movement.pixels import NOWHERE, WEIGHT_SHIFT
from dialects.quant.windows import ROWS
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.movement.copies import fill_flat, pack, unpack
from passes.kernels.movement.in_place import is_packed, words_shape
from passes.kernels.movement.runs import Run, runs_of
from passes.kernels.movement.strided_copy import StridedCopy, copy_box
from passes.kernels.pointwise import narrow
from passes.kernels.tiling import CannotLower, ranges

BANDS = 4
"""Bands of rows that are interleaved one after the other."""
Span = tuple[int, int]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Cut:
    """A tile: (first, count) of groups of images, of channels, of the result's rows, and of the
    operand's rows."""

    groups: Span
    channels: Span
    rows: Span
    source: Span


def tiles(
    b: TileBuilder,
    x: Sequence[int],
    y: Sequence[int],
    source: Callable[[Span], Span],
    buffers: tuple[int, int],
) -> list[Cut]:
    """Tiles of a result of y's words out of operands of x's, of which local memory holds so many
    ``buffers`` (of operand size, of result size): all, or some channels, images and rows.
    ``source``: the operand's rows under some of the result's. Raises CannotLower."""

    if max(x[3], y[3]) > BM1684.limits.width:
        raise CannotLower(f"a row of {max(x[3], y[3])} is wider than {BM1684.limits.width}")
    for budget in (b.options.budget, BM1684.lane_bytes):
        found = _tiles(x, y, source, buffers, budget)
        if found is not None:
            return found
    raise CannotLower("not even one row of its tensors fits local memory")


def _tiles(
    x: Sequence[int],
    y: Sequence[int],
    source: Callable[[Span], Span],
    buffers: tuple[int, int],
    budget: int,
) -> list[Cut] | None:
    """The tiles whose buffers take so many bytes of each lane; None where there are none."""

    def fits(groups: int, channels: int, rows: int, read: int) -> bool:
        shapes = [(groups, channels, read, x[3])] * buffers[0]
        shapes += [(groups, channels, rows, y[3])] * buffers[1]
        within = max(rows, read) <= BM1684.limits.height and channels <= BM1684.limits.channels
        return within and sum(local_bytes(s, aligned(s, 4)) for s in shapes) <= budget

    if fits(y[0], y[1], y[2], x[2]):
        return [Cut((0, y[0]), (0, y[1]), (0, y[2]), (0, x[2]))]
    lanes = min(y[1], BM1684.lanes)
    cuts = [[((0, y[2]), (0, x[2]))]] if fits(1, lanes, y[2], x[2]) else []
    cuts = cuts or (_rows(y[2], count, source) for count in range(2, y[2] + 1))
    parts = next(
        (cut for cut in cuts if all(fits(1, lanes, rows[1], read[1]) for rows, read in cut)), None
    )
    if parts is None:
        return None
    return [
        Cut(group, channels, rows, read)
        for group in ranges(y[0], 1)
        for channels in ranges(y[1], BM1684.lanes)
        for rows, read in parts
    ]


def _rows(total: int, parts: int, source: Callable[[Span], Span]) -> list[tuple[Span, Span]]:
    """The rows of a result in about so many parts, each with those that it reads."""
    return [(rows, source(rows)) for rows in ranges(total, -(-total // parts))]


def _view(
    b: TileBuilder, tensor: SSAValue, axis: int, first: int, extent: Box, step: int
) -> SSAValue:
    """Rows or columns of a local tensor at equal steps (0 repeats one)."""
    begin = (first, 0) if axis == ROWS else (0, first)
    return grid(b, tensor, begin, extent, (step, 1) if axis == ROWS else (1, step))


def grid(b: TileBuilder, tensor: SSAValue, begin: Span, extent: Box, steps: Span) -> SSAValue:
    """Rows and columns of a local tensor, both at equal steps."""
    corner = b.window(tensor, (0, 0, *begin), (*extent[:2], 1, 1))
    ref = Ref.of(corner)
    n, c, h, w = Ref.of(tensor).layout.strides
    layout = replace(ref.layout, strides=(n, c, h * steps[0], w * steps[1]))
    return b.view(corner, ref.with_(shape=extent, layout=layout))


# -- taken and interpolated ------------------------------------------------------------------------

AlongOp = movement.TakeOp | movement.InterpolateOp


def lower_take(
    b: TileBuilder, op: movement.TakeOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Copies within the lanes along rows, columns and what lies inside of them; along channels and
    images by the DMA engine."""
    axis = op.axis.value.data
    if axis >= ROWS:
        _along(b, op, sources[0], dest)
    elif axis == 0 and is_packed(op.x):
        x, y = types.shape_of(op.x), types.shape_of(op.y)
        flat = b.ddr(si8, (1, 1, 1, -(-prod(y) // 4) * 4), 1)
        _copy_runs(b, op, unpack(b, sources[0], x), flat, x, y, 1)
        pack(b, flat, dest, y)
    else:
        x, y = (words_shape(value, types.shape_of(value)) for value in (op.x, op.y))
        _copy_runs(b, op, sources[0], dest, x, y, 4)


def _copy_runs(
    b: TileBuilder,
    op: movement.TakeOp,
    source: SSAValue,
    dest: SSAValue,
    x: Sequence[int],
    y: Sequence[int],
    unit: int,
) -> None:
    """A strided copy in DDR a run; what is filled is filled first."""
    axis = op.axis.value.data
    runs = runs_of(op.indices.array.tolist())
    outer, inner = prod(x[:axis]), prod(x[axis + 1 :])
    if any(run.source == NOWHERE for run in runs):
        fill_flat(b, dest, prod(y), unit, _bits(op, unit))
    for run in runs:
        if run.source == NOWHERE:
            continue
        extents = (outer, run.count, inner)
        box = StridedCopy(
            extents,
            (x[axis] * inner, run.source_step * inner, 1),
            (y[axis] * inner, run.step * inner, 1),
            unit,
            run.source * inner,
            run.first * inner,
        )
        copy_box(b, source, dest, box)


def _bits(op: movement.TakeOp, unit: int) -> int:
    """What a unit of padding holds."""
    value = op.fill.value.data
    if types.is_float(op.x):
        return float_bits(value)
    return (int(value) & 255) * (0x01010101 if unit == 4 else 1)


def _flat_rows(value: SSAValue, axis: int) -> tuple[tuple[int, ...], int]:
    """A tensor's words in four dims, and the axis in them: dims before the axis are channels."""
    shape = words_shape(value, types.shape_of(value))
    if len(shape) == 4:
        return shape, axis
    return (shape[0], prod(shape[1:axis]), shape[axis], prod(shape[axis + 1 :])), ROWS


def _along(b: TileBuilder, op: AlongOp, source: SSAValue, dest: SSAValue) -> None:
    """The tiles of a result made along H or W."""
    x, axis = _flat_rows(op.x, op.axis.value.data)
    y, _ = _flat_rows(op.y, op.axis.value.data)
    indices = op.indices.array
    weights = op.weights.array if isinstance(op, movement.InterpolateOp) else None
    runs = runs_of(indices.tolist(), None if weights is None else weights.tolist())

    def read(rows: Span) -> Span:
        if axis != ROWS:
            return rows
        wanted = indices[rows[0] : rows[0] + rows[1]]
        inside = wanted[wanted != NOWHERE]
        if not inside.size:
            return (0, 1)
        first, last = int(inside.min()), int(inside.max())
        return (first, min(last + 1 + (weights is not None), x[2]) - first)

    far, near = (_as(b, op, buffer, shape) for buffer, shape in ((source, x), (dest, y)))
    integer = weights is not None and not types.is_float(op.x)
    for cut in tiles(b, x, y, read, (1, 1 + integer)):
        _tile(b, op, far, near, runs, axis, cut)


def _as(b: TileBuilder, op: AlongOp, buffer: SSAValue, shape: Sequence[int]) -> SSAValue:
    """A tensor in DDR under four dims; words where its numbers are only moved."""
    ref = Ref.of(buffer)
    if not isinstance(op, movement.InterpolateOp):
        ref = ref.as_words()
    _, c, h, w = shape
    if ref.shape[1:] == (c, h, w):
        return b.view(buffer, ref)
    whole = (ref.shape[0], c, h, w)
    layout = contiguous(whole, ref.layout.unit, ref.layout.pack)
    return b.view(buffer, ref.with_(shape=whole, layout=layout))


def _tile(
    b: TileBuilder,
    op: AlongOp,
    source: SSAValue,
    dest: SSAValue,
    runs: Sequence[Run],
    axis: int,
    cut: Cut,
) -> None:
    ref, result = Ref.of(source), Ref.of(dest)
    pack_, (g0, gn), (c0, cn) = ref.layout.pack, cut.groups, cut.channels
    n0, nn = g0 * pack_, min(gn * pack_, result.shape[0] - g0 * pack_)
    (r0, rn), (s0, sn) = cut.rows, cut.source
    src = b.local(ref.element, (nn, cn, sn, ref.shape[3]), 4, pack_)
    b.load(src, b.window(source, (n0, c0, s0, 0), (nn, cn, sn, ref.shape[3])))
    dst = b.local(result.element, (nn, cn, rn, result.shape[3]), 4, pack_)
    if isinstance(op, movement.TakeOp) and any(run.source == NOWHERE for run in runs):
        b.fill(b.words(dst), _bits(op, 4))
    for run in runs:
        part = run if axis != ROWS else run.within(r0, r0 + rn)
        if part is None or part.source == NOWHERE:
            continue
        if axis == ROWS:
            part = replace(part, first=part.first - r0, source=part.source - s0)
        extent = (nn, cn, part.count, result.shape[3]) if axis == ROWS else (nn, cn, rn, part.count)
        target = _view(b, dst, axis, part.first, extent, part.step)
        first = _view(b, src, axis, part.source, extent, part.source_step)
        if part.weight == 0:
            b.arith("copy", b.words(target), b.words(first))
        else:
            second = _view(b, src, axis, part.source + 1, extent, part.source_step)
            _mean(b, target, first, second, part.weight)
    b.store(b.window(dest, (n0, c0, r0, 0), (nn, cn, rn, result.shape[3])), dst)


def _mean(
    b: TileBuilder, target: SSAValue, first: SSAValue, second: SSAValue, weight: float
) -> None:
    """``first * (1 - weight) + second * weight``; of integers with weights in units of 1/128."""
    ref = Ref.of(target)
    if ref.element == f32:
        other = float(np.float32(1) - np.float32(weight))
        b.arith("mul", target, first, float_bits(other))
        b.arith("mac", target, second, float_bits(weight))
        return
    wide = b.local(si16, ref.shape, 4, 2)
    b.arith("mul", wide, first, (1 << WEIGHT_SHIFT) - int(weight))
    b.arith("mac", wide, second, int(weight))
    narrow(b, wide, target, WEIGHT_SHIFT)


def lower_interpolate(
    b: TileBuilder, op: movement.InterpolateOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A product and a sum for all results of equal weights at equal steps."""
    _along(b, op, sources[0], dest)


# -- interleaved -----------------------------------------------------------------------------------


def lower_interleave(
    b: TileBuilder, op: movement.InterleaveOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A copy a phase to rows and columns at equal steps."""
    steps, begin, each = ints(op.step), ints(op.begin), op.phases_each
    y = words_shape(op.y, types.shape_of(op.y))
    x = words_shape(op.xs[0], types.shape_of(op.xs[0]))
    rows_of = _phase_rows(begin[0], steps[0])
    x = (x[0], y[1], x[2], x[3])
    for cut in tiles(b, x, y, rows_of, (1, 1)):
        (g0, gn), (c0, cn), (r0, rn) = cut.groups, cut.channels, cut.rows
        dst = b.local(i32, (gn, cn, rn, y[3]))
        bands = ranges(rn, _band_rows(b, rn, steps[0], x[3]))
        for (first, count), phase in product(bands, range(op.phases)):
            operand, inside = divmod(phase, each)
            s0, sn = rows_of((r0 + first, count))
            src = b.local(i32, (gn, cn, sn, x[3]))
            at = (g0, inside * op.channels + c0, s0, 0)
            b.load(src, b.window(b.words(sources[operand]), at, (gn, cn, sn, x[3])))
            down, across = divmod(phase, steps[1])
            rows = _phase_span(begin[0] + r0 + first, count, down, steps[0])
            columns = _phase_span(begin[1], y[3], across, steps[1])
            if not rows[1] or not columns[1]:
                continue
            extent = (gn, cn, rows[1], columns[1])
            top = rows[0] * steps[0] + down - begin[0] - r0
            left = columns[0] * steps[1] + across - begin[1]
            target = grid(b, dst, (top, left), extent, (steps[0], steps[1]))
            b.arith("copy", target, b.window(src, (0, 0, rows[0] - s0, columns[0]), extent))
        b.store(b.window(b.words(dest), (g0, c0, r0, 0), (gn, cn, rn, y[3])), dst)


def _band_rows(b: TileBuilder, rows: int, step: int, width: int) -> int:
    """Rows that are interleaved while the next ones come from other lanes: their operands, of
    ``width`` columns, begin where the engine takes a tensor."""
    if not b.options.whole:
        return rows
    words = BM1684.alignment // 4
    return align(-(-rows // BANDS), step * (words // gcd(width, words)))


def _phase_rows(begin: int, step: int) -> Callable[[Span], Span]:
    """The rows of all phases under some of the result's."""

    def rows(span: Span) -> Span:
        first = (span[0] + begin) // step
        return first, (span[0] + span[1] - 1 + begin) // step - first + 1

    return rows


def _phase_span(begin: int, count: int, phase: int, step: int) -> Span:
    """(first, count) of the elements of a phase under ``count`` results from ``begin`` on."""
    first = -(-(begin - phase) // step)
    return first, max(0, -(-(begin + count - phase) // step) - first)
