"""Softmax along any axis: the axis lies along H, everything beside it spreads over lanes and W."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Layout, Ref, align
from dialects.quant import compute, types
from dialects.quant.base import i64s, int_attr
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.float_functions import exp
from passes.kernels.tiling import CannotLower, ranges

BUFFERS = 6
"""Buffers of the input's size that are alive at a time."""


def _along_rows(b: TileBuilder, x: SSAValue, rows: int) -> SSAValue:
    """[1, c, 1, w] seen as [1, c, rows, w] by a row stride of 0."""
    ref = Ref.of(x)
    n, c, _, w = ref.layout.strides
    shape = (1, ref.shape[1], rows, ref.shape[3])
    return b.view(x, ref.with_(shape=shape, layout=Layout(4, 1, (n, c, 0, w))))


def softmax_rows(b: TileBuilder, x: SSAValue) -> SSAValue:
    """Softmax over H of a local [1, c, h, w] tensor; absolute error below 1e-6."""
    _, c, rows, w = Ref.of(x).shape
    extreme = b.local(f32, (1, c, 1, w))
    kernel: dict[str, Attribute] = {"kernel": i64s([rows, 1])}
    b.add(tile.MaxPoolOp, [extreme, x], dict(kernel))
    shifted = b.local(f32, (1, c, rows, w))
    b.arith("sub", shifted, x, _along_rows(b, extreme, rows))
    powers = exp(b, shifted)
    total = b.local(f32, (1, c, 1, w))
    factor = {"factor": int_attr(float_bits(1.0))}
    b.add(tile.AveragePoolOp, [total, powers], {**kernel, **factor})
    b.scalar("div", total, total, first=1.0)
    return b.arith("mul", powers, powers, _along_rows(b, total, rows))


def lower_softmax(b: TileBuilder, op: compute.SoftmaxOp, source: SSAValue, dest: SSAValue) -> None:
    """Softmax of a DDR tensor, cut beside the axis."""
    shape, axis = types.shape_of(op.x), op.axis.value.data
    outer, rows, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
    most = b.budget // BUFFERS // 4 // align(rows, 32)
    if most < 1 or rows > BM1684.limits.height:
        raise CannotLower(f"a softmax over {rows} values does not fit local memory")
    for block in range(outer):
        for c, cn, w, wn in _cuts(inner, most):
            _tile(b, source, dest, (block * rows * inner + c * w, rows, inner), (cn, wn, w))


def _cuts(inner: int, most: int) -> list[tuple[int, int, int, int]]:
    """(first lane run, runs, row width, width) pieces that cover ``inner`` positions."""
    lanes = BM1684.lanes
    width = max(1, min(most, -(-inner // lanes)))
    whole = inner // width
    pieces = [(begin, extent, width, width) for begin, extent in ranges(whole, lanes)]
    rest = inner - whole * width
    return [*pieces, (whole, 1, width, rest)] if rest else pieces


def _tile(
    b: TileBuilder,
    source: SSAValue,
    dest: SSAValue,
    where: tuple[int, int, int],
    extent: tuple[int, int, int],
) -> None:
    begin, rows, inner = where
    lanes, width, step = extent
    shape = (1, lanes, rows, width)
    ref = Ref(f32, shape, Layout(4, 1, (lanes * step, step, inner, 1)), DDR)
    x = b.local(f32, shape)
    b.load(x, b.view(source, ref, begin * 4))
    b.store(b.view(dest, ref, begin * 4), softmax_rows(b, x))
