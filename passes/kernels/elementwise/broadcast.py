"""Layers of several float tensors that repeat as in numpy: how they are cut into tiles.

A dimension that repeats has extent 1 in its operand. In local memory it costs nothing but a step of
0; only what repeats along channels must lie in every lane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Layout, Ref, aligned, contiguous
from passes.kernels.builder import TileBuilder, four
from passes.kernels.convolution.weights import CONV_FLOAT, load_weights
from passes.kernels.flat import Chunk, Flat, each_chunk, is_of_small_images
from passes.kernels.tiling import Axis, Problem, choose_tile, ranges

Shape = tuple[int, ...]
Emit = Callable[[TileBuilder, Sequence[int], list[SSAValue]], SSAValue]
"""Computes a tile of so many elements out of its operands, some of which repeat by a step of 0."""
SPREAD_FROM = 4096
"""Elements above which a plane goes to all lanes by a convolution with ones, not by transfers."""
STAYS = 8
"""How many times the cycles of another view the one may take in which tensors may stay."""
ROW_BYTES = 30
"""A transfer of shorter rows is slower in proportion."""


@dataclass(frozen=True)
class View:
    """A tensor's dimensions as [n, c, h, w], those of the result first, then of each operand."""

    result: Shape
    operands: tuple[Shape, ...]

    @property
    def cost(self) -> float:
        """Cycles of its transfer or of its computation, whichever is more; to compare views."""
        n, c, h, w = self.result
        rows = -(-c // BM1684.lanes)
        return max(
            prod(self.result) * 4 / min(ROW_BYTES, 4 * h * w),
            n * rows * -(-h * w // 16) * 4,
        )


def repeats(x: SSAValue) -> bool:
    """Whether a tensor in local memory has steps of 0, so that it is not aligned."""
    ref = Ref.of(x)
    return ref.layout != aligned(ref.shape, 4)


def solid(b: TileBuilder, x: SSAValue) -> SSAValue:
    """The tensor itself where it is aligned; one that repeats is copied."""
    return b.arith("copy", b.local(f32, Ref.of(x).shape), x) if repeats(x) else x


def each_tile(
    b: TileBuilder,
    shapes: Sequence[Shape],
    shape: Shape,
    sources: Sequence[SSAValue],
    dest: SSAValue,
    scratch: int,
    emit: Emit,
) -> None:
    """Loads the operands' tiles, emits, stores the result's, tile by tile. ``shapes`` are those of
    the operands; ``scratch`` is the number of buffers that ``emit`` allocates.

    Raises CannotLower when not even one element of everything fits.
    """
    if all(prod(s) in (1, prod(shape)) for s in shapes) and prod(shape) in map(prod, shapes):
        _each_chunk(b, shapes, prod(shape), sources, dest, scratch, emit)
        return
    for view, begins, at in _views(b, shapes, shape):
        _each_tile(b, view, sources, begins, dest, at, scratch, emit)


def _each_chunk(
    b: TileBuilder,
    shapes: Sequence[Shape],
    size: int,
    sources: Sequence[SSAValue],
    dest: SSAValue,
    scratch: int,
    emit: Emit,
) -> None:
    """Operands of the result's size, and single numbers."""
    one = Ref(f32, (1, BM1684.lanes, 1, 1), Layout(4, 1, (0, 0, 0, 0)), DDR)
    numbers: dict[int, SSAValue] = {}
    for i, (source, shape) in enumerate(zip(sources, shapes, strict=True)):
        if prod(shape) < size:
            numbers[i] = b.local(f32, one.shape)
            b.load(numbers[i], b.view(source, one))
    whole = [source for i, source in enumerate(sources) if i not in numbers]

    def emit_chunk(flat: Flat, chunk: Chunk | None, xs: list[SSAValue]) -> SSAValue:
        box = flat.shape(chunk, 1)
        loaded = iter(xs)
        operands = [
            _everywhere(b, numbers[i], box) if i in numbers else next(loaded)
            for i in range(len(sources))
        ]
        return emit(b, box, operands)

    each_chunk(b, whole, dest, len(whole) + scratch + len(numbers), emit_chunk)


def _everywhere(b: TileBuilder, x: SSAValue, shape: Sequence[int]) -> SSAValue:
    """A number of each lane as a tensor."""
    ref = Ref.of(x)
    layout = Layout(4, 1, (0, 0, 0, 0))
    return b.view(x, Ref(f32, four(shape), layout, ref.place))


# -- views -----------------------------------------------------------------------------------------


def _merged(shapes: Sequence[Shape], shape: Shape) -> list[Shape]:
    """The dimensions as (extent of the result, extent of each operand), those beside each other
    that repeat alike as one."""
    found: list[Shape] = []
    for extents in zip(shape, *shapes, strict=True):
        if extents[0] == 1:
            continue
        repeats = [e == 1 for e in extents[1:]]
        if found and [e == 1 for e in found[-1][1:]] == repeats:
            found[-1] = tuple(x * y for x, y in zip(found[-1], extents, strict=True))
        else:
            found.append(extents)
    return found


def _split(extents: Shape) -> tuple[Shape, Shape]:
    """A dimension as two, the inner of which has at most as many as there are lanes."""
    lanes = max(d for d in range(1, BM1684.lanes + 1) if extents[0] % d == 0)
    inner = tuple(1 if e == 1 else lanes for e in extents)
    return tuple(e // i for e, i in zip(extents, inner, strict=True)), inner


def _forms(dims: Sequence[Shape]) -> Iterator[tuple[Shape, ...]]:
    """Ways to put up to four dimensions at n, c, h, w."""
    one = (1,) * len(dims[0])
    match len(dims):
        case 1:
            outer, inner = _split(dims[0])
            yield one, inner, one, outer
        case 2:
            yield one, dims[0], one, dims[1]
            outer, inner = _split(dims[0])
            yield outer, inner, one, dims[1]
            outer, inner = _split(dims[1])
            lanes = tuple(1 if e == 1 else inner[0] for e in dims[1])
            width = tuple(e // i for e, i in zip(dims[1], lanes, strict=True))
            yield dims[0], lanes, one, width
        case 3:
            yield dims[0], dims[1], one, dims[2]
            yield one, dims[0], dims[1], dims[2]
        case _:
            yield dims[0], dims[1], dims[2], dims[3]


def _view(dims: Sequence[Shape]) -> View:
    result, *operands = zip(*dims, strict=True)
    return View(result, tuple(operands))


def _natural(shapes: Sequence[Shape], shape: Shape) -> View | None:
    """The view as which the tensors lie elsewhere; None where their last dimensions are no one."""
    parts = [(*s, 1, 1, 1)[:4] if len(s) < 4 else s for s in (shape, *shapes)]
    if any(prod(s[3:]) not in (1, prod(parts[0][3:])) for s in parts):
        return None
    result, *operands = ((*s[:3], prod(s[3:])) for s in parts)
    return View(result, tuple(operands))


def _views(
    b: TileBuilder, shapes: Sequence[Shape], shape: Shape
) -> Iterator[tuple[View, list[int], int]]:
    """Views of all of the tensors, one after the other where they have too many dimensions, with
    the first elements of the operands and of the result."""
    dims, natural = _merged(shapes, shape), _natural(shapes, shape)
    outer, inner = dims[:-4], dims[-4:]
    best = min((_view(form) for form in _forms(inner)), key=lambda view: view.cost)
    if natural is not None:
        stays = b.options.whole and not is_of_small_images(natural.result)
        if natural.cost <= best.cost * (STAYS if stays else 1):
            yield natural, [0] * len(shapes), 0
            return
    steps = [[prod(d[i] for d in dims[k + 1 :]) for k in range(len(outer))]
             for i in range(len(shapes) + 1)]  # fmt: skip
    for index in product(*(range(d[0]) for d in outer)):
        at, *begins = (
            sum(k * step for k, step, d in zip(index, steps[i], outer, strict=True) if d[i] > 1)
            for i in range(len(shapes) + 1)
        )
        yield best, begins, at


# -- tiles -----------------------------------------------------------------------------------------


def _each_tile(
    b: TileBuilder,
    view: View,
    sources: Sequence[SSAValue],
    begins: Sequence[int],
    dest: SSAValue,
    at: int,
    scratch: int,
    emit: Emit,
) -> None:
    n, c, h, w = view.result
    spread = [shape[1] < c for shape in view.operands]
    copies = len(sources) + scratch + sum(spread) - 1
    problem = Problem(n, c, c, Axis(h, h, 1), Axis(w, w, 1), 1, False, copies_out=copies)
    tile = choose_tile(problem, b.options.budget)
    whole = b.view(dest, Ref(f32, four(view.result), contiguous(view.result, 4), DDR), 4 * at)
    whole_sources = [
        b.view(source, Ref(f32, four(shape), contiguous(shape, 4), DDR), 4 * begin)
        for source, shape, begin in zip(sources, view.operands, begins, strict=True)
    ]
    axes = zip(view.result, (tile.n, tile.c, tile.h, tile.w), strict=True)
    for box in product(*(list(ranges(total, step)) for total, step in axes)):
        extent = [e for _, e in box]
        xs = [_operand(b, source, box) for source in whole_sources]
        result = emit(b, extent, xs)
        b.store(b.window(whole, [first for first, _ in box], extent), result)


def _operand(b: TileBuilder, source: SSAValue, box: Sequence[tuple[int, int]]) -> SSAValue:
    """The part of an operand for a box of the result, repeated to the box."""
    ref, extent = Ref.of(source), four([e for _, e in box])
    own = [(0, 1) if total == 1 else part for total, part in zip(ref.shape, box, strict=True)]
    part = b.window(source, [first for first, _ in own], [e for _, e in own])
    n, c, h, w = (e for _, e in own)
    lanes = extent[1]
    if c < lanes and lanes * h * w > SPREAD_FROM:
        plane = b.local(f32, (n, 1, h, w))
        b.load(plane, part)
        ones, _ = load_weights(b, CONV_FLOAT, np.ones((lanes, 1, 1, 1), np.float32), None)
        loaded = b.local(f32, (n, lanes, h, w))
        b.add(tile.ConvOp, [loaded, plane, ones, []], {})
    else:
        loaded = b.local(f32, (n, lanes, h, w))
        if c < lanes:
            far = Ref.of(part)
            steps = (far.layout.strides[0], 0, *far.layout.strides[2:])
            layout = Layout(4, 1, steps)
            part = b.view(part, far.with_(shape=(n, lanes, h, w), layout=layout))
        b.load(loaded, part)
    return b.repeated(loaded, extent)
