"""Reductions: pooling commands over rows and columns of local tensors.

What is reduced always lies along the height (and width) of a local tensor, and what is kept spreads
over the lanes; which dimension of the tensor goes to the lanes is chosen by how the numbers lie in
DDR. A reduction with few results is made in two steps, parts of the numbers in every lane first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Layout, Ref, align, lane_rows
from dialects.quant import types
from dialects.quant.base import i64s, int_attr, ints
from dialects.quant.reductions.reduce import ReduceKind, ReduceOp
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.movement.copies import copy_words
from passes.kernels.tiling import CannotLower, ranges

MOST_ROWS = 8192
"""Most numbers that one lane reduces to one in one step: more round too much, and do not fit."""
SHORT_RUN = 16
"""Words that a transfer moves at full speed in one go."""
LANES = BM1684.lanes

Four = tuple[int, int, int, int]


def lower_reduce(
    b: TileBuilder, op: ReduceOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Reduces a tensor in DDR: rows and columns of a tensor of rank 4 as they lie, all else one run
    of axes after the other, the last one first."""
    (source,) = sources
    shape, axes, kind = types.shape_of(op.x), ints(op.axes), op.kind.data
    if len(shape) == 4 and {*axes} <= {2, 3} and prod(shape[2:]) <= MOST_ROWS:
        _pooled(b, kind, source, dest, {*axes})
        return
    runs = _runs(shape, axes)
    while any(reduced for _, reduced in runs):
        last = max(i for i, (_, reduced) in enumerate(runs) if reduced)
        outer, inner = prod(n for n, _ in runs[:last]), prod(n for n, _ in runs[last + 1 :])
        left = [*runs[:last], *runs[last + 1 :]]
        final = not any(reduced for _, reduced in left)
        target = dest if final else b.ddr(f32, (1, 1, outer, inner), 4)
        _middle(b, kind, source, target, outer, runs[last][0], inner)
        source, runs = target, left
    if source is dest:
        return
    copy_words(b, source, dest, prod(shape))


def _runs(shape: Sequence[int], axes: Sequence[int]) -> list[tuple[int, bool]]:
    """(extent, whether it is reduced) of neighbouring axes alike, without those of extent 1."""
    runs: list[tuple[int, bool]] = []
    for axis, size in enumerate(shape):
        reduced = axis in axes
        if size == 1:
            continue
        if runs and runs[-1][1] == reduced:
            runs[-1] = (runs[-1][0] * size, reduced)
        else:
            runs.append((size, reduced))
    return runs


def _middle(
    b: TileBuilder,
    kind: ReduceKind,
    source: SSAValue,
    dest: SSAValue,
    outer: int,
    rows: int,
    inner: int,
) -> None:
    """[outer, rows, inner] to [outer, 1, inner]."""
    few = outer < LANES // 2 and inner < SHORT_RUN * LANES
    if rows > MOST_ROWS or (few and rows > LANES):
        _in_parts(b, kind, source, dest, outer, rows, inner)
        return
    if inner < SHORT_RUN * LANES and (outer >= LANES // 2 or inner <= outer):
        src = _words(b, source, 0, (1, outer, rows, inner))
        _pooled(b, kind, src, _words(b, dest, 0, (1, outer, 1, inner)), {2})
        return
    width = -(-inner // LANES)
    for begin, count in ranges(inner, inner // width * width):
        size = min(width, count)
        for images, number in ranges(outer, BM1684.limits.batch):
            four = (number, count // size, rows, size)
            steps = (rows * inner, size, inner, 1)
            src = _words(b, source, images * rows * inner + begin, four, steps)
            small = (number, count // size, 1, size)
            dst = _words(b, dest, images * inner + begin, small, (inner, size, size, 1))
            _pooled(b, kind, src, dst, {2})


def _in_parts(
    b: TileBuilder,
    kind: ReduceKind,
    source: SSAValue,
    dest: SSAValue,
    outer: int,
    rows: int,
    inner: int,
) -> None:
    """Parts of the rows first, as many as there are lanes or more, then what these give."""
    size = min(-(-rows // LANES), MOST_ROWS)
    parts = -(-rows // size)
    partial = b.ddr(f32, (1, outer, parts, inner), 4)
    for begin, count in ranges(rows, rows // size * size):
        height = min(size, count)
        for images, number in ranges(outer, BM1684.limits.batch):
            steps = (rows * inner, height * inner, inner, 1)
            four = (number, count // height, height, inner)
            src = _words(b, source, (images * rows + begin) * inner, four, steps)
            at = (images * parts + begin // size) * inner
            small = (number, count // height, 1, inner)
            dst = _words(b, partial, at, small, (parts * inner, inner, inner, 1))
            _pooled(b, kind, src, dst, {2})
    _middle(b, kind, partial, dest, outer, parts, inner)


def _words(
    b: TileBuilder, buffer: SSAValue, begin: int, shape: Four, steps: Four | None = None
) -> SSAValue:
    """Words of a DDR buffer from ``begin`` on; contiguous ones without ``steps``."""
    _, c, h, w = shape
    layout = Layout(4, 1, steps or (c * h * w, h * w, w, 1))
    return b.view(buffer, Ref(f32, shape, layout, DDR), 4 * begin)


# -- tiles -----------------------------------------------------------------------------------------


def _pooled(
    b: TileBuilder, kind: ReduceKind, source: SSAValue, dest: SSAValue, axes: set[int]
) -> None:
    """Reduces H, W or both of a view of DDR, tile by tile."""
    shape = Ref.of(source).shape
    for begin, extent in _tiles(b, shape, axes):
        x = b.local(f32, extent)
        b.load(x, b.window(source, begin, extent))
        made = [1 if axis in axes else size for axis, size in enumerate(extent)]
        at = [0 if axis in axes else first for axis, first in enumerate(begin)]
        result = reduce_local(b, kind, x, axes)
        b.store(b.window(dest, at, made), result)


def reduce_local(b: TileBuilder, kind: ReduceKind, x: SSAValue, axes: set[int]) -> SSAValue:
    """H, W or both of an aligned local tensor reduced to extent 1."""
    n, c, h, w = Ref.of(x).shape
    if kind is ReduceKind.MIN:
        x = b.scalar("mul", b.local(f32, (n, c, h, w)), x, -1.0)
    result = b.local(f32, (n, c, 1 if 2 in axes else h, 1 if 3 in axes else w))
    kernel = [h if 2 in axes else 1, w if 3 in axes else 1]
    if len(axes) == 2 and h * w <= BM1684.limits.height:  # a column costs half of a row
        x, kernel = b.view(x, _column(Ref.of(x))), [h * w, 1]
    window: dict[str, Attribute] = {"kernel": i64s(kernel)}
    if kind is ReduceKind.SUM:
        window["factor"] = int_attr(float_bits(1.0))
    b.add(tile.AveragePoolOp if kind is ReduceKind.SUM else tile.MaxPoolOp, [result, x], window)
    if kind is ReduceKind.MIN:
        b.scalar("mul", result, result, -1.0)
    return result


def _column(ref: Ref) -> Ref:
    """An aligned local tensor with all its pixels one below the other."""
    n, c, h, w = ref.shape
    images, rows, _, _ = ref.layout.strides
    return ref.with_(shape=(n, c, h * w, 1), layout=Layout(4, 1, (images, rows, 1, 1)))


def _tiles(b: TileBuilder, shape: Four, axes: set[int]) -> Iterator[tuple[Four, Four]]:
    """(begin, extent) of boxes that fit local memory, whole along ``axes``."""
    limits = BM1684.limits
    most = (limits.batch, limits.channels // LANES * LANES, limits.height, limits.width)
    if any(shape[axis] > most[axis] for axis in axes):
        raise CannotLower(f"a reduction over {max(shape[a] for a in axes)} numbers in one lane")
    size = [min(extent, limit) for extent, limit in zip(shape, most, strict=True)]

    def fits() -> bool:
        n, c, h, w = size
        return 2 * n * lane_rows(c) * align(4 * h * w, BM1684.alignment) <= b.options.budget

    for axis, least in ((0, 1), (1, LANES), (2, 1), (3, 1)):
        while axis not in axes and size[axis] > least and not fits():
            size[axis] = max(least, align(-(-size[axis] // 2), least))
    if not fits():
        raise CannotLower(f"a reduction of {shape} numbers does not fit local memory")
    n, c, h, w = size
    for n0, nn in ranges(shape[0], n):
        for c0, cn in ranges(shape[1], c):
            for h0, hn in ranges(shape[2], h):
                for w0, wn in ranges(shape[3], w):
                    yield (n0, c0, h0, w0), (nn, cn, hn, wn)
