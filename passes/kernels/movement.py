"""Layers that move data: strided copies from DDR to DDR, and what needs no copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, aligned, i32, local_bytes, si8
from dialects.quant import movement, types
from dialects.quant.base import QuantOp, Strided, ints
from dialects.quant.windows import ROWS
from passes.kernels.builder import TileBuilder
from passes.kernels.strided_copy import Box, Strides, copy_box, row_major
from passes.kernels.tiling import ranges

Cut = tuple[int, int]
"""First and count."""
RowCut = tuple[Cut, Cut, Cut]
"""Channels, the rows of the source that are loaded, the rows that are made."""


def _packed(value: SSAValue) -> bool:
    """True for 8-bit tensors: they lie as 4N."""
    return not types.is_float(value)


def plane_of(shape: Sequence[int]) -> int:
    """Elements of one image."""
    return prod(shape[1:])


def byte_of(image: int, plane: int) -> int:
    """First byte of an image in a 4N tensor; its other elements follow in steps of 4 bytes."""
    return 4 * (image // 4 * plane) + image % 4


def copy_words(b: TileBuilder, source: SSAValue, dest: SSAValue, words: int) -> None:
    """A plain copy of 32-bit words."""
    copy_box(b, source, dest, Box((words,), (1,), (1,), 4))


def unpack(b: TileBuilder, source: SSAValue, shape: Sequence[int]) -> SSAValue:
    """A 4N tensor as plain row-major bytes, in scratch memory."""
    count = prod(shape)
    flat = b.ddr(si8, (1, 1, 1, -(-count // 4) * 4), 1)
    _images(b, source, flat, shape, to_packed=False)
    return flat


def pack(b: TileBuilder, source: SSAValue, dest: SSAValue, shape: Sequence[int]) -> None:
    """Plain row-major bytes to a 4N tensor."""
    _images(b, source, dest, shape, to_packed=True)


def _images(
    b: TileBuilder, source: SSAValue, dest: SSAValue, shape: Sequence[int], to_packed: bool
) -> None:
    plane = plane_of(shape)
    for lane in range(min(4, shape[0])):
        groups = -(-(shape[0] - lane) // 4)
        flat = ((4 * plane, 1), lane * plane)
        words = ((4 * plane, 4), lane)
        src, dst = (flat, words) if to_packed else (words, flat)
        copy_box(b, source, dest, Box((groups, plane), src[0], dst[0], 1, src[1], dst[1]))


def lower_reshape(
    b: TileBuilder, op: movement.ReshapeOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A copy; between other batches of 4N tensors the images are unpacked and packed again."""
    (source,) = sources
    old, new = types.shape_of(op.x), types.shape_of(op.y)
    if not _packed(op.x) or old[0] == new[0]:
        groups = -(-new[0] // 4) if _packed(op.x) else new[0]
        copy_words(b, source, dest, groups * plane_of(new))
        return
    pack(b, unpack(b, source, old), dest, new)


def part_of(op: Operation) -> int | None:
    """The byte of the operand in DDR from which on its bytes are those of the result, so that no
    copy is needed; None where they are not."""
    if isinstance(op, movement.ReshapeOp):
        same = not _packed(op.x) or types.shape_of(op.x)[0] == types.shape_of(op.y)[0]
        return 0 if same else None
    if isinstance(op, movement.SliceOp):
        return _begin(op.x, op.axis.value.data, op.begin.value.data, op.y)
    return None


def _begin(whole: SSAValue, axis: int, begin: int, part: SSAValue) -> int | None:
    """The byte where a part of a tensor begins, elements ``begin``... along an axis; None where
    they do not lie together, or share words with others."""
    shape = _words(whole, types.shape_of(whole))
    if _packed(whole) and axis == 0:
        end, images = begin + types.shape_of(part)[0], types.shape_of(whole)[0]
        if begin % 4 or (end % 4 and end < images):
            return None
        begin //= 4
    elif prod(shape[:axis]) > 1:
        return None
    return 4 * begin * prod(shape[axis + 1 :])


def rows_of(op: Operation) -> int | None:
    """For a slice that needs no copy because those that read it can read rows of its operand: the
    first row."""
    if not isinstance(op, movement.SliceOp) or op.axis.value.data != ROWS or op.top:
        return None
    if not all(use.operation.has_trait(Strided) for use in op.y.uses):
        return None
    return op.begin.value.data


@dataclass(frozen=True)
class Home:
    """The place of a tensor inside of another: the byte where it begins, or the first of its rows
    of every channel."""

    whole: SSAValue
    byte: int | None = None
    row: int | None = None


def homes_in_concats(block: Block, outputs: set[SSAValue]) -> dict[SSAValue, Home]:
    """Operands of concatenations that can be made in their place. Network inputs and outputs have a
    place of their own, and so has what is made without a copy."""
    homes: dict[SSAValue, Home] = {}
    for op in block.ops:
        if not isinstance(op, movement.ConcatOp):
            continue
        axis, begin = op.axis.value.data, 0
        for x in op.xs:
            home = _home(op, axis, begin, x)
            if home is not None and x not in homes and x not in outputs:
                homes[x] = home
            begin += types.shape_of(x)[axis]
    return homes


def _home(op: movement.ConcatOp, axis: int, begin: int, x: SSAValue) -> Home | None:
    """The place of an operand, if it can be made there."""
    owner = x.owner
    if not isinstance(owner, QuantOp) or part_of(owner) is not None or rows_of(owner) is not None:
        return None
    at = _begin(op.y, axis, begin, x)
    if at is not None:
        return Home(op.y, byte=at)
    able = all(_is_strided(use.operation, movement.ConcatOp) for use in x.uses)
    if axis == ROWS and able and not owner.top and _is_strided(owner, movement.SliceOp):
        return Home(op.y, row=begin)
    return None


def _is_strided(op: Operation, mover: type[QuantOp]) -> bool:
    """Whether an op, or one that is a copy of rows at most, reads and writes rows as they lie."""
    return op.has_trait(Strided) or isinstance(op, mover)


def lower_transpose(
    b: TileBuilder, op: movement.TransposeOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A strided copy; a batch that moves is unpacked and packed again."""
    (source,) = sources
    shape, out, order = types.shape_of(op.x), types.shape_of(op.y), ints(op.order)
    unit = 1
    if not _packed(op.x) or order[0] == 0:
        shape, out = _words(op.x, shape), _words(op.x, out)
        unit = 4
    target = dest if unit == 4 else b.ddr(si8, (1, 1, 1, -(-prod(out) // 4) * 4), 1)
    origin = source if unit == 4 else unpack(b, source, shape)
    strides = row_major(shape)
    box = Box(tuple(out), tuple(strides[i] for i in order), row_major(out), unit)
    copy_box(b, origin, target, box)
    if unit == 1:
        pack(b, target, dest, out)


def _words(value: SSAValue, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape counted in 32-bit words (groups of four images of a 4N tensor)."""
    return (-(-shape[0] // 4) if _packed(value) else shape[0], *shape[1:])


def lower_concat(
    b: TileBuilder, op: movement.ConcatOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """One strided copy an operand that was not made in its place."""
    axis, begin = op.axis.value.data, 0
    for x, source in zip(op.xs, sources, strict=True):
        at = _begin(op.y, axis, begin, x)
        if axis == ROWS:
            at = 4 * begin * prod(types.shape_of(op.y)[3:])
        if at is None or not b.is_at(source, dest, at):
            _copy_slice(b, op.y, x, axis, begin, source, dest, into=True)
        begin += types.shape_of(x)[axis]


def lower_slice(
    b: TileBuilder, op: movement.SliceOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """One strided copy; the tensor unit copies rows, which may lie in local memory."""
    (source,) = sources
    axis, begin = op.axis.value.data, op.begin.value.data
    rows = axis == ROWS and len(types.shape_of(op.y)) == 4
    if b.options.whole and rows and _copy_rows(b, source, dest, begin):
        return
    _copy_slice(b, op.x, op.y, axis, begin, source, dest, into=False)


def _copy_rows(b: TileBuilder, source: SSAValue, dest: SSAValue, begin: int) -> bool:
    """Loads a tensor, or as many rows of a part of its channels as fit, and stores rows of it;
    False where not even one row fits."""
    shape = Ref.of(b.words(source)).shape
    n, _, _, width = shape
    cuts = _row_cuts(b, shape, begin, Ref.of(b.words(dest)).shape[2])
    for (c0, cn), (loaded, rows), (first, made) in cuts:
        src = b.local(i32, (n, cn, rows, width))
        b.load(src, b.window(b.words(source), (0, c0, loaded, 0), (n, cn, rows, width)))
        result = b.local(i32, (n, cn, made, width))
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


def _copy_slice(
    b: TileBuilder,
    whole: SSAValue,
    part: SSAValue,
    axis: int,
    begin: int,
    source: SSAValue,
    dest: SSAValue,
    into: bool,
) -> None:
    """Copies a part of a tensor into (or out of) the whole."""
    large, small = types.shape_of(whole), types.shape_of(part)
    if _packed(whole) and axis == 0:
        _copy_images(b, plane_of(small), begin, small[0], source, dest, into)
        return
    large, small = _words(whole, large), _words(whole, small)
    outer, inner = prod(small[:axis]), prod(small[axis + 1 :])
    extents = (outer, small[axis] * inner)
    wide, narrow = (large[axis] * inner, 1), (small[axis] * inner, 1)
    if into:
        box = Box(extents, narrow, wide, 4, 0, begin * inner)
    else:
        box = Box(extents, wide, narrow, 4, begin * inner, 0)
    copy_box(b, source, dest, box)


def _copy_images(
    b: TileBuilder, plane: int, begin: int, count: int, source: SSAValue, dest: SSAValue, into: bool
) -> None:
    """Images of a 4N tensor, byte by byte: every fourth one together."""
    for image in range(min(4, count)):
        near, far = byte_of(image, plane), byte_of(begin + image, plane)
        first, second = (near, far) if into else (far, near)
        extents, strides = (-(-(count - image) // 4), plane), (4 * plane, 4)
        copy_box(b, source, dest, Box(extents, strides, strides, 1, first, second))


def lower_broadcast(
    b: TileBuilder, op: movement.BroadcastOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """A copy with source strides of 0; by the tensor unit, at opt 2, where only rows and columns
    repeat."""
    (source,) = sources
    small, large = types.shape_of(op.x), types.shape_of(op.y)
    if _packed(op.x) and small[0] != large[0]:
        for image in range(large[0]):
            at = byte_of(image, plane_of(large))
            strides = tuple(4 * s for s in row_major((1, *large[1:])))
            box = Box((1, *large[1:]), _zeroed(small, large, 4), strides, 1, 0, at)
            copy_box(b, source, dest, box)
        return
    if b.options.whole and _repeat_pixels(b, source, dest):
        return
    small, large = _words(op.x, small), _words(op.x, large)
    copy_box(b, source, dest, Box(tuple(large), _zeroed(small, large, 1), row_major(large), 4))


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
