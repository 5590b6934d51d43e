"""Convolutions whose dilation is above the chip's field.

Floats are the sum of their taps. Integers must be added before they are shifted and cut to 8 bits:
they keep the dilation, and their taps are stacked in local memory, or they get zeros between the
weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from xdsl.dialects.builtin import IntegerAttr, TensorType
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import PEAK_BYTES
from dialects.bm1684.cycles.tiu import PEAK_MACS
from dialects.bm1684.isa.codes import Precision
from dialects.constant import Array, ConstantAttr
from dialects.quant import compute, types
from dialects.quant.base import int_attr
from passes.layers.converter import Converter
from passes.layers.pixels import taken_along
from passes.layers.wide_window import Steps, divided, met_taps, tap_places


@dataclass(frozen=True)
class Window:
    """A convolution of a map: its coefficients, and where its window stands, (height, width) each
    and the pads above, below, left and right; ``shift`` is None for floats."""

    weight: ConstantAttr
    bias: ConstantAttr | None
    stride: Sequence[int]
    pad: Sequence[int]
    dilation: Sequence[int]
    group: int
    shift: IntegerAttr[Any] | None

    @property
    def kernel(self) -> Steps:
        """Taps along height and width."""
        rows, columns = self.weight.shape[2:]
        return rows, columns

    def is_beyond_the_field(self) -> bool:
        """Whether no command takes the dilation."""
        return max(self.dilation) > BM1684.limits.dilation


Places = Mapping[tuple[int, int], tuple[Array, Array]]


def _places_of_taps(window: Window, sizes: Sequence[int], out: Sequence[int]) -> Places:
    """The rows and columns that each tap reads, -1 in the padding, for taps that meet the map; for
    the first tap where none does."""
    axes = [
        [
            tap_places(
                sizes[i], tap, window.stride[i], window.dilation[i], window.pad[2 * i], out[i]
            )
            for tap in range(window.kernel[i])
        ]
        for i in (0, 1)
    ]
    met = {
        (i, j): (rows, columns)
        for i, rows in enumerate(axes[0])
        for j, columns in enumerate(axes[1])
        if (rows >= 0).any() and (columns >= 0).any()
    }
    return met or {(0, 0): (axes[0][0], axes[1][0])}


def with_met_taps(window: Window, sizes: Sequence[int]) -> Window:
    """The same window without the rows and columns of taps that only meet the padding."""
    down, across = (
        met_taps(
            sizes[axis], window.kernel[axis], window.stride[axis], window.dilation[axis],
            (window.pad[2 * axis], window.pad[2 * axis + 1]),
        )
        for axis in (0, 1)
    )  # fmt: skip
    weight = window.weight.array[
        :, :, down.first : down.first + down.count, across.first : across.first + across.count
    ]
    dilation = [
        1 if taps.count == 1 else whole
        for taps, whole in zip((down, across), window.dilation, strict=True)
    ]
    return replace(
        window,
        weight=ConstantAttr.of(np.ascontiguousarray(weight)),
        pad=(*down.pad, *across.pad),
        dilation=dilation,
    )


def stays_wide(window: Window) -> bool:
    """Whether an 8-bit convolution keeps its dilation: rows that its taps meet, loaded one by one,
    cost less than products with the zeros that :func:`~passes.layers.wide_window.cut_dilation` puts
    between the weights. A single image takes whole words. More input channels than a command counts
    are stacked anyway."""
    if window.group != 1:
        return False
    if window.weight.shape[1] > BM1684.limits.channels:
        return True
    taps, outputs = prod(window.kernel), window.weight.shape[0]
    rest = [divided(whole, BM1684.limits.dilation)[1] for whole in window.dilation]
    spread = prod((k - 1) * r + 1 for k, r in zip(window.kernel, rest, strict=True))
    products = (spread - taps) * outputs / (PEAK_MACS[Precision.INT8] / 4)
    return products > taps * 4 / PEAK_BYTES


def sum_of_taps(
    c: Converter, x: SSAValue, window: Window, kind: TensorType[Any], step: str
) -> SSAValue:
    """A float convolution as the sum of a 1x1 convolution a tap, of the part of the map that it
    meets; the tap that meets the most computes the whole result, and its bias."""
    met = _places_of_taps(window, types.shape_of(x)[2:], types.shape_of(kind)[2:])
    n, channels = types.shape_of(x)[:2]
    outputs, maps = window.weight.shape[0], types.shape_of(kind)[2:]
    widest = max(met, key=lambda tap: prod(int((each >= 0).sum()) for each in met[tap]))
    found: list[SSAValue] = []
    for tap, at in met.items():
        name = f"tap{tap[0]}_{tap[1]}"
        spans = [
            range(count) if tap == widest else _span(each)
            for each, count in zip(at, maps, strict=True)
        ]
        lists = [each[span.start : span.stop] for each, span in zip(at, spans, strict=True)]
        part = taken_along(c, x, [np.arange(n), np.arange(channels), *lists], step=f"{name}/in")
        part = c.add(
            compute.ConvOp,
            [part],
            types.float_tensor((n, outputs, *map(len, spans))),
            name,
            weight=ConstantAttr.of(
                np.ascontiguousarray(window.weight.array[:, :, tap[0], tap[1], None, None])
            ),
            bias=window.bias if tap == widest else None,
            group=int_attr(window.group),
        )
        whole = [_within(span, count) for span, count in zip(spans, maps, strict=True)]
        placed = [np.arange(n), np.arange(outputs), *whole]
        found.append(taken_along(c, part, placed, step=f"{name}/out"))
    kind_of_sum = compute.EltwiseKindAttr(compute.EltwiseKind.SUM)
    return c.add(compute.EltwiseOp, found, kind, step, kind=kind_of_sum)


def _span(at: Array) -> range:
    """The windows that meet the map: they stand side by side."""
    inside = np.flatnonzero(at >= 0)
    return range(int(inside[0]), int(inside[-1]) + 1)


def _within(span: range, count: int) -> Array:
    """Indices that put a part into its place of a whole; -1 around it."""
    found = np.full(count, -1)
    found[span.start : span.stop] = np.arange(len(span))
    return found
