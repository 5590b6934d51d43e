"""The work of layers, also on some rows of some images, by their shapes alone."""

from __future__ import annotations

from xdsl.ir import Attribute

from dialects.bm1684.chip import BM1684
from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.conv import ConvOp
from dialects.quant.movement import ConcatOp
from dialects.quant.windows import RowWindow
from passes.cost.conv import convolution_of
from passes.cost.lowered import Work, lowered
from passes.kernels.movement.in_place import part_of

NOTHING = Work(0.0, 0.0)


def layer_work(op: QuantOp) -> Work:
    """The work of a layer. A convolution has a formula; any other op is lowered. Parts that lie in
    their place of the whole cost nothing."""
    if isinstance(op, ConvOp):
        images, _, rows, _ = types.shape_of(op.y)
        return Work(convolution_of(op, rows, images).cycles(), 0.0)
    if _is_in_place(op):
        return NOTHING
    return lowered(op, [x.type for x in op.operands], op.results[0].type)


def rows_work(op: QuantOp, window: RowWindow, rows: int, images: int) -> Work:
    """The work of a copy of a layer whose result has so many rows, inside of the image, where
    windows do not reach the padding, in each of so many images."""
    if isinstance(op, ConvOp):
        return Work(convolution_of(op, rows, images).cycles(), 0.0)
    if _is_in_place(op):
        return NOTHING
    read = (rows - 1) * window.stride + window.extent

    def cut(value: Attribute, count: int) -> Attribute:
        _, channels, _, width = types.shape_of(value)
        return types.like(value, (images, channels, count, width))

    changed = op.with_row_padding(0, 0)
    operands = [cut(x.type, read) for x in op.operands]
    return lowered(op, operands, cut(op.results[0].type, rows), changed)


def layer_cycles(op: QuantOp) -> float:
    """Cycles of a layer, of the engine that takes longer."""
    return layer_work(op).cycles


def rows_cycles(op: QuantOp, window: RowWindow, rows: int, images: int) -> float:
    """Cycles of so many rows of a layer, of the engine that takes longer."""
    return rows_work(op, window, rows, images).cycles


def _is_in_place(op: QuantOp) -> bool:
    """Whether the parts of a tensor, along channels, lie in their place in the whole."""
    if not isinstance(op, ConcatOp):
        return part_of(op) is not None
    images = types.shape_of(op.y)[0]
    word = 1 if types.is_float(op.y) else BM1684.int8_images_per_word
    return images <= word and op.axis.value.data == 1
