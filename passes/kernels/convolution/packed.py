"""The input of a convolution out of plain bytes: taps become channels of words of strips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from xdsl.ir import SSAValue

from dialects.bm1684.cycles.tiu import ceil_div
from dialects.bm1684.layout import Ref, aligned, i32
from dialects.quant.strips import STRIPS
from passes.kernels.builder import TileBuilder
from passes.kernels.convolution.fold import Fold
from passes.kernels.convolution.gather import margins
from passes.kernels.convolution.packing import Packing
from passes.kernels.input_strips.source import StripImage
from passes.kernels.input_strips.transposed import PIXELS, transpose_bytes

Span = tuple[int, int]
Box = tuple[Span, Span]


@dataclass(frozen=True)
class Fetched:
    """What some ``bands`` of rows are made of, words of four pixels, and where they are made."""

    bands: Sequence[Span]
    packed: SSAValue
    folded: SSAValue


@dataclass(eq=False)
class PackedGather:
    """Makes bands of the folded input of a convolution that reads strips of an image.

    Rows are loaded as they are, four pixels a word, and transposed to words of four strips in local
    memory; see :class:`Packing`.
    """

    b: TileBuilder
    packing: Packing
    image: StripImage
    fetched: dict[Box, Fetched] = field(default_factory=dict[Box, Fetched])
    """What was loaded ahead, of the next group of bands, by the box of the first."""
    made: dict[Box, SSAValue] = field(default_factory=dict[Box, SSAValue])

    @property
    def fold(self) -> Fold:
        """What becomes channels."""
        return self.packing.fold

    def __call__(
        self, batch: Span, rows: Span, columns: Span, later: Sequence[Span]
    ) -> SSAValue:
        """The folded input [4, folded channels, h, w] under a box of outputs; ``later``: the rows
        that are asked for next, those of the next group are loaded ahead."""
        height, width = self.fold.height.folded, self.fold.width.folded
        x = width.source(*columns)[:2]
        y, *others = (height.source(*span)[:2] for span in (rows, *later))
        if (y, x) not in self.made:
            group = self.packing.group
            bands, following = [y, *others][:group], [y, *others][group : 2 * group]
            fetched = self.fetched.get((y, x)) or self._fetch(bands, x)
            self.fetched = {(following[0], x): self._fetch(following, x)} if following else {}
            made = self._moved(fetched, x) if self.packing.moves else self._in_place(fetched, x)
            self.made = {(band, x): each for band, each in zip(fetched.bands, made, strict=True)}
        return self.made[y, x]

    def _columns(self, x: Span) -> Span:
        """(begin, extent) of the image's columns under folded ones."""
        axis = self.fold.width
        begin = max(0, axis.source(0, x[0]))
        end = min(axis.axis.size, axis.source(axis.taps - 1, sum(x) - 1) + 1)
        return begin, end - begin

    def _lines(self, y: Span) -> list[range]:
        """The rows of a strip under folded ones, every n-th in neighbouring lanes."""
        first, step = self.fold.height.source(0, y[0]), self.fold.height.step
        rows = (y[1] - 1) * step + self.fold.height.taps
        return [range(first + i, first + rows, step) for i in range(min(step, rows))]

    def _fetch(self, bands: Sequence[Span], x: Span) -> Fetched:
        """Loads what some bands are made of."""
        b, fold, columns = self.b, self.fold, self._columns(x)
        rows, channels = max(count for _, count in bands), fold.folded_channels * len(bands)
        folded = b.local(self.image.ref.element, (STRIPS, channels, rows, x[1]), 4, STRIPS)
        words = ceil_div(columns[1], PIXELS)
        if self.packing.moves:
            (y,), lane = bands, 0
            lines = self._lines(y)
            packed = b.local(i32, (STRIPS, sum(map(len, lines)), fold.channels, words))
            for line in lines:
                box = (STRIPS, len(line), fold.channels, words)
                into = b.window(packed, (0, lane, 0, 0), box)
                self.image.load_packed(b, into, line, columns, in_lanes=True)
                lane += len(line)
        else:
            packed = b.local(i32, (STRIPS, channels, rows, words))
            for i, y in enumerate(bands):
                box = (STRIPS, fold.folded_channels, rows, words)
                self._load(b.window(packed, (0, i * box[1], 0, 0), box), y, columns)
        left, right = margins(fold.width, x)
        for begin, width in ((0, left), (x[1] - right, right)):
            if width:
                outside = (STRIPS, channels, rows, width)
                b.fill(b.words(b.window(folded, (0, 0, 0, begin), outside)), 0)
        return Fetched(bands, packed, folded)

    def _words(self, packed: SSAValue) -> SSAValue:
        """What was loaded, as words of strips."""
        _, c, h, w = Ref.of(packed).shape
        words = self.b.local(i32, (1, c, h, PIXELS * w))
        transpose_bytes(self.b, words, packed)
        return words

    def _load(self, packed: SSAValue, y: Span, columns: Span) -> None:
        """Loads the rows under the taps of a band. Zeros are outside of the strips."""
        b, fold, width = self.b, self.fold, Ref.of(packed).shape[3]
        for tap in range(fold.height.taps):
            lane = tap * fold.channels
            first, step = fold.height.source(tap, y[0]), fold.height.step
            into = b.window(packed, (0, lane, 0, 0), (STRIPS, fold.channels, y[1], width))
            self.image.load_packed(b, into, range(first, first + y[1] * step, step), columns)

    def _in_place(self, fetched: Fetched, x: Span) -> list[SSAValue]:
        """Bands in the lanes to which the rows under their taps were loaded."""
        b, lanes, (e, en) = self.b, self.fold.folded_channels, self.fold.width.inside(0, *x)
        folded, (_, channels, rows, _) = fetched.folded, Ref.of(fetched.packed).shape
        box = (1, channels, rows, en)
        into = b.window(b.words(folded), (0, 0, 0, e - x[0]), box)
        if en % PIXELS:
            b.arith("copy", into, b.window(self._words(fetched.packed), (0, 0, 0, 0), box))
        else:
            transpose_bytes(b, into, fetched.packed)
        made: list[SSAValue] = []
        for i, y in enumerate(fetched.bands):
            shape = (STRIPS, lanes, y[1], x[1])
            part = b.window(folded, (0, i * lanes, 0, 0), shape)
            ref = Ref.of(part)
            layout = aligned(shape, 4, STRIPS, ref.place.lane)
            made.append(b.view(part, ref.with_(layout=layout)))
        return made

    def _moved(self, fetched: Fetched, x: Span) -> list[SSAValue]:
        """A band whose rows lie in the lanes, from where they move to the lanes of their
        channels."""
        b, fold, (y,) = self.b, self.fold, fetched.bands
        lines, begin = self._lines(y), self._columns(x)[0]
        lanes = [sum(map(len, lines[:i])) for i in range(len(lines))]
        phases = self._phases(self._words(fetched.packed))
        folded = b.words(fetched.folded)
        for channel, down, across in fold.blocks():
            e, en = fold.width.inside(across, *x)
            column, phase = divmod(fold.width.source(across, e) - begin, fold.width.step)
            index, line = divmod(down, fold.height.step)
            for c in range(fold.channels if en else 0):
                source = (0, lanes[line] + index, c, column)
                into = b.window(folded, (0, channel + c, 0, e - x[0]), (1, 1, y[1], en))
                b.copy(into, b.window(phases[phase], source, (1, y[1], 1, en)))
        return [fetched.folded]

    def _phases(self, words: SSAValue) -> list[SSAValue]:
        """Every n-th column, from each of the first n on."""
        b, step, ref = self.b, self.fold.width.step, Ref.of(words)
        if step == 1:
            return [words]
        n, c, h, w = ref.layout.strides
        found: list[SSAValue] = []
        for phase in range(min(step, ref.shape[3])):
            shape = (*ref.shape[:3], ceil_div(ref.shape[3] - phase, step))
            every = ref.with_(shape=shape, layout=replace(ref.layout, strides=(n, c, h, w * step)))
            picked = b.local(ref.element, shape)
            found.append(b.arith("copy", picked, b.view(words, every, 4 * w * phase)))
        return found
