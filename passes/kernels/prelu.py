"""PReLU: with one slope on flat data, with a slope a channel as a 1x1 depthwise convolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.layout import Ref
from dialects.quant import compute, types
from dialects.quant.base import int_attr
from passes.kernels.builder import TileBuilder
from passes.kernels.convolution.weights import DEPTHWISE_FLOAT, DEPTHWISE_INT8, load_weights
from passes.kernels.pointwise import lower_shared_prelu, positive_part
from passes.kernels.tiling import Axis, Problem
from passes.kernels.window import Pads, Region, TileStep, Weights, run_window


def lower_prelu(
    b: TileBuilder, op: compute.PReluOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """``multiplier * max(x, 0) + slope * min(x, 0)``; one of both is 0: the sum fits."""
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
    problem = Problem(n, c, c, height, width, 1 if is_float else 4, False, row, copies_out=3)

    def weights(begin: int, extent: int, lane: int) -> Weights:
        part = slope[begin : begin + extent].reshape(extent, 1, 1, 1)
        return load_weights(b, form, part, None, lane)

    def emit(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        assert loaded is not None
        element = f32 if is_float else Ref.of(src).element
        shape, pack = Ref.of(src).shape, problem.pack
        negative = b.local(element, shape, 4, pack)
        scaled = b.local(element, shape, 4, pack)
        b.arith("min", negative, src, 0)
        properties: dict[str, Attribute] = {"shift": int_attr(op.shift.value.data)}
        b.add(tile.DepthwiseOp, [scaled, negative, loaded[0], []], properties)
        positive_part(b, op, dst, src)
        b.arith("add", dst, dst, scaled)

    run_window(b, problem, Region((0, 0), height, width), source, dest, TileStep(emit, weights))
