"""The product of two matrices: a convolution whose weights are loaded from a tensor.

Rows of the result are output channels, its columns pixels: a's rows are the weights, and b's rows
the input channels. Both lie in DDR as they are needed, but for those that are transposed, which are
moved word by word. A bias is one more input channel, with weights of 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import BoolAttr, f32
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.tiu import STEP_PIXELS
from dialects.bm1684.layout import DDR, LMEM, Layout, Order, Ref, align, i32, lane_rows
from dialects.quant import types
from dialects.quant.reductions.matmul import MatMulOp
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.convolution.weights import CONV_FLOAT
from passes.kernels.tiling import CannotLower, ranges

LANES = BM1684.lanes
MOST = BM1684.limits.channels // LANES * LANES
"""Rows of the result, and terms of a sum, of a command."""
PARTS, LEAST_COLUMNS, LARGE = 4, 64, 1 << 14
"""So many tiles, of so many columns at least, where b has so many numbers."""
Cut = tuple[int, int]


def lower_matmul(
    b: TileBuilder, op: MatMulOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """One product after the other, each tile by tile."""
    m, k, n = op.sizes
    bias = int(bool(op.bias.value.data))
    size = _tile(b, m, k, n, bias)
    plain_a, plain_b = not op.transpose_a.value.data, not op.transpose_b.value.data
    for index, (left, right) in enumerate(_pairs(op)):
        for rows in ranges(m, size[0]):
            weights = dict[Cut, SSAValue]()
            for columns in ranges(n, size[2]):
                result = b.local(f32, (1, rows[1], 1, columns[1]))
                for terms in ranges(k, size[1]):
                    ones = bias if sum(terms) == k else 0
                    if terms not in weights:
                        weights = {} if size[1] < k else weights
                        at = left * m * k
                        weights[terms] = _weights(
                            b, sources[0], at, rows, terms, (m, k), plain_a, ones
                        )
                    at, depth = right * (k + bias) * n, (terms[0], terms[1] + ones)
                    x = _pixels(b, sources[1], at, depth, columns, (k, n), plain_b)
                    more: dict[str, Attribute] = {}
                    if terms[0]:
                        more["accumulate"] = BoolAttr.from_bool(True)
                    b.add(tile.ConvOp, [result, x, weights[terms], []], more)
                if op.relu.value.data:
                    b.arith("max", result, result, float_bits(0.0))
                begin = index * m * n + rows[0] * n + columns[0]
                target = _words(b, dest, begin, (1, rows[1], 1, columns[1]), (0, n, n, 1))
                b.store(target, result)


def _pairs(op: MatMulOp) -> Iterator[tuple[int, int]]:
    """Which matrices of a and of b are multiplied, product by product."""
    batch = types.shape_of(op.y)[:-2]
    indices: list[list[int]] = []
    for x in (op.a, op.b):
        own = types.shape_of(x)[:-2]
        found = np.broadcast_to(np.arange(prod(own)).reshape(own), batch)
        indices.append([int(index) for index in found.ravel()])
    yield from zip(*indices, strict=True)


def _tile(b: TileBuilder, m: int, k: int, n: int, bias: int) -> tuple[int, int, int]:
    """Rows, terms and columns of a tile that fits local memory: what takes most is halved. There
    are several tiles, so that one is loaded while another is computed."""
    rows, terms, columns = min(m, MOST), min(k, MOST - bias), min(n, BM1684.limits.width)
    if columns * PARTS > n and n * min(k, MOST) >= LARGE:
        columns = min(columns, max(align(-(-n // PARTS), STEP_PIXELS), LEAST_COLUMNS))
    while True:
        unit = CONV_FLOAT.row_bytes(terms + bias, 1, False)
        width = align(4 * columns, BM1684.alignment)
        depth = lane_rows(terms + bias)
        sizes = (lane_rows(rows) * unit, depth * width, lane_rows(rows) * width)
        if sum(sizes) + BM1684.alignment <= b.options.budget:
            return rows, terms, columns
        if columns > LANES and sizes[0] <= sizes[1] + sizes[2]:
            columns = -(-columns // 2)
        elif rows > LANES and rows >= terms:
            rows = align(-(-rows // 2), LANES)
        elif terms > LANES:
            terms = align(-(-terms // 2), LANES)
        elif columns > 1:
            columns = -(-columns // 2)
        else:
            raise CannotLower("a product of matrices does not fit local memory")


def _words(
    b: TileBuilder,
    buffer: SSAValue,
    begin: int,
    shape: tuple[int, int, int, int],
    steps: tuple[int, int, int, int],
) -> SSAValue:
    """Words of a DDR buffer."""
    return b.view(buffer, Ref(f32, shape, Layout(4, 1, steps, Order.TENSOR), DDR), 4 * begin)


def _weights(
    b: TileBuilder,
    source: SSAValue,
    begin: int,
    rows: Cut,
    terms: Cut,
    whole: tuple[int, int],
    plain: bool,
    ones: int,
) -> SSAValue:
    """Some rows and columns of a as weights [rows, terms, 1, 1], and so many of 1: in pairs, 0
    behind an odd one."""
    (row, count), (term, depth), (m, k) = rows, terms, whole
    units = CONV_FLOAT.row_units(depth + ones, 1)
    words, lanes = 2 * units, min(count, LANES)
    row_step = align(lane_rows(count) * words * 4, BM1684.alignment) // 4
    block = Ref(
        i32, (1, lanes, 1, row_step), Layout(4, 1, (row_step, row_step, row_step, 1)), LMEM
    )
    buffer = b.alloc(block, 4 * row_step)
    if (depth + ones) % 2:
        b.fill(buffer, 0)
    at = begin + (row * k + term if plain else term * m + row)
    layout = Layout(4, 1, (lane_rows(count) * words, words, 1, 1))
    if plain:
        shape, steps = (1, count, 1, depth), (0, k, k, 1)
        layout = Layout(4, 1, (lane_rows(count) * words, words, words, 1))
    else:
        shape, steps = (1, count, depth, 1), (0, 1, m, 1)
    b.load(b.view(buffer, Ref(f32, shape, layout, LMEM)), _words(b, source, at, shape, steps))
    if ones:
        column = Layout(4, 1, (lane_rows(count) * words, words, 1, 1))
        place = b.view(buffer, Ref(f32, (1, count, 1, 1), column, LMEM), 4 * depth)
        b.fill(place, float_bits(1.0))
    kernel = Layout(CONV_FLOAT.unit, CONV_FLOAT.pack, (units, 1, units, units), Order.WEIGHTS)
    return b.view(buffer, Ref(f32, (count, depth + ones, 1, 1), kernel, LMEM))


def _pixels(
    b: TileBuilder,
    source: SSAValue,
    begin: int,
    terms: Cut,
    columns: Cut,
    whole: tuple[int, int],
    plain: bool,
) -> SSAValue:
    """Some rows and columns of b as [1, terms, 1, columns]."""
    (term, depth), (column, count), (k, n) = terms, columns, whole
    x = b.local(f32, (1, depth, 1, count))
    if plain:
        at, steps = begin + term * n + column, (0, n, n, 1)
        b.load(x, _words(b, source, at, (1, depth, 1, count), steps))
        return x
    ref = Ref.of(x)
    upright = ref.with_(
        shape=(1, depth, count, 1), layout=Layout(4, 1, (*ref.layout.strides[:2], 1, 1))
    )
    at, steps = begin + column * k + term, (0, 1, k, 1)
    b.load(b.view(x, upright), _words(b, source, at, (1, depth, count, 1), steps))
    return x
