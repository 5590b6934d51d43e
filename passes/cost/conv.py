"""Convolutions of the quant level as the sizes that their cycles follow from."""

from __future__ import annotations

from dataclasses import replace

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.convolution import Convolution
from dialects.bm1684.cycles.tiu import ceil_div
from dialects.quant import types
from dialects.quant.base import ints
from dialects.quant.conv import ConvOp
from dialects.quant.strips import STRIPS


def convolution_of(op: ConvOp, rows: int, images: int) -> Convolution:
    """The layer where its result has so many rows in each of so many images."""
    group, (down, across) = op.group.value.data, ints(op.stride)
    return Convolution(
        images,
        op.weight.shape[0] // group,
        op.weight.shape[1],
        (rows, types.shape_of(op.y)[3]),
        op.kernel,
        (down, across),
        group,
        op.bias is not None,
        bool(op.relu.value.data),
        types.is_float(op.x),
        bool(op.winograd.value.data),
    )


def on_strips(op: ConvOp) -> Convolution:
    """The layer where its images are all that there are: a single 8-bit image as four strips."""
    images, _, rows, _ = types.shape_of(op.y)
    if images == 1 and not types.is_float(op.x):
        return convolution_of(op, ceil_div(rows, STRIPS), STRIPS)
    return convolution_of(op, rows, images)


def folded_cycles(conv: Convolution) -> float:
    """Cycles of a convolution, columns of the kernel or the whole of it as channels where that is
    less."""
    (kh, kw), (down, _) = conv.kernel, conv.stride
    columns = replace(conv, channels=conv.channels * kw, kernel=(kh, 1), stride=(down, 1))
    whole = replace(conv, channels=conv.channels * kw * kh, kernel=(1, 1), stride=(1, 1))
    folded = (each for each in (columns, whole) if each.channels <= BM1684.lanes)
    return min(each.cycles() for each in (conv, *folded))
