"""Planes: what one row of lanes holds of a group of images."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, aligned, lane_rows
from passes.kernels.builder import TileBuilder
from passes.kernels.tiling import ranges


def planes_of(b: TileBuilder, x: SSAValue) -> Iterator[SSAValue]:
    """The planes of a local tensor from lane 0 on, as aligned tensors: of each group of images, and
    of each row of lanes."""
    n, c, h, w = Ref.of(x).shape
    for image, images in ranges(n, Ref.of(x).layout.pack):
        for first, count in ranges(c, BM1684.lanes):
            plane = b.window(x, (image, first, 0, 0), (images, count, h, w))
            ref = Ref.of(plane)
            layout = aligned(ref.shape, ref.layout.unit, ref.layout.pack)
            yield b.view(plane, ref.with_(layout=layout))


def lines_of(b: TileBuilder, x: SSAValue) -> Iterator[SSAValue]:
    """A local tensor from lane 0 on as lines [n, lanes, 1, words], one of each group of images: all
    rows of lanes lie one after the other, with what fills up the last 128 bytes of each. Planes
    where a line would be too long."""
    n, c, h, w = Ref.of(x).shape
    rows = lane_rows(c)
    words = h * w if rows == 1 else rows * Ref.of(x).layout.strides[1]
    if words > BM1684.limits.width:
        yield from planes_of(b, x)
        return
    for image, images in ranges(n, Ref.of(x).layout.pack):
        group = b.window(x, (image, 0, 0, 0), (images, min(c, BM1684.lanes), 1, words))
        ref = Ref.of(group)
        layout = aligned(ref.shape, ref.layout.unit, ref.layout.pack)
        yield b.view(group, ref.with_(layout=layout))
