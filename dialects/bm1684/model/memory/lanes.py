"""Tensors in local memory: channel c of a tensor lies in lane (start lane + c) % 64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike

from dialects.bm1684.chip import BM1684
from dialects.bm1684.model.errors import ModelError, limit_elements
from dialects.bm1684.model.memory.access import Access, Space
from dialects.bm1684.model.memory.npu import Array, Bytes

LANES = BM1684.lanes
LANE_BYTES = BM1684.lane_bytes
ALL_LANES = (1 << LANES) - 1

Shape = tuple[int, int, int, int]


def round_up(value: int, step: int) -> int:
    """The smallest multiple of ``step`` that is not below ``value``."""
    return -(-value // step) * step


def lane_rows(lane: int, channels: int) -> int:
    """Rows of 64 lanes that ``channels`` channels from ``lane`` on take."""
    return -(-(lane + channels) // LANES)


def aligned_strides(lane: int, shape: Shape, unit: int) -> Shape:
    """The strides of the aligned form: the channel stride is a multiple of 128 bytes."""
    return _dense_strides(lane, shape, round_up(shape[2] * shape[3], BM1684.alignment // unit))


def compact_strides(lane: int, shape: Shape) -> Shape:
    """The strides of the compact form: channels without gaps."""
    return _dense_strides(lane, shape, shape[2] * shape[3])


def _dense_strides(lane: int, shape: Shape, row: int) -> Shape:
    return (lane_rows(lane, shape[1]) * row, row, shape[3], 1)


@lru_cache(maxsize=4096)
def _pieces(lane: int, channels: int) -> tuple[tuple[int, int, int, int, int], ...]:
    """Rectangles (first channel, row, rows, lane, lanes) that cover the channels."""
    pieces: list[tuple[int, int, int, int, int]] = []
    channel, row = 0, 0
    if lane:
        count = min(LANES - lane, channels)
        pieces.append((0, 0, 1, lane, count))
        channel, row = count, 1
    whole, rest = divmod(channels - channel, LANES)
    if whole:
        pieces.append((channel, row, whole, 0, LANES))
    if rest:
        pieces.append((channel + whole * LANES, row + whole, 1, 0, rest))
    return tuple(pieces)


@dataclass(frozen=True, slots=True)
class LaneTensor:
    """A tensor [n, c, h, w] in local memory.

    Storage unit (n // pack, c, h, w) is at byte ``offset`` + ``unit`` * (n // pack * strides[0] +
    row * strides[1] + h * strides[2] + w * strides[3]) of its lane; image n is the (n % pack)-th
    element of the unit. Only lanes whose bit is set in ``mask`` are written.
    """

    name: str
    lane: int
    offset: int
    unit: int
    pack: int
    shape: Shape
    strides: Shape
    mask: int = ALL_LANES

    def __post_init__(self) -> None:
        limit_elements(self.name, *self.shape)
        if self.stop > LANE_BYTES:
            raise ModelError(
                f"{self.name} reaches byte {self.stop:#x} of a lane that has {LANE_BYTES:#x}: "
                f"its address, sizes or strides are too large"
            )

    @property
    def stop(self) -> int:
        """The first byte of a lane behind the tensor."""
        n, c, h, w = self.shape
        last = (-(-n // self.pack) - 1, lane_rows(self.lane, c) - 1, h - 1, w - 1)
        steps = sum(i * stride for i, stride in zip(last, self.strides, strict=True))
        return self.offset + self.unit * (steps + 1)

    def access(self, write: bool) -> Access:
        """The bytes from the first to the last element, in every lane it touches."""
        wraps = self.lane + self.shape[1] > LANES
        first, count = (0, LANES) if wraps else (self.lane, self.shape[1])
        return Access(Space.LMEM, first, count, self.offset, self.stop, write)

    def read(self, memory: Bytes, dtype: DTypeLike) -> Array:
        """The elements as an array [n, c, h, w]; packed images are innermost in memory."""
        n, c, h, w = self.shape
        if self.pack == 1:
            out = np.empty(self.shape, dtype)
        else:
            out = np.empty((c, h, w, n), dtype).transpose(3, 0, 1, 2)
        self.read_into(memory, out, dtype)
        return out

    def read_into(self, memory: Bytes, out: Array, dtype: DTypeLike) -> None:
        """Copy the elements of type ``dtype`` into ``out`` [n, c, h, w], converting them."""
        for images, channels, _, view in self._blocks(memory, dtype):
            out[images, channels].reshape(view.shape)[...] = view

    def write(self, memory: Bytes, data: Array) -> None:
        """Store ``data`` [n, c, h, w]; no byte beside the elements changes."""
        for images, channels, lane, view in self._blocks(memory, data.dtype):
            block = data[images, channels].reshape(view.shape)
            if self.mask == ALL_LANES:
                view[...] = block
            else:
                on = [self.mask >> (lane + i) & 1 == 1 for i in range(view.shape[3])]
                view[:, :, :, on] = block[:, :, :, on]

    def _blocks(
        self, memory: Bytes, dtype: DTypeLike
    ) -> Iterator[tuple[slice, slice, int, Array]]:
        """(images, channels, first lane, view [groups, images, rows, lanes, h, w])."""
        n, c, h, w = self.shape
        size, pack = self.unit, self.pack
        ns, cs, hs, ws = (stride * size for stride in self.strides)
        whole, rest = divmod(n, pack)
        for first, groups, images in ((0, whole, pack), (whole, 1, rest)):
            if groups * images == 0:
                continue
            for channel, row, rows, lane, lanes in _pieces(self.lane, c):
                view: Array = np.ndarray(
                    (groups, images, rows, lanes, h, w),
                    dtype,
                    memory,
                    lane * LANE_BYTES + self.offset + first * ns + row * cs,
                    (ns, size // pack, cs, LANE_BYTES, hs, ws),
                )
                start = first * pack
                yield (
                    slice(start, start + groups * images),
                    slice(channel, channel + rows * lanes),
                    lane,
                    view,
                )
