"""Floats of an image in DDR as the words of its strips, in local memory."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import DDR, Layout, Ref, contiguous, i32
from dialects.quant import types
from dialects.quant.strips import STRIPS, QuantizeStripsOp
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.input_strips.rows import Span, runs, strips_with
from passes.kernels.pointwise import MAGIC, clamped, rounded


@dataclass(frozen=True)
class FloatStrips:
    """The strips [4, C, above + rows + below, W] of the 8-bit image of floats in ``image``.

    They are quantised with the rows in the lanes, so that an image of few channels keeps many of
    them busy. Zeros lie outside of the image.
    """

    op: QuantizeStripsOp
    image: SSAValue

    @property
    def ref(self) -> Ref:
        """What the op would make."""
        n, c, h, w = types.shape_of(self.op.y)
        element = types.tensor_type(self.op.y).element_type
        return Ref(element, (n, c, h, w), contiguous((n, c, h, w), 4, 4), DDR)

    def make(self, b: TileBuilder, rows: Span, channels: Span) -> SSAValue:
        """Words [1, rows, channels, W], a strip a byte. A strip is loaded while the one before it
        is quantised."""
        (_, count), (_, cn), width = rows, channels, self.ref.shape[3]
        present = self._present(rows)
        words = b.local(i32, (1, count, cn, width))
        if any(first for first, _ in present) or not all(last for _, last in present):
            b.fill(words, 0)
        for k in range(STRIPS):
            inside = [row for row, (first, last) in enumerate(present) if first <= k < last]
            if not inside:
                continue
            box = (1, len(inside), cn, width)
            x = b.local(f32, box, lane=inside[0] % BM1684.lanes)
            self._load(b, x, (k, rows[0] + inside[0]), channels[0])
            bits = rounded(b, x, types.scale_of(self.op.y) or 1.0, types.is_unsigned(self.op.y))
            into = b.window(words, (0, inside[0], 0, 0), box)
            if k == 0 and len(inside) == count:
                b.arith("and", into, bits, 255)
                continue
            b.arith("and", bits, bits, 255)
            b.arith("or", into, into, b.arith("shift", bits, bits, 8 * k) if k else bits)
        return words

    def _present(self, rows: Span) -> list[Span]:
        """The strips, (first, last + 1), that have each of some rows in the image."""
        height, above = types.shape_of(self.op.x)[2], self.op.above.value.data
        return [strips_with(rows[0] + row, self.op.rows, above, height) for row in range(rows[1])]

    def _load(self, b: TileBuilder, dst: SSAValue, corner: tuple[int, int], channel: int) -> None:
        """Loads [strips, rows, channels, W] from a strip and its row on."""
        _, plane, line, _ = Ref.of(self.image).layout.strides
        row = corner[0] * self.op.rows + corner[1] - self.op.above.value.data
        far = Layout(4, 1, (self.op.rows * line, line, plane, 1))
        source = Ref(f32, Ref.of(dst).shape, far, DDR)
        b.load(dst, b.view(self.image, source, 4 * (channel * plane + row * line)))

    def fetch(self, b: TileBuilder, rows: Span, channels: Span) -> SSAValue:
        """Loads the floats of some rows, [strips, rows, channels, W], of as many strips as have any
        of them in the image; zeros are those outside."""
        (begin, count), (c0, cn) = rows, channels
        present, width = self._present(rows), self.ref.shape[3]
        strips = max(1, *(last for _, last in present))
        floats = b.local(f32, (strips, count, cn, width))
        for run, (first, last) in runs(present):
            for k, missing in ((0, first), (last, strips - last)):
                if missing:
                    outside = (missing, len(run), cn, width)
                    b.fill(b.window(floats, (k, run.start, 0, 0), outside), 0)
            if first == last:
                continue
            box = (last - first, len(run), cn, width)
            into = b.window(floats, (first, run.start, 0, 0), box)
            self._load(b, into, (first, begin + run.start), c0)
        return floats

    def quantise(self, b: TileBuilder, floats: SSAValue) -> SSAValue:
        """What was fetched as words [1, rows, channels, W], a strip a byte.

        A rounded number, 128 more where it has a sign, is the low byte of the sum with MAGIC; the
        bits above are known, so that shifts and exclusive ors put bytes together.
        """
        strips, *box = Ref.of(floats).shape
        unsigned = types.is_unsigned(self.op.y)
        clamped(b, floats, types.scale_of(self.op.y) or 1.0, unsigned)
        b.scalar("add", floats, floats, MAGIC + (0 if unsigned else 128))
        bits = b.view(floats, Ref.of(floats).with_(element=i32))

        def some(first: int, count: int) -> SSAValue:
            return b.window(bits, (first, 0, 0, 0), (count, *box))

        known = [float_bits(MAGIC)] * strips
        if strips > 2:
            high, low = some(2, strips - 2), some(0, strips - 2)
            b.arith("xor", low, low, b.arith("shift", high, high, 16))
            known = [known[k] ^ (known[k] << 16 if k + 2 < strips else 0) for k in (0, 1)]
        if strips > 1:
            b.arith("xor", some(0, 1), some(0, 1), b.arith("shift", some(1, 1), some(1, 1), 8))
            known[0] ^= known[1] << 8
        signs = 0 if unsigned else 0x80808080 & ((1 << 8 * strips) - 1)
        words = b.local(i32, (1, *box))
        return b.arith("xor", words, some(0, 1), (known[0] ^ signs) & 0xFFFFFFFF)
