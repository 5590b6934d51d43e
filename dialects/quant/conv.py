"""Convolution: exact integers, or float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from xdsl.dialects.builtin import BoolAttr, IntegerAttr, i64
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, opt_prop_def, prop_def, traits_def

from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.arithmetic import rounding_shift, saturate
from dialects.quant.base import (
    I64,
    I64S,
    ZERO,
    AnyTensor,
    Array,
    Strided,
    UnaryOp,
    i64s,
    ints,
    one_kind,
    require,
    require_ints,
    require_shift,
    row_counts,
    row_padding,
)
from dialects.quant.windows import RowWindow, padded, window_size, windows
from dialects.quant.winograd import winograd_sums


class AnyConvOp(UnaryOp):
    """2-d convolution.

    x [N, C, H, W], weight [O, C/group, kh, kw], bias [O]; pad is top, bottom, left, right.
    Integer: ``y = sat((sum x*w + bias) >>r shift)``, int8 weights, int16 bias, one shift a layer.
    Float: ``y = sum x*w + bias``, then ``max(y, 0)`` with ``relu``. With ``winograd`` the sums are
    those of F(2x2, 3x3), and the weight holds the 4x4 transforms [O, C, 4, 4] of 3x3 kernels;
    stride, dilation and group are 1. ``use_winograd`` is what the layer itself asks for, until
    quant-choose-winograd has read it.
    """

    weight = prop_def(ConstantAttr)
    bias = opt_prop_def(ConstantAttr)
    stride = prop_def(I64S, default_value=i64s([1, 1]))
    pad = prop_def(I64S, default_value=i64s([0, 0, 0, 0]))
    dilation = prop_def(I64S, default_value=i64s([1, 1]))
    group = prop_def(I64, default_value=IntegerAttr(1, i64))
    shift = prop_def(I64, default_value=ZERO)
    relu = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    winograd = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    use_winograd = opt_prop_def(BoolAttr)

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        kh, kw = self.weight.shape[2:]
        return (3, 3) if self.winograd.value.data else (kh, kw)

    def verify_(self) -> None:
        super().verify_()
        one_kind(self)
        require_ints(self, "stride", self.stride, 2, 1)
        require_ints(self, "pad", self.pad, 4, 0)
        require_ints(self, "dilation", self.dilation, 2, 1)
        x, y, w = types.shape_of(self.x), types.shape_of(self.y), self.weight.shape
        group = self.group.value.data
        require(len(x) == 4 and len(w) == 4, self, "input and weight must have rank 4")
        require(group >= 1 and w[0] % group == 0, self, f"{w[0]} outputs in {group} groups")
        require(x[1] == w[1] * group, self, f"{x[1]} channels, the weights need {w[1] * group}")
        if self.winograd.value.data:
            plain = {*ints(self.stride), *ints(self.dilation), group} == {1}
            require(plain, self, "winograd needs stride, dilation and group 1")
            require(w[2:] == (4, 4), self, "winograd weights must have shape [O, C, 4, 4]")
        (kh, kw), (top, bottom, left, right) = self.kernel, ints(self.pad)
        expected = (
            x[0],
            w[0],
            window_size(x[2], kh, ints(self.stride)[0], top + bottom, ints(self.dilation)[0]),
            window_size(x[3], kw, ints(self.stride)[1], left + right, ints(self.dilation)[1]),
        )
        require(y == expected, self, f"result shape {y}, the window gives {expected}")
        require(self.bias is None or self.bias.shape == (w[0],), self, "bias must have shape [O]")
        kinds = ("float32", "float32") if types.is_float(self.x) else ("int8", "int16")
        require(self.weight.data.dtype == kinds[0], self, f"weights must be {kinds[0]}")
        require(
            self.bias is None or self.bias.data.dtype == kinds[1], self, f"bias must be {kinds[1]}"
        )
        require_shift(self, self.shift)

    def is_image_by_image(self) -> bool:
        return True

    @property
    def weight_bytes(self) -> int:
        return self.weight.array.nbytes

    def result_of(self, x: Array) -> Array:
        if types.is_float(self.x):
            y = self.float_sums(x)
            return np.maximum(y, 0) if self.relu.value.data else y
        bias = None if self.bias is None else self.bias.array[:, None, None]
        weight = self.weight.array
        largest = np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(axis=1).max()
        exact = largest * 255 <= 1 << 24 and not self.winograd.value.data
        kind = np.float32 if exact else np.float64
        total = self._sums(x.astype(kind), weight.astype(kind))
        total = total.astype(np.int64) + (0 if bias is None else bias.astype(np.int64))
        return saturate(rounding_shift(total, self.shift.value.data), types.dtype_of(self.y))

    def float_sums(self, x: Array) -> Array:
        """``sum x*w + bias`` of floats."""
        y = self._sums(x, self.weight.array)
        return y if self.bias is None else y + self.bias.array[:, None, None]

    def _sums(self, x: Array, weight: Array) -> Array:
        """sum x*w as an array [N, O, oh, ow] of x's dtype. Integers are exact in float64, as every
        partial sum is below 2^53."""
        if self.winograd.value.data:
            return winograd_sums(padded(x, ints(self.pad), 0), weight)
        view = windows(
            padded(x, ints(self.pad), 0), self.kernel, ints(self.stride), ints(self.dilation)
        )
        return _products(view, weight, self.group.value.data)


_SETTINGS = (
    " `weight` $weight (`bias` $bias^)? (`stride` $stride^)? (`pad` $pad^)?"
    " (`dilation` $dilation^)? (`group` $group^)? (`shift` $shift^)? (`relu` $relu^)?"
    " (`winograd` $winograd^)? (`use_winograd` $use_winograd^)? `tops` $tops attr-dict"
)


@irdl_op_definition
class ConvOp(AnyConvOp):
    """2-d convolution, also InnerProduct (kernel = whole map), Scale and BatchNorm (1x1, group =
    C); see :class:`AnyConvOp`."""

    name = "quant.conv"
    traits = traits_def(Strided())
    assembly_format = f"$x{_SETTINGS} `:` type($x) `->` type($y)"

    def rows_needed(self) -> RowWindow:
        (height, out), extent = row_counts(self), (self.kernel[0] - 1) * ints(self.dilation)[0] + 1
        multiple = 2 if self.winograd.value.data else 1
        stride, pad = ints(self.stride)[0], ints(self.pad)[0]
        return RowWindow(height, out, stride, pad, extent, multiple=multiple, rest=True)

    def with_row_padding(self, above: int, below: int) -> Mapping[str, Attribute]:
        return row_padding(self.pad, above, below)


@irdl_op_definition
class ConvAddOp(AnyConvOp):
    """Float 2-d convolution on top of a tensor: ``y = (sum x*w + bias) + addend``, then ``max(y,
    0)`` with ``relu``. The addend has y's shape, and its memory may become that of y."""

    name = "quant.conv_add"
    x = operand_def(AnyTensor)  # named here, too, as the operands have this order
    addend = operand_def(AnyTensor)
    traits = traits_def(Strided())
    assembly_format = f"$x `,` $addend{_SETTINGS} `:` type($x) `,` type($addend) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        plain = types.is_float(self.x) and not self.winograd.value.data
        require(plain, self, "needs floats, and no winograd")
        same = types.shape_of(self.addend) == types.shape_of(self.y)
        require(same, self, "the addend must have the result's shape")

    def meaning(self, inputs: Sequence[Array]) -> Array:
        y = self.float_sums(inputs[0]) + inputs[1]
        return np.maximum(y, 0) if self.relu.value.data else y


def _products(view: Array, weight: Array, group: int) -> Array:
    """sum x*w of windows [N, C, oh, ow, kh, kw] as [N, O, oh, ow]."""
    n, _, oh, ow, kh, kw = view.shape
    per_group, outputs = weight.shape[1], weight.shape[0] // group
    if per_group == 1:
        taps = view.reshape(n, group, 1, oh, ow, kh, kw)
        kernel = weight.reshape(group, outputs, kh, kw)
        parts = (
            taps[..., i, j] * kernel[None, :, :, i, j, None, None]
            for i in range(kh)
            for j in range(kw)
        )
        return reduce(np.add, parts).reshape(n, weight.shape[0], oh, ow)
    result = np.empty((n, group, outputs, oh * ow), view.dtype)
    for image in range(n):
        for g in range(group):
            part = view[image, g * per_group : (g + 1) * per_group].transpose(0, 3, 4, 1, 2)
            columns = part.reshape(per_group * kh * kw, oh * ow)
            rows = weight[g * outputs : (g + 1) * outputs].reshape(outputs, -1)
            np.matmul(rows, columns, out=result[image, g])
    return result.reshape(n, weight.shape[0], oh, ow)
