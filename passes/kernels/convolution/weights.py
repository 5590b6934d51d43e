"""Weights as the engines read them: one block of words per lane, weights first, then the bias.

Output channel o of a chunk lies in lane o % 64; a lane holds the rows o // 64 one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import (
    Layout,
    Order,
    Place,
    Ref,
    Space,
    align,
    i32,
    lane_rows,
    si8,
    si16,
)
from passes.kernels.builder import TileBuilder

Array = NDArray[Any]


@dataclass(frozen=True)
class WeightForm:
    """How a kind of convolution stores its weights.

    unit: bytes of a storage unit; pack: input channels in it; element: IR type; depthwise kernels
    have one input channel and unpadded rows. Winograd weights have the rows of one storage unit's
    input channels side by side.
    """

    unit: int
    pack: int
    dtype: type[np.generic]
    bias_dtype: type[np.generic]
    depthwise: bool = False
    winograd: bool = False

    def row_units(self, inputs: int, taps: int) -> int:
        """Units of one output channel."""
        return taps * (1 if self.depthwise else -(-inputs // self.pack))

    def row_bytes(self, inputs: int, taps: int, bias: bool) -> int:
        """Bytes of one row of 64 output channels in each lane, bias included."""
        return self.row_units(inputs, taps) * self.unit + (
            np.dtype(self.bias_dtype).itemsize if bias else 0
        )


CONV_INT8 = WeightForm(4, 4, np.int8, np.int16)
CONV_FLOAT = WeightForm(8, 2, np.float32, np.float32)
DEPTHWISE_INT8 = WeightForm(1, 1, np.int8, np.int16, depthwise=True)
DEPTHWISE_FLOAT = WeightForm(4, 1, np.float32, np.float32, depthwise=True)
WINOGRAD_INT8 = WeightForm(4, 4, np.int8, np.int16, winograd=True)
WINOGRAD_FLOAT = WeightForm(4, 1, np.float32, np.float32, winograd=True)


def _per_lane(rows: Array, lane: int) -> Array:
    """[channels, bytes] to [lanes, rows * bytes]: channel o goes to lane (lane + o) % 64. Of a
    single row of lanes only those that are used."""
    count = rows.shape[0]
    total = lane_rows(count, lane) * BM1684.lanes
    padded = np.zeros((total, rows.shape[1]), np.uint8)
    padded[lane : lane + count] = rows
    split = padded.reshape(-1, BM1684.lanes, rows.shape[1]).transpose(1, 0, 2)
    used = slice(lane, lane + count) if total == BM1684.lanes else slice(None)
    return split.reshape(BM1684.lanes, -1)[used]


def _bytes(rows: Array) -> Array:
    return np.ascontiguousarray(rows).view(np.uint8).reshape(rows.shape[0], -1)


def pack_weights(
    form: WeightForm, weight: Array, bias: Array | None, lane: int = 0
) -> tuple[Array, int]:
    """([lanes, words] uint32, byte offset of the bias in each lane) for weight [O, I, kh, kw] from
    a lane on."""
    outputs, inputs, kh, kw = weight.shape
    groups = 1 if form.depthwise else -(-inputs // form.pack)
    kernel = np.zeros((outputs, kh, kw, groups * form.pack), form.dtype)
    kernel[..., :inputs] = weight.transpose(0, 2, 3, 1)
    block = _per_lane(_bytes(kernel), lane)
    if form.winograd:
        rows = lane_rows(outputs, lane)
        parts = block.reshape(len(block), rows, kh * kw, groups, form.unit)
        block = parts.transpose(0, 3, 1, 2, 4).reshape(len(block), -1)
    block = np.pad(block, ((0, 0), (0, -block.shape[1] % 4)))
    offset = block.shape[1]
    if bias is not None:
        tail = _per_lane(_bytes(bias.astype(form.bias_dtype).reshape(-1, 1)), lane)
        block = np.concatenate([block, np.pad(tail, ((0, 0), (0, -tail.shape[1] % 4)))], axis=1)
    return np.ascontiguousarray(block).view(np.uint32), offset


def load_weights(
    b: TileBuilder, form: WeightForm, weight: Array, bias: Array | None, lane: int = 0
) -> tuple[SSAValue, SSAValue | None]:
    """Loads the weights and bias of a chunk of output channels, whose results begin in a lane, in
    one transfer; returns their memrefs.
    """
    outputs, inputs, kh, kw = weight.shape
    words, offset = pack_weights(form, weight, bias, lane)
    buffer = load_words(b, words, lane if len(words) < BM1684.lanes else 0)
    place, rows = Place(Space.LMEM, lane), lane_rows(outputs, lane)
    groups = 1 if form.depthwise else -(-inputs // form.pack)
    strides = (form.row_units(inputs, kh * kw), 1, kw * groups, groups)
    if form.winograd:
        strides = (kh * kw, rows * kh * kw, kw, 1)
    element = f32 if form.dtype is np.float32 else si8
    layout = Layout(form.unit, form.pack, strides, Order.WEIGHTS)
    kernel = b.view(buffer, Ref(element, (outputs, inputs, kh, kw), layout, place))
    if bias is None:
        return kernel, None
    size = np.dtype(form.bias_dtype).itemsize
    row = Layout(size, 1, (rows, 1, 1, 1))
    bias_element = f32 if form.bias_dtype is np.float32 else si16
    return kernel, b.view(buffer, Ref(bias_element, (1, outputs, 1, 1), row, place), offset)


def load_words(b: TileBuilder, words: Array, lane: int = 0) -> SSAValue:
    """Loads [lanes, words] so that each lane, from one on, holds its row; returns the buffer's
    memref."""
    lanes, count = words.shape
    split = -(-count // BM1684.limits.gdma_size)
    width = align(count, split) // split
    padded = np.zeros((lanes, split * width), np.uint32)
    padded[:, :count] = words
    source = b.constant(padded.reshape(1, lanes, split, width))
    size = align(split * width * 4, BM1684.alignment)
    layout = Layout(4, 1, (size // 4, size // 4, width, 1))
    target = b.alloc(Ref(i32, (1, lanes, split, width), layout, Place(Space.LMEM, lane)), size)
    b.load(target, source)
    return target
