"""Copies in DDR of tensors, of parts of them, and of the bytes of 4N words."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.dialects.builtin import i32
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Ref, contiguous, si8
from dialects.quant import types
from passes.kernels.builder import TileBuilder
from passes.kernels.movement.in_place import is_packed, words_shape
from passes.kernels.movement.strided_copy import StridedCopy, copy_box


def plane_of(shape: Sequence[int]) -> int:
    """Elements of one image."""
    return prod(shape[1:])


def byte_of(image: int, plane: int) -> int:
    """First byte of an image in a 4N tensor; its other elements follow in steps of 4 bytes."""
    return 4 * (image // 4 * plane) + image % 4


def copy_words(b: TileBuilder, source: SSAValue, dest: SSAValue, words: int) -> None:
    """A plain copy of 32-bit words."""
    copy_box(b, source, dest, StridedCopy((words,), (1,), (1,), 4))


def fill_flat(b: TileBuilder, dest: SSAValue, count: int, unit: int, bits: int) -> None:
    """Sets so many units from the first on."""
    most = BM1684.limits.gdma_size
    for rows, width, at in ((count // most, most, 0), (1, count % most, count // most * most)):
        if rows and width:
            shape = (1, 1, rows, width)
            ref = Ref(i32 if unit == 4 else si8, shape, contiguous(shape, unit), DDR)
            b.fill(b.view(dest, ref, at * unit), bits)


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
        copy_box(b, source, dest, StridedCopy((groups, plane), src[0], dst[0], 1, src[1], dst[1]))


def copy_part(
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
    if is_packed(whole) and axis == 0:
        _copy_images(b, plane_of(small), begin, small[0], source, dest, into)
        return
    large, small = words_shape(whole, large), words_shape(whole, small)
    outer, inner = prod(small[:axis]), prod(small[axis + 1 :])
    extents = (outer, small[axis] * inner)
    wide, narrow = (large[axis] * inner, 1), (small[axis] * inner, 1)
    if into:
        box = StridedCopy(extents, narrow, wide, 4, 0, begin * inner)
    else:
        box = StridedCopy(extents, wide, narrow, 4, begin * inner, 0)
    copy_box(b, source, dest, box)


def _copy_images(
    b: TileBuilder, plane: int, begin: int, count: int, source: SSAValue, dest: SSAValue, into: bool
) -> None:
    """Images of a 4N tensor, byte by byte: every fourth one together."""
    for image in range(min(4, count)):
        near, far = byte_of(image, plane), byte_of(begin + image, plane)
        first, second = (near, far) if into else (far, near)
        extents, strides = (-(-(count - image) // 4), plane), (4 * plane, 4)
        copy_box(b, source, dest, StridedCopy(extents, strides, strides, 1, first, second))
