"""Which layers can run on some rows of their tensors at a time."""

from __future__ import annotations

from xdsl.ir import Operation

from dialects.bm1684.chip import BM1684
from dialects.quant.base import QuantOp
from dialects.quant.conv import ConvOp
from dialects.quant.windows import RowWindow


def cut_window(op: Operation) -> RowWindow | None:
    """The window of a layer that can be cut along its rows; None for any other. A convolution of
    more input channels than a command counts runs row by row already."""
    if not isinstance(op, QuantOp):
        return None
    if isinstance(op, ConvOp) and op.weight.shape[1] > BM1684.limits.channels:
        return None
    return op.row_window()
