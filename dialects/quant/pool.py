"""Pooling: maximum and mean over windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

import numpy as np
from xdsl.dialects.builtin import BoolAttr
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, prop_def, traits_def

from dialects.quant import types
from dialects.quant.arithmetic import mean_factor, rounding_shift, saturate
from dialects.quant.base import (
    I64S,
    Array,
    Strided,
    UnaryOp,
    i64s,
    ints,
    one_kind,
    require,
    require_ints,
    row_counts,
    row_padding,
)
from dialects.quant.windows import RowWindow, padded, windows


class PoolOp(UnaryOp):
    """A window over H and W. ``pad`` is top, bottom, left, right as in the network; the last window
    of a row or column may reach past the padded map and is clipped there. ``ceil_mode``: how the
    network counts the windows, for a map of another size; see ufw.pooling."""

    kernel = prop_def(I64S)
    stride = prop_def(I64S)
    pad = prop_def(I64S, default_value=i64s([0, 0, 0, 0]))
    ceil_mode = prop_def(BoolAttr, default_value=BoolAttr.from_bool(True))
    traits = traits_def(Strided())
    assembly_format = (
        "$x `kernel` $kernel `stride` $stride (`pad` $pad^)? (`ceil` $ceil_mode^)?"
        " `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        one_kind(self)
        require_ints(self, "kernel", self.kernel, 2, 1)
        require_ints(self, "stride", self.stride, 2, 1)
        require_ints(self, "pad", self.pad, 4, 0)
        x, y, pad = types.shape_of(self.x), types.shape_of(self.y), ints(self.pad)
        require(len(x) == 4 and x[:2] == y[:2], self, "pooling keeps N and C of a rank 4 tensor")
        require(
            isinstance(self, AveragePoolOp)
            or types.is_float(self.y)
            or types.scale_of(self.x) == types.scale_of(self.y),
            self,
            "pooling keeps its input's scale",
        )
        for axis in (0, 1):
            begin, end = pad[2 * axis], x[2 + axis] + pad[2 * axis + 1]
            start = (y[2 + axis] - 1) * ints(self.stride)[axis] - begin
            require(start < end, self, f"the last window along axis {2 + axis} lies outside")

    def rows_needed(self) -> RowWindow | None:
        (height, out), pad = row_counts(self), ints(self.pad)[0]
        return RowWindow(height, out, ints(self.stride)[0], pad, ints(self.kernel)[0])

    def with_row_padding(self, above: int, below: int) -> Mapping[str, Attribute]:
        return row_padding(self.pad, above, below)

    def is_image_by_image(self) -> bool:
        return True

    def windows_of(
        self, x: Array, fill: float, exclude_pad: bool = False
    ) -> tuple[Array, Array]:
        """All windows, clipped parts holding ``fill``, and the divisor of each window."""
        pad, kernel, stride = ints(self.pad), ints(self.kernel), ints(self.stride)
        shape, out = types.shape_of(self.x), types.shape_of(self.y)
        over = [0, 0]
        counts: list[Array] = []
        for axis in (0, 1):
            end = shape[2 + axis] + pad[2 * axis] + pad[2 * axis + 1]
            starts = np.arange(out[2 + axis]) * stride[axis]
            over[axis] = max(0, int(starts[-1]) + kernel[axis] - end)
            low, high = 0, end
            if exclude_pad:
                low, high = pad[2 * axis], pad[2 * axis] + shape[2 + axis]
            counts.append(np.minimum(starts + kernel[axis], high) - np.maximum(starts, low))
        grown = (pad[0], pad[1] + over[0], pad[2], pad[3] + over[1])
        view = windows(padded(x, grown, fill), kernel, stride, (1, 1))
        return view[:, :, : out[2], : out[3]], np.outer(counts[0], counts[1])


@irdl_op_definition
class MaxPoolOp(PoolOp):
    """Maximum over the window; padding does not take part. Scale and type of the input are kept."""

    name = "quant.max_pool"

    def rows_needed(self) -> RowWindow | None:
        window = super().rows_needed()
        signed = types.dtype_of(self.x) == np.int8  # only 8-bit images are cut into strips
        return window and replace(window, fill=-128 if signed else 0)

    def result_of(self, x: Array) -> Array:
        is_float = types.is_float(self.x)
        lowest = float(np.finfo(np.float32).min) if is_float else np.iinfo(x.dtype).min
        view, _ = self.windows_of(x, lowest)
        kh, kw = view.shape[4:]
        rows = reduce(np.maximum, (view[..., i, :] for i in range(kh)))
        return reduce(np.maximum, (rows[..., j] for j in range(kw)))


@irdl_op_definition
class AveragePoolOp(PoolOp):
    """Mean over the window. The divisor counts padding (as zeros) but not what is clipped; with
    ``exclude_pad`` it counts the numbers of the map alone.

    Integer: ``y = sat((sum * m) >>r s)``, (m, s) = :func:`dialects.quant.arithmetic.mean_factor` of
    the divisor and the ratio of both scales: the result can have one of its own.
    """

    name = "quant.average_pool"
    exclude_pad = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    assembly_format = (
        "$x `kernel` $kernel `stride` $stride (`pad` $pad^)? (`ceil` $ceil_mode^)?"
        " (`exclude_pad` $exclude_pad^)?"
        " `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def rows_needed(self) -> RowWindow | None:
        """None where windows at the edge are clipped, as they have divisors of their own."""
        (height, out), pad = row_counts(self), ints(self.pad)
        if self.exclude_pad.value.data and any(pad):
            return None
        clipped = (out - 1) * ints(self.stride)[0] + ints(self.kernel)[0] > height + sum(pad[:2])
        return None if clipped else super().rows_needed()

    def result_of(self, x: Array) -> Array:
        is_float = types.is_float(self.x)
        excluded = bool(self.exclude_pad.value.data)
        view, area = self.windows_of(x if is_float else x.astype(np.int64), 0, excluded)
        total = view.sum(axis=(4, 5))
        if is_float:
            return total / area.astype(np.float32)
        kind = types.dtype_of(self.y)
        y = np.empty(total.shape, kind)
        for value in np.unique(area):
            multiplier, shift = mean_factor(int(value), types.scale_ratio(self.x, self.y))
            where = (..., area == value)
            y[where] = saturate(rounding_shift(total[where] * multiplier, shift), kind)
        return y
