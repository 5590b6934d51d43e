"""What the rows of a layer's result need of its operands' rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xdsl.ir import Operation

from dialects.bm1684.chip import BM1684
from dialects.quant import compute, movement, types
from dialects.quant.base import ints

ROWS = 2
"""The axis of rows."""


@dataclass(frozen=True)
class RowWindow:
    """Result row r reads operand rows ``r*stride - pad`` to ``r*stride - pad + extent - 1``; what
    lies outside the image counts as ``fill``. ``height``: rows of the operand's image, ``out``:
    rows of the result's, of which a strip has a ``multiple``."""

    height: int
    out: int
    stride: int = 1
    pad: int = 0
    extent: int = 1
    fill: int = 0
    multiple: int = 1

    @property
    def top(self) -> int:
        """Rows of halo above a strip."""
        return self.pad

    @property
    def bottom(self) -> int:
        """Rows of halo below a strip."""
        return max(0, self.extent - self.pad - self.stride)

    @property
    def reads_below(self) -> bool:
        """Whether a row of the result reads rows below the image."""
        return (self.out - 1) * self.stride - self.pad + self.extent > self.height

    @property
    def needs_exchange(self) -> bool:
        return bool(self.top or self.bottom or self.reads_below)


def _rows(op: Operation) -> tuple[int, int]:
    return types.shape_of(op.operands[0])[2], types.shape_of(op.results[0])[2]


def _conv(op: compute.ConvOp) -> RowWindow | None:
    extent = (op.kernel[0] - 1) * ints(op.dilation)[0] + 1
    if op.weight.shape[1] > BM1684.limits.channels:
        return None  # such a layer runs row by row already
    multiple = 2 if op.winograd.value.data else 1
    return RowWindow(
        *_rows(op), ints(op.stride)[0], ints(op.pad)[0], extent, multiple=multiple
    )


def _pool(op: compute.PoolOp) -> RowWindow | None:
    top, bottom, stride, extent = *ints(op.pad)[:2], ints(op.stride)[0], ints(op.kernel)[0]
    height, out = _rows(op)
    average = isinstance(op, compute.AveragePoolOp)
    if average and (out - 1) * stride + extent > height + top + bottom:
        return None  # the last window is clipped: it has a divisor of its own
    lowest = 0 if average or types.is_unsigned(op.x) else -128  # of 8 bit; floats have no strips
    return RowWindow(height, out, stride, top, extent, lowest)


def _pointwise(op: Operation) -> RowWindow:
    return RowWindow(*_rows(op))


def _along_channels(
    op: movement.ConcatOp | movement.SliceOp | compute.SoftmaxOp,
) -> RowWindow | None:
    return _pointwise(op) if op.axis.value.data == 1 else None


_TABLE: dict[type[Operation], Callable[[Any], RowWindow | None]] = {
    compute.ConvOp: _conv,
    compute.MaxPoolOp: _pool,
    compute.AveragePoolOp: _pool,
    compute.EltwiseOp: _pointwise,
    compute.RequantizeOp: _pointwise,
    compute.PReluOp: _pointwise,
    compute.LookupOp: _pointwise,
    compute.QuantizeOp: _pointwise,
    compute.DequantizeOp: _pointwise,
    compute.PointwiseFunctionOp: _pointwise,
    compute.SoftmaxOp: _along_channels,
    movement.ConcatOp: _along_channels,
    movement.SliceOp: _along_channels,
}


def row_window(op: Operation) -> RowWindow | None:
    """The window of a layer on tensors of rank 4; None for any other layer, and for one whose
    result is not made row by row."""
    if type(op) not in _TABLE:
        return None
    if any(len(types.shape_of(value)) != 4 for value in (*op.operands, *op.results)):
        return None
    window = _TABLE[type(op)](op)
    return window if window is not None and window.pad < window.extent else None
