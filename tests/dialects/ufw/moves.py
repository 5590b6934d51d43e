"""Layers that cut, pad, repeat, resize, rearrange and unpool, as test_ops builds them: of a tensor
[2, 4, 5, 7], with the shapes of their results."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops
from dialects.ufw.layer import SI8, LayerOp
from dialects.ufw.ops import Top

Build = Callable[[SSAValue], LayerOp]
T, S8 = Top("t"), Top("t", SI8, ScaleAttr.of(0.5))
TWO = [Top("t"), Top("u", f32)]
LINEAR, NEAREST = ops.ResizeMode.LINEAR, ops.ResizeMode.NEAREST

MOVES: dict[str, tuple[Build, list[tuple[int, ...]]]] = {
    "deconvolution": (
        lambda x: ops.DeconvolutionOp(
            x, T, np.ones((6, 2, 3, 4), np.float32), np.ones(6, np.float32),
            stride=(2, 3), pad=(1, 0, 2, 1), dilation=(1, 2), group=2,
        ),
        [(2, 6, 10, 22)],
    ),
    "deconvolution int8": (
        lambda x: ops.DeconvolutionOp(
            x, S8, np.ones((4, 1, 2, 2), np.int8), np.ones(4, np.int16),
            stride=(2, 2), group=4, right_shift=7,
        ),
        [(2, 4, 10, 14)],
    ),
    "strided_slice": (
        lambda x: ops.StridedSliceOp(
            [x, x], T, (0, 3, 4, 1), (2, 1, 5, 3), (1, 1, -1, 2), shrink=(1,)
        ),
        [(2, 5, 3)],
    ),
    "pad": (lambda x: ops.PadOp(x, T, (0, 1, 2, -1), (0, 0, 1, -2)), [(2, 5, 8, 4)]),
    "pad with a value": (
        lambda x: ops.PadOp(x, T, (0, 0, 1, 1), (0, 0, 1, 1), value=1.5), [(2, 4, 7, 9)]
    ),
    "pad reflect": (
        lambda x: ops.PadOp(x, T, (1, 0, 2, 3), (0, 1, 1, 0), ops.PadMode.REFLECT), [(3, 5, 8, 10)]
    ),
    "pad edge": (
        lambda x: ops.PadOp(x, T, (0, 0, 2, 3), (0, 0, 1, -1), ops.PadMode.EDGE), [(2, 4, 8, 9)]
    ),
    "pad symmetric": (
        lambda x: ops.PadOp(x, T, (0, 0, 2, 3), (0, 0, 1, 0), ops.PadMode.SYMMETRIC),
        [(2, 4, 8, 10)],
    ),
    "tile": (lambda x: ops.TileOp(x, T, 1, 3), [(2, 12, 5, 7)]),
    "resize linear": (
        lambda x: ops.ResizeOp(x, T, (9, 3), LINEAR, ops.Positions.ALIGN_CORNERS, (1, 0, 0, 2)),
        [(2, 4, 9, 3)],
    ),
    "resize half pixel": (
        lambda x: ops.ResizeOp(x, T, (10, 14), LINEAR, ops.Positions.HALF_PIXEL), [(2, 4, 10, 14)]
    ),
    "resize nearest": (
        lambda x: ops.ResizeOp(x, T, (8, 14), NEAREST, ops.Positions.ASYMMETRIC), [(2, 4, 8, 14)]
    ),
    "rearrange": (
        lambda x: ops.RearrangeOp(x, T, (2, 2, 2, 5, 7), (0, 2, 1, 3, 4), (2, 4, 5, 7)),
        [(2, 4, 5, 7)],
    ),
    "im2col": (
        lambda x: ops.Im2colOp(x, T, (3, 2), stride=(2, 1), pad=(1, 0), dilation=(1, 3)),
        [(2, 24, 3, 4)],
    ),
    "max_pool_mask": (
        lambda x: ops.MaxPoolMaskOp(x, TWO, (2, 3), stride=(2, 2), pad=(0, 1), ceil_mode=False),
        [(2, 4, 2, 4)] * 2,
    ),
    "unpool": (
        lambda x: ops.UnpoolOp(x, x, T, (10, 13), kernel=(2, 3), stride=(2, 2), pad=(0, 1)),
        [(2, 4, 10, 13)],
    ),
    "prior_box": (
        lambda x: ops.PriorBoxOp(
            [x], T, [5, 6.5], [7, 8], [0.1, 0.1, 0.2, 0.2],
            image=(20, 30), step=(4, 4.5), clip=True,
        ),
        [(1, 2, 280)],
    ),
    "prior_box of two": (
        lambda x: ops.PriorBoxOp([x, x], T, [2], [3], [0.1] * 4, offset=0, yx_order=True),
        [(1, 2, 140)],
    ),
    "prior_box denser": (
        lambda x: ops.PriorBoxOp([x, x], T, [2], [3], [0.1] * 4, denser=True), [(1, 2, 280)]
    ),
}  # fmt: skip
