"""Planes: what one row of lanes holds of a group of images."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, aligned
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
