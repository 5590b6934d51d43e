"""PReLU: with one slope on flat data; slopes a channel are spread over the pixels of floats, and
are the weights of a 1x1 depthwise convolution of integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.layout import Layout, Ref
from dialects.quant import compute, types
from dialects.quant.base import int_attr
from passes.kernels.builder import TileBuilder
from passes.kernels.convolution.weights import DEPTHWISE_FLOAT, DEPTHWISE_INT8, load_weights
from passes.kernels.pointwise import (
    chosen_of_both,
    is_scaled,
    lower_shared_prelu,
    positive_part,
    scaled,
)
from passes.kernels.tiling import Axis, Problem
from passes.kernels.window import Pads, Region, TileStep, Weights, run_window


def lower_prelu(
    b: TileBuilder, op: compute.PReluOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """The larger, or the smaller, of ``multiplier * x`` and ``slope * x`` where one of both is the
    result for all slopes; else ``multiplier * max(x, 0) + slope * min(x, 0)``, where one of both is
    0: the sum fits."""
    (source,) = sources
    slope = op.slope.array
    if slope.size == 1 or not np.any(slope != slope.flat[0]):
        lower_shared_prelu(b, op, source, dest)
        return
    is_float = types.is_float(op.x)
    form = DEPTHWISE_FLOAT if is_float else DEPTHWISE_INT8
    n, c, h, w = Ref.of(source).shape
    height, width = Axis(h, h, 1), Axis(w, w, 1)
    row = form.row_bytes(1, 1, False)
    join, pack = chosen_of_both(op), 1 if is_float else 4
    copies = 3 if join is None else 1 + is_scaled(op)
    problem = Problem(n, c, c, height, width, pack, False, row, copies_out=copies)

    def weights(begin: int, extent: int, lane: int) -> Weights:
        part = slope[begin : begin + extent].reshape(extent, 1, 1, 1)
        return load_weights(b, form, part, None, lane)

    def emit(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        assert loaded is not None
        element = f32 if is_float else Ref.of(src).element
        shape = Ref.of(src).shape
        x = src if join is not None else b.arith("min", b.local(element, shape, 4, pack), src, 0)
        if join is not None and not is_scaled(op):
            _times_slopes(b, op, dst, x, loaded[0])
            b.arith(join, dst, src, dst)
            return
        product = b.local(element, shape, 4, pack)
        _times_slopes(b, op, product, x, loaded[0])
        if join is not None:
            b.arith(join, dst, scaled(b, op, dst, src), product)
        else:
            b.arith("add", dst, positive_part(b, op, dst, src), product)

    run_window(b, problem, Region((0, 0), height, width), source, dest, TileStep(emit, weights))


def _times_slopes(
    b: TileBuilder, op: compute.PReluOp, dst: SSAValue, x: SSAValue, slopes: SSAValue
) -> None:
    """The product of each channel with its slope: of floats one with the slopes spread over the
    pixels, which takes a third of the time."""
    ref = Ref.of(x)
    if not ref.is_float:
        properties: dict[str, Attribute] = {"shift": int_attr(op.shift.value.data)}
        b.add(tile.DepthwiseOp, [dst, x, slopes, []], properties)
        return
    spread = Layout(4, 1, (0, Ref.of(slopes).layout.strides[0], 0, 0))
    b.arith("mul", dst, x, b.view(slopes, ref.with_(layout=spread)))
