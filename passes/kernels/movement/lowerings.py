"""The kernels of the ops that move data."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, aligned, i32, local_bytes, si8
from dialects.quant import movement, types
from dialects.quant.base import ints
from dialects.quant.windows import ROWS
from passes.kernels.builder import TileBuilder
from passes.kernels.movement.copies import (
    byte_of,
    copy_part,
    copy_words,
    pack,
    plane_of,
    unpack,
)
from passes.kernels.movement.in_place import byte_in, is_packed, words_shape
from passes.kernels.movement.strided_copy import StridedCopy, Strides, copy_box, row_major
from passes.kernels.tiling import ranges

Cut = tuple[int, int]
"""First and count."""
RowCut = tuple[Cut, Cut, Cut]
"""Channels, the rows of the source that are loaded, the rows that are made."""


def lower_reshape(
    b: TileBuilder, op: movement.ReshapeOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A copy; between other batches of 4N tensors the images are unpacked and packed again."""
    (source,) = sources
    old, new = types.shape_of(op.x), types.shape_of(op.y)
    if not is_packed(op.x) or old[0] == new[0]:
        groups = -(-new[0] // 4) if is_packed(op.x) else new[0]
        copy_words(b, source, dest, groups * plane_of(new))
        return
    pack(b, unpack(b, source, old), dest, new)


def lower_transpose(
    b: TileBuilder, op: movement.TransposeOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A strided copy; a batch that moves is unpacked and packed again."""
    (source,) = sources
    shape, out, order = types.shape_of(op.x), types.shape_of(op.y), ints(op.order)
    unit = 1
    if not is_packed(op.x) or order[0] == 0:
        shape, out = words_shape(op.x, shape), words_shape(op.x, out)
        unit = 4
    target = dest if unit == 4 else b.ddr(si8, (1, 1, 1, -(-prod(out) // 4) * 4), 1)
    origin = source if unit == 4 else unpack(b, source, shape)
    strides = row_major(shape)
    box = StridedCopy(tuple(out), tuple(strides[i] for i in order), row_major(out), unit)
    copy_box(b, origin, target, box)
    if unit == 1:
        pack(b, target, dest, out)


def lower_concat(
    b: TileBuilder, op: movement.ConcatOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """One strided copy an operand that was not made in its place; of channels through local memory,
    where the operand or the result may stay."""
    axis, begin = op.axis.value.data, 0
    for x, source in zip(op.xs, sources, strict=True):
        at = byte_in(op.y, axis, begin, x)
        if axis == ROWS:
            at = 4 * begin * prod(types.shape_of(op.y)[3:])
        if at is not None and b.is_at(source, dest, at):
            begin += types.shape_of(x)[axis]
            continue
        in_lanes = b.options.whole and axis == 1
        if not in_lanes or not _copy_channels(b, source, dest, begin):
            copy_part(b, op.y, x, axis, begin, source, dest, into=True)
        begin += types.shape_of(x)[axis]


def _copy_channels(b: TileBuilder, source: SSAValue, dest: SSAValue, begin: int) -> bool:
    """Copies a tensor to channels ``begin``... of another by the tensor unit, in the lanes where
    these lie; False where a word holds not all images, or local memory not two copies of the
    tensor."""
    shape = Ref.of(b.words(source)).shape
    lane, limits = begin % BM1684.lanes, BM1684.limits
    size = 2 * local_bytes(shape, aligned(shape, 4, 1, lane), lane)
    fields = shape[1] <= limits.channels and max(shape[2:]) <= min(limits.height, limits.width)
    if shape[0] > 1 or size > b.options.budget or not fields:
        return False
    src, result = (b.local(i32, shape, lane=lane) for _ in range(2))
    b.load(src, b.words(source))
    b.arith("copy", result, src)
    b.store(b.window(b.words(dest), (0, begin, 0, 0), shape), result)
    return True


def lower_slice(
    b: TileBuilder, op: movement.SliceOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """One strided copy; the tensor unit copies rows, which may lie in local memory, unless those of
    a network input are an output."""
    (source,) = sources
    axis, begin = op.axis.value.data, op.begin.value.data
    rows = axis == ROWS and len(types.shape_of(op.y)) == 4
    outside = b.is_input(source) and b.at_border(dest)
    if b.options.whole and rows and not outside and _copy_rows(b, source, dest, begin):
        return
    copy_part(b, op.x, op.y, axis, begin, source, dest, into=False)


def _copy_rows(b: TileBuilder, source: SSAValue, dest: SSAValue, begin: int) -> bool:
    """Loads a tensor, or as many rows of a part of its channels as fit, and stores rows of it; of a
    network input that nothing else reads it loads these alone. False where not even one row fits.
    """
    shape = Ref.of(b.words(source)).shape
    n, _, _, width = shape
    cuts = _row_cuts(b, shape, begin, Ref.of(b.words(dest)).shape[2])
    for (c0, cn), (loaded, rows), (first, made) in cuts:
        result = b.local(i32, (n, cn, made, width))
        if b.is_input(source) and b.at_border(source):
            at = (0, c0, begin + first, 0)
            b.load(result, b.window(b.words(source), at, (n, cn, made, width)))
        else:
            src = b.local(i32, (n, cn, rows, width))
            b.load(src, b.window(b.words(source), (0, c0, loaded, 0), (n, cn, rows, width)))
            skip = begin + first - loaded
            b.arith("copy", result, b.window(src, (0, 0, skip, 0), (n, cn, made, width)))
        b.store(b.window(b.words(dest), (0, c0, first, 0), (n, cn, made, width)), result)
    return bool(cuts)


def _row_cuts(b: TileBuilder, shape: Sequence[int], begin: int, count: int) -> list[RowCut]:
    """Cuts of the rows ``begin``... of a tensor, two of which local memory holds: of all channels
    and rows where these fit; none where not even one row does."""
    (n, channels, height, width), limits = shape, BM1684.limits
    plane = b.options.budget // (2 * n) // BM1684.alignment * BM1684.alignment
    most = min(plane // (4 * width), limits.height)
    if not most or width > limits.width:
        return []
    fits = channels <= limits.channels and height <= limits.height
    if fits and local_bytes(shape, aligned(shape, 4)) <= b.options.budget // 2:
        return [((0, channels), (0, height), (0, count))]
    return [
        (cut, (begin + first, rows), (first, rows))
        for cut in ranges(channels, BM1684.lanes)
        for first, rows in ranges(count, most)
    ]


def lower_broadcast(
    b: TileBuilder, op: movement.BroadcastOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A copy with source strides of 0; by the tensor unit, at opt 2, where only rows and columns
    repeat."""
    (source,) = sources
    small, large = types.shape_of(op.x), types.shape_of(op.y)
    if is_packed(op.x) and small[0] != large[0]:
        for image in range(large[0]):
            at = byte_of(image, plane_of(large))
            strides = tuple(4 * s for s in row_major((1, *large[1:])))
            box = StridedCopy((1, *large[1:]), _zeroed(small, large, 4), strides, 1, 0, at)
            copy_box(b, source, dest, box)
        return
    if b.options.whole and _repeat_pixels(b, source, dest):
        return
    small, large = words_shape(op.x, small), words_shape(op.x, large)
    box = StridedCopy(tuple(large), _zeroed(small, large, 1), row_major(large), 4)
    copy_box(b, source, dest, box)


def _repeat_pixels(b: TileBuilder, source: SSAValue, dest: SSAValue) -> bool:
    """Repeats rows and columns in local memory, where the result may stay; False where images or
    channels repeat, or not even one row fits."""
    small, large = Ref.of(b.words(source)).shape, Ref.of(b.words(dest)).shape
    pixels = all(a in (1, z) for a, z in zip(small[2:], large[2:], strict=True))
    if small[:2] != large[:2] or not pixels:
        return False
    cuts = _row_cuts(b, large, 0, large[2])
    for (c0, cn), _, (first, rows) in cuts:
        loaded = (0, 1) if small[2] == 1 else (first, rows)
        extent = (small[0], cn, loaded[1], small[3])
        src = b.local(i32, extent)
        b.load(src, b.window(b.words(source), (0, c0, loaded[0], 0), extent))
        box = (large[0], cn, rows, large[3])
        result = b.local(i32, box)
        b.arith("copy", result, b.repeated(src, box))
        b.store(b.window(b.words(dest), (0, c0, first, 0), box), result)
    return bool(cuts)


def _zeroed(small: Sequence[int], large: Sequence[int], step: int) -> Strides:
    pairs = zip(small, large, row_major(small), strict=True)
    return tuple(0 if a != z else s * step for a, z, s in pairs)
