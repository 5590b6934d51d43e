"""What tensors and layers take where they run on some rows: bytes, and cycles a row."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import BlockArgument, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import PEAK_BYTES
from dialects.bm1684.cycles.tiu import STEP_PIXELS, ceil_div
from dialects.bm1684.layout import align, lane_rows
from dialects.quant import types
from dialects.quant.base import QuantOp, WideSums
from dialects.quant.strips import STRIPS
from dialects.quant.windows import RowWindow
from passes.cost.layers import layer_cycles, rows_cycles
from passes.cost.strips import TURN

WORD = 4
"""Bytes."""
CUT_PIXELS = 4096
"""Pixels, about, of the rows on which a layer that is cut is priced: four strips of 1024."""


@dataclass(frozen=True)
class TensorCost:
    """``whole_bytes``: of each lane, for all of it, an image in a word of its own.
    ``turn_cycles_a_row``: of making strips of a single 8-bit image and whole rows of strips."""

    whole_bytes: int
    row_bytes: int
    """In DDR, an 8-bit image in a word of its own."""
    turn_cycles_a_row: float
    lanes_rows: int
    """Rows of lanes, of all words of images."""
    line_bytes: int
    in_strips: bool
    is_input: bool

    @staticmethod
    def of(value: SSAValue) -> TensorCost:
        n, c, h, w = types.shape_of(value)
        is_float = types.is_float(value)
        strips = not is_float and n == 1
        groups = n if is_float else ceil_div(n, BM1684.int8_images_per_word)
        rows, line = groups * lane_rows(c), w * WORD
        turn = TURN * rows * w / STEP_PIXELS / STRIPS if strips else 0.0
        whole = rows * align(h * line, BM1684.alignment)
        is_input = isinstance(value, BlockArgument)
        return TensorCost(whole, groups * c * line, turn, rows, line, strips, is_input)

    def ddr_bytes_a_row(self, joined: bool) -> float:
        """Of a single 8-bit image as four strips, unless it is ``joined``; one that enters the
        network lies there byte by byte."""
        quarter = self.in_strips and (self.is_input or not joined)
        return self.row_bytes / STRIPS if quarter else self.row_bytes

    def lane_bytes(self, rows: int) -> int:
        """Bytes of each lane that so many rows take; a single 8-bit image is cut into strips."""
        if self.in_strips:
            rows = ceil_div(rows, STRIPS)
        return self.lanes_rows * align(rows * self.line_bytes, BM1684.alignment)


def transfer_cycles(op: QuantOp, *, in_strips: bool) -> float:
    """Cycles in which the tensors of a layer on single 8-bit images come from DDR and go there,
    where local memory does not hold them together: 0 where it does."""
    values = dict.fromkeys((*op.operands, *op.results))
    tensors = [(TensorCost.of(x), types.shape_of(x)[2]) for x in values]
    held = sum(
        tensor.lane_bytes(height) if in_strips else tensor.whole_bytes
        for tensor, height in tensors
    )
    if held <= BM1684.lane_bytes:
        return 0.0
    moved = sum(height * tensor.ddr_bytes_a_row(not in_strips) for tensor, height in tensors)
    return moved / PEAK_BYTES


@dataclass(frozen=True)
class LayerCost:
    """``cycles_a_row`` where the layer runs as a whole, and ``cycles_a_cut_row`` on some rows that
    fit local memory. ``weights`` in bytes, ``lane_weights`` of each lane; ``wide``: there are
    16-bit numbers in between."""

    cycles_a_row: float
    cycles_a_cut_row: float
    weights: int
    lane_weights: int
    wide: bool

    @staticmethod
    def of(op: QuantOp, window: RowWindow) -> LayerCost:
        images, channels, height, width = types.shape_of(op.results[0])
        cut = min(height, ceil_div(CUT_PIXELS, width))
        whole, part = layer_cycles(op), rows_cycles(op, window, cut, images)
        if images == 1 and not any(types.is_float(x) for x in (*op.operands, *op.results)):
            whole = min(whole, rows_cycles(op, window, ceil_div(height, STRIPS), STRIPS))
            part = min(part, rows_cycles(op, window, ceil_div(cut, STRIPS), STRIPS))
        wide = op.has_trait(WideSums) and not types.is_float(op.results[0])
        lane = op.weight_bytes // min(channels, BM1684.lanes)
        return LayerCost(whole / height, part / cut, op.weight_bytes, lane, wide)
