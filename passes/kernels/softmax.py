"""Softmax along any axis of a tensor in DDR.

Either the positions beside the axis spread over the lanes and the axis lies along H or W, or,
where there are few positions, the axis itself spreads over the lanes; then maximum and sum go
across them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.tiu import STEP_PIXELS, ceil_div
from dialects.bm1684.layout import DDR, Layout, Ref, align, i32
from dialects.quant import compute, types
from dialects.quant.base import i64s, int_attr
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.convolution.weights import CONV_FLOAT, load_weights
from passes.kernels.float_functions import exp
from passes.kernels.pointwise import dequantized
from passes.kernels.tiling import CannotLower, ranges

H, W = 2, 3
"""Axes of a local tensor."""
BUFFERS = 6
"""Buffers of a tile's size that are alive at a time."""
POINT_CYCLES = 50
"""Cycles of 16 values: the difference, its power of e, the product."""
ACROSS_CYCLES = 8 * BM1684.lanes
"""Cycles of a position whose maximum and sum go across the lanes, with its transfers."""
LOWEST = -1e30
"""Stands where the last lane has fewer values than the others: its power of e counts nothing."""


@dataclass(frozen=True)
class Vectors:
    """``positions`` vectors of ``rows`` values in DDR. Offsets and steps in words: ``begin`` of the
    first value, ``step`` from value to value, ``next`` from vector to vector."""

    begin: int
    rows: int
    positions: int
    step: int
    next: int

    def part(self, first: int, count: int) -> Vectors:
        """Some of the vectors."""
        begin = self.begin + first * self.next
        return Vectors(begin, self.rows, count, self.step, self.next)


def _vectors(op: compute.SoftmaxOp) -> Iterator[Vectors]:
    """All vectors of a tensor, in runs of equal steps."""
    shape, axis = types.shape_of(op.x), op.axis.value.data
    outer, rows, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
    if inner == 1:
        yield Vectors(0, rows, outer, 1, rows)
        return
    for block in range(outer):
        yield Vectors(block * rows * inner, rows, inner, inner, 1)


def lower_softmax(
    b: TileBuilder, op: compute.SoftmaxOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Softmax of a DDR tensor, also of the 8-bit numbers that a dequantize before it reads. The
    absolute error is below 1e-6."""
    (source,) = sources
    read = _reader(b, op, source)
    for vectors in _vectors(op):
        tiles = _upright(b, vectors, read), _across(b, vectors, read)
        forms = [form for form in tiles if form is not None]
        if not forms:
            raise CannotLower(f"a softmax over {vectors.rows} values does not fit local memory")
        for emit in min(forms, key=lambda form: form[0])[1]:
            emit(source, dest)


def takes_bytes(op: compute.DequantizeOp) -> bool:
    """Whether a dequantize needs no tensor of its own: the one softmax that reads it takes 8-bit
    numbers of a single image, one in a word."""
    use = op.y.first_use
    alone = use is not None and op.y.has_one_use() and isinstance(use.operation, compute.SoftmaxOp)
    return alone and types.shape_of(op.x)[0] == 1


def _reader(b: TileBuilder, op: compute.SoftmaxOp, source: SSAValue) -> Read:
    """What loads numbers of the operand as floats: ``read(local, parts)``, each part of the local
    tensor with where it lies in DDR."""
    made = op.x.owner

    def read(local: SSAValue, parts: Iterable[Part]) -> None:
        for near, far in parts:
            b.load(near, far)
        if not Ref.of(source).is_float and isinstance(made, compute.DequantizeOp):
            words = b.view(local, Ref.of(local).with_(element=i32))
            dequantized(b, words, types.scale_of(made.x) or 1.0, types.is_unsigned(made.x))

    return read


Part = tuple[SSAValue, SSAValue]
Read = Callable[[SSAValue, Iterable[Part]], None]
Emit = Callable[[SSAValue, SSAValue], None]
Form = tuple[int, list[Emit]]
"""Estimated cycles, and what makes each tile out of source and destination."""


def _softmax(
    b: TileBuilder,
    x: SSAValue,
    axis: int,
    extreme: Callable[[SSAValue], SSAValue],
    total: Callable[[SSAValue], SSAValue],
) -> SSAValue:
    """``e^(x - extreme) / total`` of a local tensor; both have extent 1 along ``axis``, H or W."""
    shape = Ref.of(x).shape
    shifted = b.local(f32, shape)
    b.arith("sub", shifted, x, b.repeated(extreme(x), shape))
    powers = exp(b, shifted)
    sums = total(powers)
    b.scalar("div", sums, sums, first=1.0)
    return b.arith("mul", powers, powers, b.repeated(sums, shape))


def _pooled(b: TileBuilder, x: SSAValue, axis: int, add: bool) -> SSAValue:
    """The largest value, or the sum, along H or W."""
    shape, kernel = list(Ref.of(x).shape), [1, 1]
    kernel[axis - H], shape[axis] = shape[axis], 1
    result = b.local(f32, shape)
    window: dict[str, Attribute] = {"kernel": i64s(kernel)}
    if add:
        window["factor"] = int_attr(float_bits(1.0))
    b.add(tile.AveragePoolOp if add else tile.MaxPoolOp, [result, x], window)
    return result


# -- the axis along H or W -------------------------------------------------------------------------


def _upright(b: TileBuilder, v: Vectors, read: Read) -> Form | None:
    """Tiles of positions over the lanes: [1, lanes, rows, width], or [1, lanes, width, rows] where
    vectors lie in one piece."""
    most = b.options.budget // BUFFERS // 4 // align(v.rows, 32)
    if most < 1 or v.rows > BM1684.limits.height:
        return None
    tiles: list[Emit] = []
    cycles = 0
    for begin, lanes, step, width in _cuts(v.positions, most):
        cycles += ceil_div(v.rows * width, STEP_PIXELS) * POINT_CYCLES
        cycles += ceil_div(width, STEP_PIXELS) * 2 * v.rows
        axis, (h, w), (dh, dw) = H, (v.rows, width), (v.step, v.next)
        if v.step == 1:
            axis, (h, w), (dh, dw) = W, (w, h), (dw, dh)
        ref = Ref(f32, (1, lanes, h, w), Layout(4, 1, (0, step * v.next, dh, dw)), DDR)
        tiles.append(_upright_tile(b, read, ref, axis, 4 * (v.begin + begin * step * v.next)))
    return cycles, tiles


def _cuts(positions: int, most: int) -> Iterator[tuple[int, int, int, int]]:
    """(first run, runs, positions from run to run, positions of a run) of pieces, a run a lane."""
    lanes = BM1684.lanes
    width = max(1, min(most, ceil_div(positions, lanes)))
    whole = positions // width
    for begin, extent in ranges(whole, lanes):
        yield begin, extent, width, width
    if rest := positions - whole * width:
        yield whole, 1, width, rest


def _upright_tile(b: TileBuilder, read: Read, ref: Ref, axis: int, at: int) -> Emit:
    def emit(source: SSAValue, dest: SSAValue) -> None:
        x = b.local(f32, ref.shape)
        read(x, [(x, b.view(source, ref, at))])
        result = _softmax(
            b, x, axis, lambda y: _pooled(b, y, axis, False), lambda y: _pooled(b, y, axis, True)
        )
        b.store(b.view(dest, ref, at), result)

    return emit


# -- the axis across the lanes ---------------------------------------------------------------------


def _across(b: TileBuilder, v: Vectors, read: Read) -> Form | None:
    """Tiles [positions, lanes, rows of a lane, 1]."""
    height = ceil_div(v.rows, BM1684.lanes)
    most = min(b.options.budget // BUFFERS // 4 // align(height, 32), BM1684.limits.batch)
    if most < 1:
        return None
    cycles = ceil_div(height, STEP_PIXELS) * POINT_CYCLES + 2 * height + ACROSS_CYCLES
    parts = [v.part(*span) for span in ranges(v.positions, most)]
    return v.positions * cycles, [_across_tile(b, read, part, height) for part in parts]


def _across_tile(b: TileBuilder, read: Read, v: Vectors, height: int) -> Emit:
    lanes = ceil_div(v.rows, height)
    rest = v.rows - (lanes - 1) * height
    layout = Layout(4, 1, (v.next, height * v.step, v.step, 1))

    def parts(local: SSAValue, ddr: SSAValue) -> Iterator[Part]:
        """The full lanes, then the last one when it has fewer values."""
        full = lanes if rest == height else lanes - 1
        for lane, count, rows in ((0, full, height), (full, lanes - full, rest)):
            if count:
                shape = (v.positions, count, rows, 1)
                at = 4 * (v.begin + lane * height * v.step)
                far = b.view(ddr, Ref(f32, shape, layout, DDR), at)
                yield b.window(local, (0, lane, 0, 0), shape), far

    def largest(x: SSAValue) -> SSAValue:
        gathered = _in_one_lane(b, _pooled(b, x, H, False))
        return _to_lanes(b, _pooled(b, gathered, H, False), lanes)

    def missing(x: SSAValue) -> SSAValue:
        """The values that the last lane has not."""
        return b.window(x, (0, lanes - 1, rest, 0), (v.positions, 1, height - rest, 1))

    def emit(source: SSAValue, dest: SSAValue) -> None:
        x = b.local(f32, (v.positions, lanes, height, 1))
        as_floats = Ref.of(source).is_float
        if rest < height and as_floats:
            b.fill(missing(x), float_bits(LOWEST))
        read(x, parts(x, source))
        if rest < height and not as_floats:  # numbers were made of all words of x
            end = missing(x)
            words = b.view(end, Ref.of(end).with_(element=i32))
            b.arith("or", words, b.arith("and", words, words, 0), float_bits(LOWEST))
        result = _softmax(b, x, H, largest, lambda y: _to_lanes(b, _pooled(b, y, H, True), lanes))
        for near, far in parts(result, dest):
            b.store(far, near)

    return emit


def _in_one_lane(b: TileBuilder, x: SSAValue) -> SSAValue:
    """[n, c, 1, 1] as [n, 1, c, 1]."""
    n, c, _, _ = Ref.of(x).shape
    result = b.local(f32, (n, 1, c, 1))
    b.copy(result, x)
    return result


def _to_lanes(b: TileBuilder, x: SSAValue, lanes: int) -> SSAValue:
    """The sum over the channels of [n, c, 1, 1] in every lane: a convolution with ones."""
    n, c, _, _ = Ref.of(x).shape
    ones, _ = load_weights(b, CONV_FLOAT, np.ones((lanes, c, 1, 1), np.float32), None)
    result = b.local(f32, (n, lanes, 1, 1))
    b.add(tile.ConvOp, [result, x, ones, []], {})
    return result
