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


def lines_of(b: TileBuilder, x: SSAValue) -> Iterator[SSAValue]:
    """A local tensor from lane 0 on as lines [n, lanes, 1, words] of each group of images: the full
    rows of lanes lie one after the other, with what fills up the last 128 bytes of each, and then
    a row of some lanes, beside which another tensor may lie. Planes where a line would be too long.
    """
    n, c, h, w = Ref.of(x).shape
    full, rest = divmod(c, BM1684.lanes)
    step = Ref.of(x).layout.strides[1]
    if max(full, 1) * step > BM1684.limits.width:
        yield from planes_of(b, x)
        return
    lines = [(0, BM1684.lanes, h * w if full == 1 else full * step)] if full else []
    lines += [(full * BM1684.lanes, rest, h * w)] if rest else []
    for image, images in ranges(n, Ref.of(x).layout.pack):
        for first, lanes, words in lines:
            line = b.window(x, (image, first, 0, 0), (images, lanes, 1, words))
            ref = Ref.of(line)
            layout = aligned(ref.shape, ref.layout.unit, ref.layout.pack)
            yield b.view(line, ref.with_(layout=layout))
