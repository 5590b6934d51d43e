"""The sliding window of convolution and pooling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from dialects.bm1684.isa import Instruction
from dialects.bm1684.model.errors import limit_elements
from dialects.bm1684.model.memory.lanes import LaneTensor
from dialects.bm1684.model.memory.npu import Array, Bytes

BLOCK_BYTES = 4 << 20
"""Size of one block of columns: about what a core's cache holds."""


@dataclass(frozen=True, slots=True)
class Window:
    """Pairs are (vertical, horizontal). ``insert`` counts zeros between input elements."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    insert: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]
    output: tuple[int, int]

    @staticmethod
    def of(inst: Instruction) -> Window:
        """The window of a conv, depthwise or pooling instruction."""
        return Window(
            kernel=(inst["opd1_h"], inst["opd1_w"]),
            stride=(inst["res_op_y_str"], inst["res_op_x_str"]),
            dilation=(inst["opd1_y_ins0"] + 1, inst["opd1_x_ins0"] + 1),
            insert=(inst["opd0_y_ins0"], inst["opd0_x_ins0"]),
            before=(inst["opd0_up_pad"], inst["opd0_lf_pad"]),
            after=(inst["opd0_dn_pad"], inst["opd0_rt_pad"]),
            output=(inst["res0_h"], inst["res0_w"]),
        )

    @property
    def trivial(self) -> bool:
        """Whether the window is one element and never skips one."""
        return self.kernel == self.stride == (1, 1)

    def span(self, axis: int, tap: int, first: int = 0, count: int | None = None) -> slice:
        """Padded input positions that tap ``tap`` meets in outputs ``first`` and following."""
        count = self.output[axis] if count is None else count
        start = tap * self.dilation[axis] + first * self.stride[axis]
        return slice(start, start + (count - 1) * self.stride[axis] + 1, self.stride[axis])

    def padded(
        self, x: LaneTensor, memory: Bytes, dtype: DTypeLike, out: DTypeLike, fill: float
    ) -> Array:
        """The input [n, c, h, w] with zeros inserted and ``fill`` around it, converted to ``out``.

        Images are innermost in memory when the input packs them.
        """
        n, c, h, w = x.shape
        extent: list[int] = []
        inner: list[slice] = []
        for axis, size in enumerate((h, w)):
            spread = (size - 1) * (self.insert[axis] + 1) + 1
            extent.append(self.before[axis] + spread + self.after[axis])
            inner.append(
                slice(self.before[axis], self.before[axis] + spread, self.insert[axis] + 1)
            )
        limit_elements("the padded input opd0", n, c, *extent)
        if x.pack > 1:
            buffer = np.full((c, *extent, n), fill, out).transpose(3, 0, 1, 2)
        else:
            buffer = np.full((n, c, *extent), fill, out)
        x.read_into(memory, buffer[:, :, inner[0], inner[1]], dtype)
        return buffer

    def taps(self, x: Array) -> Iterator[tuple[int, int, Array]]:
        """(row, column, view [n, c, oh, ow] of the padded input) for every tap of the kernel."""
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                yield i, j, x[:, :, self.span(0, i), self.span(1, j)]

    def columns(self, x: Array, outputs: int) -> Iterator[tuple[slice, Array]]:
        """Blocks of output rows and their inputs [taps * c, rows * ow * n].

        ``x`` is the padded input as [c, h, w, n]; rows of a block are ordered (tap, channel).
        Blocks are so small that they and their ``outputs`` channels of results stay in the cache.
        """
        c, _, _, n = x.shape
        height, width = self.output
        kh, kw = self.kernel
        depth = kh * kw * c
        limit_elements("one row of windows of opd0", depth, width, n)
        size = x.itemsize * max(depth, outputs) * width * n
        rows = max(1, min(height, BLOCK_BYTES // size))
        plain = self.trivial and x.shape[2] == width
        for first in range(0, height, rows):
            count = min(rows, height - first)
            if plain:
                block = x[:, first : first + count]
            else:
                block = np.empty((kh, kw, c, count, width, n), x.dtype)
                for i in range(kh):
                    for j in range(kw):
                        block[i, j] = x[:, self.span(0, i, first, count), self.span(1, j)]
            yield slice(first, first + count), block.reshape(depth, -1)
