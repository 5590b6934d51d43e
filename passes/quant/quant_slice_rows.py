"""quant-slice-rows: layers whose image does not fit local memory run on some rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute

from dialects.bm1684.chip import BM1684
from dialects.quant.base import QuantOp
from dialects.quant.windows import ROWS, RowWindow
from passes.base import NpuFunctionPass
from passes.slices.copies import Copies, SliceSpans, Span
from passes.slices.gather import gather_readers
from passes.slices.plan_rows import plan_rows, rows_read


def _window(op: QuantOp) -> RowWindow:
    window = op.row_window()
    assert window is not None
    return window


def _reads(op: QuantOp, part: SliceSpans, held: Span | None) -> Span:
    """The rows under a window; rows behind that a stride leaves over need not be cut off."""
    window = _window(op)
    first, count = rows_read(window, part.needed[op.results[0]])
    if held is not None and held[0] == first and window.rest:
        if 0 <= held[1] - count < window.stride:
            return held
    return first, count


def _pads(op: QuantOp, part: SliceSpans) -> Mapping[str, Attribute]:
    """Padding is left at the edges of the image."""
    window, (first, count) = _window(op), part.needed[op.results[0]]
    begin = first * window.stride - window.pad
    below = begin + (count - 1) * window.stride + window.extent - window.height
    return op.with_row_padding(max(0, -begin), max(0, below))


@dataclass(frozen=True)
class QuantSliceRowsPass(NpuFunctionPass):
    """Runs layers on some rows of their images after the other, so that their tensors stay in
    local memory.

    Before: tensors of H rows. After: where it costs less by the plan of ``passes/slices``, copies
    of the layers on as many rows as fit ``space`` bytes of each lane; rows that two slices need
    (halos) are computed twice. Slices of their inputs before them and concatenations behind need
    no copy. A layer that is the last to read a tensor, and makes less of it, comes right behind
    those that read it before.
    """

    name = "quant-slice-rows"
    level = "quant"

    space: int = BM1684.lane_bytes // 2

    def apply_to(self, function: FuncOp) -> None:
        gather_readers(function.body.block)
        for segment in plan_rows(function.body.block, self.space):
            Copies(segment.layers, ROWS, _reads, _pads).run(segment.parts)
