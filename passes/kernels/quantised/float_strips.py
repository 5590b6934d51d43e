"""Floats of an image in DDR as the words of its strips, in local memory."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.layout import DDR, Layout, Ref, contiguous, i32
from dialects.quant import types
from dialects.quant.strips import QuantizeStripsOp
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.pointwise import MAGIC, clamped
from passes.kernels.quantised.rows import Span, runs, strips_with


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

    def fetch(self, b: TileBuilder, rows: Span, channels: Span) -> SSAValue:
        """Loads the floats of some rows, [strips, rows, channels, W], of as many strips as have any
        of them in the image; zeros are those outside."""
        (begin, count), (c0, cn) = rows, channels
        _, channel, line, _ = Ref.of(self.image).layout.strides
        width, height = self.ref.shape[3], types.shape_of(self.op.x)[2]
        above = self.op.above.value.data
        present = [strips_with(begin + row, self.op.rows, above, height) for row in range(count)]
        strips = max(1, *(last for _, last in present))
        floats = b.local(f32, (strips, count, cn, width))
        far = Layout(4, 1, (self.op.rows * line, line, channel, 1))
        for run, (first, last) in runs(present):
            for k, missing in ((0, first), (last, strips - last)):
                if missing:
                    outside = (missing, len(run), cn, width)
                    b.fill(b.window(floats, (k, run.start, 0, 0), outside), 0)
            if first == last:
                continue
            box = (last - first, len(run), cn, width)
            row = first * self.op.rows + begin + run.start - above
            source = Ref(f32, box, far, DDR)
            at = 4 * (c0 * channel + row * line)
            b.load(b.window(floats, (first, run.start, 0, 0), box), b.view(self.image, source, at))
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
