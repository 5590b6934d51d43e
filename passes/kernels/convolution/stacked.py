"""Convolutions that no command takes as they are: more input channels than it counts, or a
dilation above its field.

The input channels are cut into pieces, and the rows that one output row reads are stacked piece
under piece: a kernel of ``pieces * kh`` rows then adds up all of them in one exact accumulation.
Where the field does not hold the dilation along the width, each column of the kernel has rows of
its own in the stack: ``pieces * kw * kh`` rows, and one column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref
from dialects.quant import compute
from dialects.quant.base import ints
from passes.kernels.builder import TileBuilder
from passes.kernels.tiling import Axis

Array = NDArray[Any]


def is_stacked(op: compute.AnyConvOp) -> bool:
    """Whether the taps of a convolution are stacked."""
    limits = BM1684.limits
    return op.weight.shape[1] > limits.channels or max(ints(op.dilation)) > limits.dilation


def is_one_dense(op: Operation) -> bool:
    """Whether an op is a convolution of one group that takes its taps as they lie."""
    return isinstance(op, compute.ConvOp) and op.group.value.data == 1 and not is_stacked(op)


def piece_channels(inputs: int) -> tuple[int, int]:
    """(pieces, channels of a piece) with as few pieces as the field allows."""
    pieces = -(-inputs // BM1684.limits.channels)
    return pieces, -(-inputs // pieces)


def has_columns_apart(width: Axis) -> bool:
    """Whether each column of the kernel has rows of its own in the stack."""
    return width.dilation > BM1684.limits.dilation


def stack_weight(weight: Array, columns_apart: bool = False) -> Array:
    """[O, I, kh, kw] as [O, channels of a piece, pieces * kh, kw], missing channels zero; with
    ``columns_apart`` as [O, channels of a piece, pieces * kw * kh, 1]."""
    outputs, inputs, kh, kw = weight.shape
    pieces, channels = piece_channels(inputs)
    whole = np.zeros((outputs, pieces * channels, kh, kw), weight.dtype)
    whole[:, :inputs] = weight
    split = whole.reshape(outputs, pieces, channels, kh, kw)
    if columns_apart:
        rows = split.transpose(0, 2, 1, 4, 3).reshape(outputs, channels, pieces * kw * kh, 1)
    else:
        rows = split.transpose(0, 2, 1, 3, 4).reshape(outputs, channels, pieces * kh, kw)
    return np.ascontiguousarray(rows)


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
    inputs, kernel = ref.shape[1], height.kernel
    pieces, channels = piece_channels(inputs)
    (n0, nn), first = batch, width.first(columns[0])
    if has_columns_apart(width):
        span = (columns[1] - 1) * width.stride + 1
        begins = [first + j * width.dilation for j in range(width.kernel)]
    else:
        span, begins = width.span(columns[1]), [first]
    stack_rows = pieces * len(begins) * kernel
    stack = b.local(ref.element, (nn, channels, stack_rows, span), 4, ref.layout.pack)
    b.fill(b.words(stack), 0)
    taps = [height.first(row) + i * height.dilation for i in range(kernel)]
    inside = [i for i, y in enumerate(taps) if 0 <= y < height.size]
    n, c, h, w = ref.layout.strides
    layout = type(ref.layout)(ref.layout.unit, ref.layout.pack, (n, c, h * height.dilation, w))
    for block, (piece, x) in enumerate((piece, x) for piece in range(pieces) for x in begins):
        x0, x1 = max(x, 0), min(x + span, width.size)
        if not inside or x0 >= x1:
            continue
        c0 = piece * channels
        extent = (nn, min(channels, inputs - c0), len(inside), x1 - x0)
        corner = b.window(source, (n0, c0, taps[inside[0]], x0), (nn, extent[1], 1, x1 - x0))
        rows = b.view(corner, ref.with_(shape=extent, layout=layout))
        begin = (0, 0, block * kernel + inside[0], x0 - x)
        b.load(b.window(stack, begin, extent), rows)
    return stack
