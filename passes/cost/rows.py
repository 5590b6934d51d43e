"""Which layers can run on some rows of their tensors at a time."""

from __future__ import annotations

from xdsl.ir import Operation

from dialects.quant.base import QuantOp
from dialects.quant.conv import ConvOp
from dialects.quant.windows import RowWindow
from passes.kernels.convolution.stacked import is_stacked


def cut_window(op: Operation) -> RowWindow | None:
    """The window of a layer that can be cut along its rows; None for any other. A convolution
    whose taps are stacked runs row by row already."""
    if not isinstance(op, QuantOp):
        return None
    if isinstance(op, ConvOp) and is_stacked(op):
        return None
    return op.row_window()
