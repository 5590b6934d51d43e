"""Convolutions with more input channels than a command counts.

The input channels are cut into pieces, and the rows that one output row reads are stacked piece
under piece: a kernel of ``pieces * kh`` rows then adds up all of them in one exact accumulation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref
from passes.kernels.builder import TileBuilder
from passes.kernels.tiling import Axis

Array = NDArray[Any]


def piece_channels(inputs: int) -> tuple[int, int]:
    """(pieces, channels of a piece) with as few pieces as the field allows."""
    pieces = -(-inputs // BM1684.limits.channels)
    return pieces, -(-inputs // pieces)


def stack_weight(weight: Array) -> Array:
    """[O, I, kh, kw] as [O, channels of a piece, pieces * kh, kw], missing channels zero."""
    outputs, inputs, kh, kw = weight.shape
    pieces, channels = piece_channels(inputs)
    whole = np.zeros((outputs, pieces * channels, kh, kw), weight.dtype)
    whole[:, :inputs] = weight
    split = whole.reshape(outputs, pieces, channels, kh, kw).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(split.reshape(outputs, channels, pieces * kh, kw))


def load_stack(
    b: TileBuilder,
    source: SSAValue,
    axes: tuple[Axis, Axis],
    batch: tuple[int, int],
    row: int,
    columns: tuple[int, int],
) -> SSAValue:
    """The stacked input rows of one output row; what lies in the padding holds zeros."""
    height, width = axes
    ref = Ref.of(source)
    inputs = ref.shape[1]
    pieces, channels = piece_channels(inputs)
    (n0, nn), span = batch, width.span(columns[1])
    stack = b.local(ref.element, (nn, channels, pieces * height.kernel, span), 4, ref.layout.pack)
    b.fill(b.words(stack), 0)
    x = width.first(columns[0])
    x0, x1 = max(x, 0), min(x + span, width.size)
    taps = [height.first(row) + i * height.dilation for i in range(height.kernel)]
    inside = [i for i, y in enumerate(taps) if 0 <= y < height.size]
    if not inside or x0 >= x1:
        return stack
    n, c, h, w = ref.layout.strides
    layout = type(ref.layout)(ref.layout.unit, ref.layout.pack, (n, c, h * height.dilation, w))
    for piece in range(pieces):
        c0 = piece * channels
        extent = (nn, min(channels, inputs - c0), len(inside), x1 - x0)
        corner = b.window(source, (n0, c0, taps[inside[0]], x0), (nn, extent[1], 1, x1 - x0))
        rows = b.view(corner, ref.with_(shape=extent, layout=layout))
        begin = (0, 0, piece * height.kernel + inside[0], x0 - x)
        b.load(b.window(stack, begin, extent), rows)
    return stack
