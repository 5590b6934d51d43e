"""Strips of an image in DDR, of plain bytes or of floats, read as they are needed: nothing makes
them beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Layout, Ref, contiguous, si8
from dialects.quant import types
from dialects.quant.strips import STRIPS, QuantizeStripsOp, SplitStripsOp
from passes.kernels.builder import TileBuilder, four
from passes.kernels.input_strips.ahead import FloatStripsAhead
from passes.kernels.input_strips.float_strips import FloatStrips
from passes.kernels.input_strips.rows import runs, strips_with
from passes.kernels.tiling import ranges

BYTES_A_WORD = 4
FEW_CHANNELS = 4
"""Up to so many channels of a single strip are loaded one by one."""
Span = tuple[int, int]


@dataclass(frozen=True)
class StripImage:
    """The strips [4, C, above + rows + below, W] of an image of ``height`` rows whose bytes lie in
    ``image``. ``rows``: of a strip without its halo; ``fill``: the byte outside of the image."""

    image: SSAValue
    ref: Ref
    rows: int
    above: int
    height: int
    fill: int

    @staticmethod
    def of(op: SplitStripsOp, image: SSAValue) -> StripImage:
        """What the op would make of plain bytes."""
        shape = types.shape_of(op.y)
        n, c, h, w = shape
        above, below = op.above.value.data, op.below.value.data
        ref = Ref(types.tensor_type(op.y).element_type, (n, c, h, w), contiguous(shape, 4, 4), DDR)
        height = types.shape_of(op.x)[2]
        return StripImage(image, ref, h - above - below, above, height, op.fill.value.data & 255)

    @property
    def is_packable(self) -> bool:
        """Whether its pixels may come four a word: channels lie in as many lanes, and zeros are
        outside."""
        return not self.fill and self.ref.shape[1] <= BM1684.lanes

    def load(
        self, b: TileBuilder, dst: SSAValue, begin: Sequence[int], extent: Sequence[int]
    ) -> None:
        """Loads a box of all four strips to words in local memory: rows of bytes to every fourth
        byte. Rows outside of the image hold ``fill``."""
        _, c0, y0, x0 = begin
        _, channels, count, width = extent
        present = (
            strips_with(y0 + row, self.rows, self.above, self.height) for row in range(count)
        )
        for rows, (first, last) in runs(list(present)):
            box = b.window(dst, (0, 0, rows.start, 0), (STRIPS, channels, len(rows), width))
            if last - first < STRIPS:
                b.fill(b.words(box), self.fill * 0x01010101)
            # A single strip of several channels opens many pages of DDR by the vendor's formula.
            each = 1 if last - first == 1 and channels <= FEW_CHANNELS else channels
            for c, cn in ranges(channels, each) if last > first else ():
                part = b.window(box, (0, c, 0, 0), (STRIPS, cn, len(rows), width))
                corner = first * self.rows + y0 + rows.start - self.above, x0
                self._load_bytes(b, part, (first, last), c0 + c, corner)

    def load_packed(
        self,
        b: TileBuilder,
        dst: SSAValue,
        lines: range,
        columns: Span,
        *,
        in_lanes: bool = False,
    ) -> None:
        """Loads some rows of all four strips to words of four pixels each, [4, C, rows, w], or
        ``in_lanes`` [4, rows, C, w]; (begin, extent) of the columns. Zeros are outside of the
        image."""
        n, axis, shape = STRIPS, 1 if in_lanes else 2, list(Ref.of(dst).shape)

        def box(strip: int, strips: int, rows: range) -> SSAValue:
            begin, extent = [strip, 0, 0, 0], [strips, *shape[1:]]
            begin[axis], extent[axis] = rows.start, len(rows)
            return b.window(dst, begin, extent)

        for rows, (first, last) in runs([self._strips_with(row) for row in lines]):
            for k, missing in ((0, first), (last, n - last)):
                if missing:
                    b.fill(box(k, missing, rows), 0)
            if first < last:
                into, row = box(first, last - first, rows), lines[rows.start]
                corner = first * self.rows + row - self.above, columns[0]
                self._load_pixels(b, into, columns[1], corner, lines.step, in_lanes)

    def _strips_with(self, row: int) -> Span:
        """The strips that have a row of the image there; none behind their last row."""
        if not 0 <= row < self.ref.shape[2]:
            return 0, 0
        return strips_with(row, self.rows, self.above, self.height)

    def _load_pixels(
        self,
        b: TileBuilder,
        dst: SSAValue,
        width: int,
        corner: tuple[int, int],
        step: int,
        in_lanes: bool,
    ) -> None:
        """Loads every ``step``-th row of some strips, all channels, from a row and column on."""
        ref, (_, plane, line, _) = Ref.of(dst), Ref.of(self.image).layout.strides
        n, c, h, _ = (BYTES_A_WORD * stride for stride in ref.layout.strides)
        apart = (step * line, plane) if in_lanes else (plane, step * line)
        shape = four((*ref.shape[:3], width))
        source = Ref(si8, shape, Layout(1, 1, (self.rows * line, *apart, 1)), DDR)
        b.load(
            b.view(dst, Ref(si8, shape, Layout(1, 1, (n, c, h, 1)), ref.place)),
            b.view(self.image, source, corner[0] * line + corner[1]),
        )

    def _load_bytes(
        self, b: TileBuilder, dst: SSAValue, strips: Span, channel: int, corner: tuple[int, int]
    ) -> None:
        """Loads some strips' bytes of the words of ``dst``, from a row and column on."""
        first, last = strips
        far, ref = Ref.of(self.image).layout.strides, Ref.of(dst)
        c, h, w = (BYTES_A_WORD * step for step in ref.layout.strides[1:])
        shape = (last - first, *ref.shape[1:])
        source = Layout(1, 1, (self.rows * far[2], far[1], far[2], 1))
        at = channel * far[1] + corner[0] * far[2] + corner[1]
        b.load(
            b.view(dst, Ref(si8, shape, Layout(1, 1, (1, c, h, w)), ref.place), first),
            b.view(self.image, Ref(si8, shape, source, DDR), at),
        )


Source = SSAValue | StripImage | FloatStripsAhead
"""What a window reads: a tensor in DDR, or strips that nobody makes beforehand."""


def source_of(x: SSAValue, source: SSAValue) -> Source:
    """What a window reads as x: ``source``, or the strips of the image that lies there."""
    made, ref = x.owner, Ref.of(source)
    if isinstance(made, SplitStripsOp) and ref.layout.pack == 1:
        return StripImage.of(made, source)
    if isinstance(made, QuantizeStripsOp) and ref.element == f32:
        return FloatStripsAhead(FloatStrips(made, source))
    return source


def ref_of(source: Source) -> Ref:
    """The shape, the elements and the layout."""
    return Ref.of(source) if isinstance(source, SSAValue) else source.ref


def load_box(
    b: TileBuilder, dst: SSAValue, source: Source, begin: Sequence[int], extent: Sequence[int]
) -> None:
    """Loads a box of a source."""
    if isinstance(source, SSAValue):
        b.load(dst, b.window(source, begin, extent))
    else:
        source.load(b, dst, begin, extent)


def is_input(b: TileBuilder, source: Source) -> bool:
    """Whether it lies in an input of the network."""
    if isinstance(source, FloatStripsAhead):
        return b.is_input(source.strips.image)
    return b.is_input(source.image if isinstance(source, StripImage) else source)


def lane_of(b: TileBuilder, source: Source) -> int:
    """The lane where a tensor begins: see :meth:`TileBuilder.lane`."""
    return b.lane(source) if isinstance(source, SSAValue) else 0
