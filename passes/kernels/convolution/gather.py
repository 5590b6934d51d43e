"""The input of a folded convolution: loaded and copied to the lanes of its taps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from xdsl.ir import SSAValue

from dialects.bm1684.layout import Ref
from passes.kernels.builder import TileBuilder
from passes.kernels.convolution.fold import AxisFold, Fold, rows_at_once
from passes.kernels.input_strips.ahead import FloatStripsAhead
from passes.kernels.input_strips.source import Source, load_box, ref_of
from passes.kernels.tiling import ranges

Span = tuple[int, int]


@dataclass(frozen=True)
class Gather:
    """Makes boxes of the folded input of a convolution that reads ``source`` in DDR."""

    b: TileBuilder
    fold: Fold
    source: Source

    def __call__(
        self, batch: Span, rows: Span, columns: Span, later: Sequence[Span] = ()
    ) -> SSAValue:
        """The folded input [n, folded channels, h, w] under a box of outputs."""
        b, fold, ref = self.b, self.fold, ref_of(self.source)
        y = fold.height.folded.source(*rows)[:2]
        x = fold.width.folded.source(*columns)[:2]
        shape = (batch[1], fold.folded_channels, y[1], x[1])
        folded = b.local(ref.element, shape, 4, ref.layout.pack)
        self._clear(folded, y, x)
        if fold.direct:
            if isinstance(self.source, FloatStripsAhead):
                self._load_tap_rows(self.source, folded, y, x)
            else:
                self._load_taps(folded, batch, y, x)
            return folded
        if not fold.moves:
            (g, gn), (e, en) = fold.height.inside(0, *y), fold.width.inside(0, *x)
            if gn and en:
                at = (fold.height.source(0, g), fold.width.source(0, e))
                extent = (batch[1], fold.channels, gn, en)
                into = b.window(folded, (0, 0, g - y[0], e - x[0]), extent)
                load_box(b, into, self.source, (batch[0], 0, *at), extent)
            return folded
        for begin, count in ranges(y[1], rows_at_once(fold, y[1])):
            self._fold_band(folded, batch, (y[0], x[0]), ((y[0] + begin, count), x))
        return folded

    def _load_tap_rows(self, source: FloatStripsAhead, folded: SSAValue, y: Span, x: Span) -> None:
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
        top, bottom = margins(fold.height, y)
        left, right = margins(fold.width, x)
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

    def _load_taps(self, folded: SSAValue, batch: Span, y: Span, x: Span) -> None:
        """Loads the rows under each tap to lanes of their own."""
        b, fold, source = self.b, self.fold, self.source
        assert isinstance(source, SSAValue)
        step = fold.height.step
        for channel, down, across in fold.blocks():
            (g, gn), (e, en) = fold.height.inside(down, *y), fold.width.inside(across, *x)
            if not gn or not en:
                continue
            extent = (batch[1], fold.channels, gn, en)
            at = fold.height.source(down, g), fold.width.source(across, e)
            corner = b.window(source, (batch[0], 0, *at), (batch[1], fold.channels, 1, en))
            ref = Ref.of(corner)
            n, c, h, w = ref.layout.strides
            rows = ref.with_(shape=extent, layout=replace(ref.layout, strides=(n, c, h * step, w)))
            b.load(b.window(folded, (0, channel, g - y[0], e - x[0]), extent), b.view(corner, rows))

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


def margins(axis: AxisFold, box: Span) -> tuple[int, int]:
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
