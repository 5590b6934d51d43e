"""Folding: taps of a convolution's window become input channels.

Few input channels leave most multipliers idle. Copies of the input, each shifted by a tap, lie in
lanes of their own, and the kernel has so many taps less. With a stride of s only every s-th
element of a row or column is copied, so that the folded convolution has stride 1 (space to depth).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.convolution import Convolution
from dialects.bm1684.cycles.gdma import LOCAL_BURST, PEAK_BYTES
from dialects.bm1684.cycles.tiu import STEP_PIXELS, ceil_div
from dialects.bm1684.layout import Ref, align, lane_rows
from passes.kernels.builder import TileBuilder
from passes.kernels.quantised.ahead import FloatStripsAhead
from passes.kernels.strip_input import Source, load_box, ref_of
from passes.kernels.tiling import Axis, ranges

Array = NDArray[Any]
Span = tuple[int, int]

BAND = BM1684.lane_bytes // 8
"""Bytes of each lane that a band of input rows may take while it is folded."""
SHARED = 0.25
"""What work costs beside the other engine's: other layers need its time too."""
UNEVEN_CHANNELS = 3
"""Input channels of a float convolution that cost more than one channel more."""


@dataclass(frozen=True)
class AxisFold:
    """One axis: the first ``taps`` taps become channels, of every ``step``-th input element.

    Folded element g of tap t is input element ``g * step + t - lead`` (zero outside); ``lead`` is
    the padding in front, rounded up to whole steps unless all taps become channels.
    """

    axis: Axis
    step: int
    taps: int

    @property
    def lead(self) -> int:
        pad = self.axis.pad
        return pad if self.taps == self.axis.kernel else align(pad, self.step)

    @property
    def folded(self) -> Axis:
        """The axis of the folded convolution; it needs no padding."""
        a = self.axis
        kernel = ceil_div(a.kernel + self.lead - a.pad, self.taps)
        dilation = self.taps // self.step if kernel > 1 else 1
        shape = Axis(0, a.out, kernel, a.stride // self.step, dilation)
        return Axis(shape.span(a.out), a.out, kernel, shape.stride, shape.dilation)

    def inside(self, tap: int, begin: int, count: int) -> Span:
        """(first, count) of the folded elements of a range that lie in the input."""
        at = tap - self.lead
        first = max(begin, ceil_div(-at, self.step))
        last = min(begin + count, (self.axis.size - 1 - at) // self.step + 1)
        return first, max(0, last - first)

    def source(self, tap: int, element: int) -> int:
        """The input element of a folded one."""
        return element * self.step + tap - self.lead

    def weights(self, weight: Array, dim: int) -> Array:
        """Splits a kernel's dimension into [folded kernel, taps], zero where there was no tap."""
        front = self.lead - self.axis.pad
        behind = self.folded.kernel * self.taps - self.axis.kernel - front
        widths = [(0, 0)] * weight.ndim
        widths[dim] = (front, behind)
        shape = (*weight.shape[:dim], self.folded.kernel, self.taps, *weight.shape[dim + 1 :])
        return np.pad(weight, widths).reshape(shape)


@dataclass(frozen=True)
class Fold:
    """A folded convolution. ``channels``: those of the input; ``idle`` ones, all zero, follow."""

    channels: int
    height: AxisFold
    width: AxisFold
    idle: int = 0

    @property
    def folded_channels(self) -> int:
        return (self.channels + self.idle) * self.height.taps * self.width.taps

    @property
    def moves(self) -> bool:
        """Whether taps became channels, which are copied from lane to lane."""
        return self.height.taps * self.width.taps > 1

    def weights(self, weight: Array) -> Array:
        """[O, I, kh, kw] as [O, folded channels, folded kh, folded kw]."""
        whole = np.pad(weight, ((0, 0), (0, self.idle), (0, 0), (0, 0)))
        split = self.height.weights(self.width.weights(whole, 3), 2)  # O, I, kh, ty, kw, tx
        turned = split.transpose(0, 3, 5, 1, 2, 4)
        kernels = (self.height.folded.kernel, self.width.folded.kernel)
        return np.ascontiguousarray(turned.reshape(len(weight), self.folded_channels, *kernels))

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """(first folded channel, tap down, tap across) of every copy of the input."""
        taps = product(range(self.height.taps), range(self.width.taps))
        for i, (down, across) in enumerate(taps):
            yield i * (self.channels + self.idle), down, across


def _options(axis: Axis) -> Iterator[AxisFold]:
    for step in sorted({1, axis.stride}):
        times = range(1, ceil_div(axis.kernel + step, step) + 1)
        for taps in sorted({*(n * step for n in times), axis.kernel}):
            fold = AxisFold(axis, step, taps)
            if fold.folded.dilation <= BM1684.limits.dilation:
                yield fold


def choose_fold(
    axes: tuple[Axis, Axis],
    weight: Array,
    bias: bool,
    groups: int,
    is_float: bool,
    overlapped: bool = False,
    by_rows: bool = False,
) -> Fold | None:
    """The fold with the fewest cycles, None when none pays.

    weight [O, I, kh, kw]; ``groups``: images, or groups of four 8-bit ones. ``overlapped``: the
    input comes in bands, and both engines work side by side; else one waits for the other.
    ``by_rows``: rows lie in the lanes, from where they move; or by way of DDR, which brings taps of
    rows where they belong.
    """
    outputs, inputs = weight.shape[:2]
    if max(axis.dilation for axis in axes) > 1:
        return None
    down, across = axes
    plain = Fold(inputs, AxisFold(down, 1, 1), AxisFold(across, 1, 1))
    idle = Fold(inputs, plain.height, plain.width, idle=1)
    found = [idle] if is_float and inputs == UNEVEN_CHANNELS else []
    folds = (Fold(inputs, *pair) for pair in product(_options(down), _options(across)))
    found += [f for f in folds if inputs < f.folded_channels <= BM1684.lanes]

    def price(fold: Fold) -> float:
        engines = fold_cycles(fold, outputs, bias, groups, is_float, by_rows)
        return max(engines) + sum(engines) * SHARED if overlapped else sum(engines)

    best = min(found, key=price, default=plain)
    return best if price(best) < price(plain) else None


def fold_cycles(
    fold: Fold, outputs: int, bias: bool, groups: int, is_float: bool, by_rows: bool = False
) -> tuple[float, float]:
    """Cycles of the tensor unit and of the DMA engine: convolution, copies, and the load of the
    input."""
    height, width = fold.height.folded, fold.width.folded
    convolution = Convolution(
        groups if is_float else groups * BM1684.int8_images_per_word,
        outputs,
        fold.folded_channels,
        size=(height.out, width.out),
        kernel=(height.kernel, width.kernel),
        stride=(height.stride, width.stride),
        bias=bias,
        is_float=is_float,
    )
    cycles = convolution.cycles()
    read = 4 * fold.channels * fold.height.axis.size * fold.width.axis.size
    if by_rows and fold.moves and fold.width.taps == 1:
        folded = 4 * fold.folded_channels * height.size * width.size
        return cycles, groups * (read + folded) / PEAK_BYTES
    loaded = read / (float(LOCAL_BURST) if by_rows else PEAK_BYTES)
    return cycles + groups * _phase_cycles(fold), groups * (loaded + _moved_cycles(fold))


def _moved_cycles(fold: Fold) -> float:
    """Of the DMA engine, which moves all copies but the first to their lanes."""
    copies = fold.height.taps * fold.width.taps - 1
    plane = 4 * fold.height.folded.size * fold.width.folded.size
    filled = fold.idle * 4 * fold.height.axis.size * fold.width.axis.size
    return (copies * fold.channels * plane + filled / 2) / float(LOCAL_BURST)


def _phase_cycles(fold: Fold) -> float:
    """Of the tensor unit, which picks columns, and copies what stays in its lanes."""
    if not fold.moves:
        return 0
    pixels = fold.height.folded.size * fold.width.folded.size
    picked = fold.height.axis.size * fold.width.axis.size if fold.width.step > 1 else 0
    return (pixels + picked) / STEP_PIXELS


def _band_rows(fold: Fold, rows: int) -> int:
    """Folded rows, of ``rows`` in all, that are made from one band of the input."""
    line = lane_rows(fold.channels) * 4 * fold.width.axis.size
    return max(1, min(rows, BAND // (line * fold.height.step)))


def fold_bytes(fold: Fold) -> int:
    """Bytes of each lane, for a group of images, of a band of the input and its picked columns."""
    if not fold.moves:
        return 0
    rows = _band_rows(fold, fold.height.folded.size)
    height = min(fold.height.axis.size, rows * fold.height.step + fold.height.taps)
    width = align(fold.width.axis.size, fold.width.step)
    band = lane_rows(fold.channels) * align(4 * height * width, BM1684.alignment)
    picked = lane_rows(fold.channels) * fold.width.step * BM1684.alignment + band
    return band + (picked if fold.width.step > 1 else 0)


@dataclass(frozen=True)
class Gather:
    """Makes boxes of the folded input of a convolution that reads ``source`` in DDR."""

    b: TileBuilder
    fold: Fold
    source: Source

    def __call__(self, batch: Span, rows: Span, columns: Span) -> SSAValue:
        """The folded input [n, folded channels, h, w] under a box of outputs."""
        b, fold, ref = self.b, self.fold, ref_of(self.source)
        y = fold.height.folded.source(*rows)[:2]
        x = fold.width.folded.source(*columns)[:2]
        shape = (batch[1], fold.folded_channels, y[1], x[1])
        folded = b.local(ref.element, shape, 4, ref.layout.pack)
        self._clear(folded, y, x)
        if not fold.moves:
            (g, gn), (e, en) = fold.height.inside(0, *y), fold.width.inside(0, *x)
            if gn and en:
                at = (fold.height.source(0, g), fold.width.source(0, e))
                extent = (batch[1], fold.channels, gn, en)
                into = b.window(folded, (0, 0, g - y[0], e - x[0]), extent)
                load_box(b, into, self.source, (batch[0], 0, *at), extent)
            return folded
        if isinstance(self.source, FloatStripsAhead) and fold.width.taps == 1:
            self._load_taps(self.source, folded, y, x)
            return folded
        for begin, count in ranges(y[1], _band_rows(fold, y[1])):
            self._fold_band(folded, batch, (y[0], x[0]), ((y[0] + begin, count), x))
        return folded

    def _load_taps(self, source: FloatStripsAhead, folded: SSAValue, y: Span, x: Span) -> None:
        """Loads taps of rows as channels; neighbouring ones that lie in the same rows together."""
        fold, n = self.fold, Ref.of(folded).shape[0]
        e, en = fold.width.inside(0, *x)
        inside = [fold.height.inside(tap, *y) for tap in range(fold.height.taps)]
        tap = 0
        for (g, gn), same in groupby(inside):
            taps = len(list(same))
            if gn and en:
                begin = (0, tap * fold.channels, g - y[0], e - x[0])
                into = self.b.window(folded, begin, (n, taps * fold.channels, gn, en))
                corner = fold.height.source(tap, g), fold.width.source(0, e)
                source.load_taps(self.b, into, corner, taps, fold.height.step)
            tap += taps

    def _clear(self, folded: SSAValue, y: Span, x: Span) -> None:
        """Zeros where the input ends, and in the idle channels."""
        b, fold = self.b, self.fold
        n, c, h, w = Ref.of(folded).shape
        top, bottom = _margins(fold.height, y)
        left, right = _margins(fold.width, x)
        boxes = [
            ((0, 0, 0, 0), (n, c, top, w)),
            ((0, 0, h - bottom, 0), (n, c, bottom, w)),
            ((0, 0, 0, 0), (n, c, h, left)),
            ((0, 0, 0, w - right), (n, c, h, right)),
            ((0, fold.channels, 0, 0), (n, fold.idle, h, w)),
        ]
        for begin, extent in boxes:
            if min(extent):
                b.fill(b.words(b.window(folded, begin, extent)), 0)

    def _fold_band(
        self, folded: SSAValue, batch: Span, origin: tuple[int, int], box: tuple[Span, Span]
    ) -> None:
        """Loads the input under some folded rows and copies it to all lanes."""
        b, fold, ref = self.b, self.fold, ref_of(self.source)
        (r0, rn), (c0, cn) = _input(fold.height, box[0]), _input(fold.width, box[1])
        if rn <= 0 or cn <= 0:
            return
        extent = (batch[1], fold.channels, rn, cn)
        raw = b.local(ref.element, extent, 4, ref.layout.pack)
        load_box(b, raw, self.source, (batch[0], 0, r0, c0), extent)
        raw, step = b.words(raw), fold.width.step
        picked = [raw]
        if step > 1:
            picked = [self._pick(raw, phase) for phase in range(min(step, cn))]
        for channel, down, across in fold.blocks():
            (g, gn), (e, en) = fold.height.inside(down, *box[0]), fold.width.inside(across, *box[1])
            if not gn or not en:
                continue
            row, column = fold.height.source(down, g) - r0, fold.width.source(across, e) - c0
            begin = (0, channel, g - origin[0], e - origin[1])
            into = b.words(b.window(folded, begin, (batch[1], fold.channels, gn, en)))
            if channel == 0:
                steps = (fold.height.step, step)
                b.arith("copy", into, self._every(raw, (row, column), steps, (gn, en)))
            else:
                near = picked[column % step], (row, column // step), (fold.height.step, 1)
                b.copy(into, self._every(*near, (gn, en)))

    def _pick(self, raw: SSAValue, phase: int) -> SSAValue:
        """Every step-th column from one on, side by side."""
        ref, step = Ref.of(raw), self.fold.width.step
        size = (ref.shape[2], -(-(ref.shape[3] - phase) // step))
        picked = self.b.local(ref.element, (*ref.shape[:2], *size), 4)
        return self.b.arith("copy", picked, self._every(raw, (0, phase), (1, step), size))

    def _every(
        self,
        words: SSAValue,
        begin: tuple[int, int],
        steps: tuple[int, int],
        size: tuple[int, int],
    ) -> SSAValue:
        """Rows and columns of local words, with steps in between."""
        ref = Ref.of(words)
        n, c, h, w = ref.layout.strides
        layout = replace(ref.layout, strides=(n, c, h * steps[0], w * steps[1]))
        corner = self.b.window(words, (0, 0, *begin), (*ref.shape[:2], 1, 1))
        return self.b.view(corner, ref.with_(shape=(*ref.shape[:2], *size), layout=layout))


def _margins(axis: AxisFold, box: Span) -> tuple[int, int]:
    """Folded elements at both ends of a box that some tap's copy leaves out."""
    inside = [axis.inside(tap, *box) for tap in range(axis.taps)]
    before = max(min(first - box[0], box[1]) for first, _ in inside)
    after = max(min(max(sum(box) - first - count, 0), box[1]) for first, count in inside)
    return before, after


def _input(axis: AxisFold, box: Span) -> Span:
    """(begin, extent) of the input under folded elements; all of it under all of them, so that a
    tensor that lies in local memory fits."""
    if box == (0, axis.folded.size):
        return 0, axis.axis.size
    begin = max(0, axis.source(0, box[0]))
    end = min(axis.axis.size, axis.source(axis.taps - 1, sum(box) - 1) + 1)
    return begin, end - begin
