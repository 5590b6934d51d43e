"""Ops that put rows and columns elsewhere, repeat them, interpolate between them, or interleave
tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import FloatAttr, StringAttr, f32
from xdsl.irdl import (
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure

from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.arithmetic import rounding_shift, saturate
from dialects.quant.base import (
    I64,
    I64S,
    AnyTensor,
    Array,
    QuantOp,
    UnaryOp,
    WideSums,
    i64s,
    ints,
    require,
    require_axis,
    require_ints,
    same_scale,
)
from dialects.quant.windows import ROWS, RowWindow

WEIGHT_SHIFT = 7
"""Weights of an 8-bit interpolation are in units of 2^-7."""
NOWHERE = -1
"""The index of an element that is no element of the operand."""


def _require_along(op: TakeOp | InterpolateOp) -> None:
    axis, count = op.axis.value.data, op.indices.shape
    require_axis(op, axis)
    x, y = types.shape_of(op.x), types.shape_of(op.y)
    rest = x[:axis] + x[axis + 1 :] == y[:axis] + y[axis + 1 :]
    require(rest, op, f"shape {y} does not fit {x} beside axis {axis}")
    good = count == (y[axis],) and op.indices.data.dtype == "int32"
    require(good, op, f"needs {y[axis]} indices, int32")
    same_scale(op)


def _check_range(op: TakeOp | InterpolateOp, least: int, most: int) -> None:
    indices = op.indices.array
    inside = least <= indices.min() and indices.max() <= most
    require(inside, op, f"indices must be {least} to {most}")


@irdl_op_definition
class TakeOp(UnaryOp):
    """Along one axis ``y[i] = x[indices[i]]``, and ``fill`` where an index is -1.

    So elements are repeated, dropped, reversed and padded. ``indices`` is int32; ``fill`` is in the
    numbers that the tensor holds.
    """

    name = "quant.take"
    axis = prop_def(I64)
    indices = prop_def(ConstantAttr)
    fill = prop_def(FloatAttr, default_value=FloatAttr(0.0, f32))
    assembly_format = (
        "$x `axis` $axis `indices` $indices (`fill` $fill^)? `tops` $tops attr-dict"
        " `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        _require_along(self)
        if self.indices.data.array is not None:
            _check_range(self, NOWHERE, types.shape_of(self.x)[self.axis.value.data] - 1)

    def rows_needed(self) -> RowWindow | None:
        return self.rows_alike() if self.axis.value.data not in (0, ROWS) else None

    def is_image_by_image(self) -> bool:
        return self.axis.value.data != 0

    def result_of(self, x: Array) -> Array:
        axis, indices = self.axis.value.data, self.indices.array
        y = np.take(x, np.maximum(indices, 0), axis)
        y[(slice(None),) * axis + (indices == NOWHERE,)] = self.fill.value.data
        return y


@irdl_op_definition
class InterpolateOp(UnaryOp):
    """Along H or W of a tensor of rank 4, axis 2 or 3, a mean of two neighbours:
    ``y[i] = (1 - w[i]) * x[s[i]] + w[i] * x[s[i] + 1]``.

    ``indices`` s is int32, ``weights`` w float32. Where a weight is 0 the second neighbour does not
    take part, and need not exist. Integer: weights are int8 in units of 1/128, from 0 to 127, and
    ``y = (x[s] * (128 - w) + x[s + 1] * w) >>r 7``; no sum leaves 16 bits. What has no second
    neighbour is ``x[s]``. ``positions`` is the rule by which both follow from the sizes, as in
    ufw.resize, for maps of other sizes.
    """

    name = "quant.interpolate"
    axis = prop_def(I64)
    indices = prop_def(ConstantAttr)
    weights = prop_def(ConstantAttr)
    positions = opt_prop_def(StringAttr)
    traits = traits_def(WideSums())
    assembly_format = (
        "$x `axis` $axis `indices` $indices `weights` $weights (`positions` $positions^)?"
        " `tops` $tops attr-dict"
        " `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        _require_along(self)
        axis = self.axis.value.data
        require(len(types.shape_of(self.x)) == 4 and axis >= ROWS, self, "works along H or W")
        require(self.weights.shape == self.indices.shape, self, "needs one weight an index")
        kind = "float32" if types.is_float(self.x) else "int8"
        require(self.weights.data.dtype == kind, self, f"weights must be {kind}")
        if self.indices.data.array is None or self.weights.data.array is None:
            return
        most = types.shape_of(self.x)[axis] - 1
        _check_range(self, 0, most)
        weights = self.weights.array
        least = 0 <= weights.min() and weights.max() <= (1 if types.is_float(self.x) else 127)
        require(least, self, "weights must be from 0 up to 1, in 8 bits below 1")
        alone = self.indices.array == most
        require(not weights[alone].any(), self, "a weight has no second neighbour")

    def rows_needed(self) -> RowWindow | None:
        return self.rows_alike() if self.axis.value.data != ROWS else None

    def is_image_by_image(self) -> bool:
        return True

    def result_of(self, x: Array) -> Array:
        axis, s = self.axis.value.data, self.indices.array
        w = self.weights.array.reshape((-1, 1) if axis == ROWS else (-1,))
        first, second = (np.take(x, i, axis) for i in (s, np.minimum(s + 1, x.shape[axis] - 1)))
        if types.is_float(self.x):
            return np.where(w == 0, first, first * (1 - w) + second * w)
        sums = first.astype(np.int64) * (128 - w.astype(np.int64)) + second.astype(np.int64) * w
        return saturate(rounding_shift(sums, WEIGHT_SHIFT), types.dtype_of(self.y))


@irdl_op_definition
class InterleaveOp(QuantOp):
    """Interleaves tensors: pixel (i, j) of y [N, C, h, w] is pixel ((i + a) / sh, (j + b) / sw),
    rounded down, of the phase that the remainders name.

    Phase p = (remainder of the row) * sw + (remainder of the column). The operands hold all
    ``sh * sw`` phases in their order, each as many and each of at least C channels in a row.
    ``step`` is (sh, sw), ``begin`` (a, b): the rows and columns of the whole that y leaves out.
    """

    name = "quant.interleave"
    xs = var_operand_def(AnyTensor)
    step = prop_def(I64S)
    begin = prop_def(I64S, default_value=i64s([0, 0]))
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = (
        "`(` $xs `)` `step` $step (`begin` $begin^)? `tops` $tops attr-dict"
        " `:` type($xs) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        require_ints(self, "step", self.step, 2, 1)
        require_ints(self, "begin", self.begin, 2, 0)
        kinds = {types.shape_of(x) for x in self.xs}
        require(len(kinds) == 1, self, "operands must have one shape")
        (x,), y = kinds, types.shape_of(self.y)
        require(len(x) == len(y) == 4 and x[0] == y[0], self, "works on N images of rank 4")
        even = self.phases % len(self.xs) == 0 and x[1] % self.phases_each == 0
        require(even, self, f"{self.phases} phases do not divide its operands evenly")
        require(self.channels >= y[1], self, f"phases of {self.channels} channels for {y[1]}")
        for axis, (step, begin) in enumerate(zip(ints(self.step), ints(self.begin), strict=True)):
            fits = begin + y[2 + axis] <= x[2 + axis] * step
            require(fits, self, f"the result leaves its phases along axis {2 + axis}")
        same_scale(self)

    @property
    def phases(self) -> int:
        """Phases of the result."""
        rows, columns = ints(self.step)
        return rows * columns

    @property
    def phases_each(self) -> int:
        """Phases that an operand holds."""
        return self.phases // len(self.xs)

    @property
    def channels(self) -> int:
        """Channels from one phase to the next."""
        return types.shape_of(self.xs[0])[1] // self.phases_each

    def is_image_by_image(self) -> bool:
        return True

    def rows_needed(self) -> RowWindow | None:
        alike = ints(self.step)[0] == 1 and ints(self.begin)[0] == 0
        return self.rows_alike() if alike else None

    def meaning(self, inputs: Sequence[Array]) -> Array:
        (n, count, h, w), (sh, sw) = types.shape_of(self.y), ints(self.step)
        top, left = ints(self.begin)
        joined = np.concatenate(inputs, 1)
        rows, columns = joined.shape[2:]
        split = joined.reshape(n, sh, sw, -1, rows, columns)[:, :, :, :count]
        whole = split.transpose(0, 3, 4, 1, 5, 2).reshape(n, count, rows * sh, columns * sw)
        return np.ascontiguousarray(whole[:, :, top : top + h, left : left + w])
