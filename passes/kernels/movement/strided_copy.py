"""Strided copies from DDR to DDR, of any rank, as commands of rank 4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Layout, Ref, i32, si8
from passes.kernels.builder import TileBuilder

Strides = tuple[int, ...]


@dataclass(frozen=True)
class StridedCopy:
    """A strided copy of any rank: extents, strides and first elements of both sides, in elements of
    ``unit`` bytes."""

    extents: tuple[int, ...]
    source: Strides
    dest: Strides
    unit: int
    source_begin: int = 0
    dest_begin: int = 0


def row_major(shape: Sequence[int]) -> Strides:
    """Strides of a contiguous tensor, in elements."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def merge_dims(box: StridedCopy) -> StridedCopy:
    """Drops dims of extent 1 and joins neighbours that are contiguous on both sides.

    The source is read in the order in which it lies, as gaps between its elements are paid for like
    elements, those of the destination are not; a source that repeats elements keeps its order. A
    last dim whose source step is too large for W is followed by one of extent 1.
    """
    dims: list[tuple[int, int, int]] = []
    given = list(zip(box.extents, box.source, box.dest, strict=True))
    if all(box.source):
        given.sort(key=lambda dim: -dim[1])
    for extent, s, d in given:
        if extent == 1:
            continue
        if dims:
            outer, outer_s, outer_d = dims[-1]
            fits = outer * extent <= BM1684.limits.gdma_size
            if fits and outer_s == s * extent and outer_d == d * extent:
                dims[-1] = (outer * extent, s, d)
                continue
        dims.append((extent, s, d))
    if not dims or dims[-1][1] > BM1684.limits.gdma_source_step:
        dims.append((1, 1, 1))
    extents, source, dest = zip(*dims, strict=True)
    return replace(box, extents=tuple(extents), source=tuple(source), dest=tuple(dest))


def _pieces(box: StridedCopy) -> Iterator[StridedCopy]:
    """Boxes of rank at most 4 whose extents fit the command, covering the box."""
    limit = BM1684.limits.gdma_size
    rank = len(box.extents)
    cuts: list[list[tuple[int, int]]] = []
    for i, extent in enumerate(box.extents):
        step = 1 if i < rank - 4 else limit
        cuts.append([(at, min(step, extent - at)) for at in range(0, extent, step)])
    for parts in product(*cuts):
        begin = [at for at, _ in parts]
        yield replace(
            box,
            extents=tuple(size for _, size in parts)[-4:],
            source=box.source[-4:],
            dest=box.dest[-4:],
            source_begin=box.source_begin
            + sum(a * s for a, s in zip(begin, box.source, strict=True)),
            dest_begin=box.dest_begin + sum(a * d for a, d in zip(begin, box.dest, strict=True)),
        )


def copy_box(b: TileBuilder, source: SSAValue, dest: SSAValue, box: StridedCopy) -> None:
    """Emits the commands of a strided copy between two DDR buffers."""
    for piece in _pieces(merge_dims(box)):
        b.copy(
            _side(b, dest, piece, piece.dest, piece.dest_begin),
            _side(b, source, piece, piece.source, piece.source_begin),
        )


def _side(
    b: TileBuilder, buffer: SSAValue, box: StridedCopy, strides: Strides, begin: int
) -> SSAValue:
    """One side of a box of rank at most 4 as a memref."""
    fill = 4 - len(strides)
    n, c, h, w = (1,) * fill + box.extents
    steps = (0,) * fill + strides
    layout = Layout(box.unit, 1, (steps[0], steps[1], steps[2], steps[3]))
    ref = Ref(i32 if box.unit == 4 else si8, (n, c, h, w), layout, DDR)
    return b.view(buffer, ref, begin * box.unit)
