"""Ops that only move data: element type and scale stay."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.irdl import (
    irdl_op_definition,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure

from dialects.quant import types
from dialects.quant.base import (
    I64,
    I64S,
    AnyTensor,
    Array,
    QuantOp,
    UnaryOp,
    ints,
    require,
    require_axis,
    same_scale,
)
from dialects.quant.windows import RowWindow


@irdl_op_definition
class ReshapeOp(UnaryOp):
    """The same elements in row-major order under another shape (Reshape, Flatten, views)."""

    name = "quant.reshape"

    def verify_(self) -> None:
        super().verify_()
        require(
            prod(types.shape_of(self.x)) == prod(types.shape_of(self.y)), self, "keeps the count"
        )
        same_scale(self)

    def is_image_by_image(self) -> bool:
        return types.shape_of(self.x)[:1] == types.shape_of(self.y)[:1]

    def result_of(self, x: Array) -> Array:
        return x.reshape(types.shape_of(self.y))


@irdl_op_definition
class TransposeOp(UnaryOp):
    """``y.shape[i] = x.shape[order[i]]`` (Permute)."""

    name = "quant.transpose"
    order = prop_def(I64S)
    assembly_format = "$x `order` $order `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        x, order = types.shape_of(self.x), ints(self.order)
        require(sorted(order) == list(range(len(x))), self, f"{order} is no permutation")
        require(types.shape_of(self.y) == tuple(x[i] for i in order), self, "wrong result shape")
        same_scale(self)

    def is_image_by_image(self) -> bool:
        return ints(self.order)[0] == 0

    def result_of(self, x: Array) -> Array:
        return x.transpose(ints(self.order))


@irdl_op_definition
class ConcatOp(QuantOp):
    """Joins tensors along one axis; all have the result's element type and scale."""

    name = "quant.concat"
    xs = var_operand_def(AnyTensor)
    axis = prop_def(I64)
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = "`(` $xs `)` `axis` $axis `tops` $tops attr-dict `:` type($xs) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        axis, shape = self.axis.value.data, types.shape_of(self.y)
        require_axis(self, axis)
        total = sum(types.shape_of(x)[axis] for x in self.xs)
        require(
            total == shape[axis], self, f"parts add up to {total}, the result has {shape[axis]}"
        )
        for x in self.xs:
            part = types.shape_of(x)
            rest = part[:axis] + part[axis + 1 :] == shape[:axis] + shape[axis + 1 :]
            require(rest, self, f"shape {part} does not fit {shape} beside axis {axis}")
        same_scale(self)

    def rows_needed(self) -> RowWindow | None:
        return self.rows_alike() if self.axis.value.data == 1 else None

    def is_image_by_image(self) -> bool:
        return self.axis.value.data != 0

    def meaning(self, inputs: Sequence[Array]) -> Array:
        return np.concatenate(inputs, self.axis.value.data)


@irdl_op_definition
class SliceOp(UnaryOp):
    """``extent`` (from the result's shape) elements along one axis, from ``begin`` on."""

    name = "quant.slice"
    axis = prop_def(I64)
    begin = prop_def(I64)
    assembly_format = (
        "$x `axis` $axis `begin` $begin `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        axis, begin = self.axis.value.data, self.begin.value.data
        require_axis(self, axis)
        x, y = types.shape_of(self.x), types.shape_of(self.y)
        rest = x[:axis] + x[axis + 1 :] == y[:axis] + y[axis + 1 :]
        require(rest, self, f"shape {y} does not fit {x} beside axis {axis}")
        require(0 <= begin and begin + y[axis] <= x[axis], self, "the slice leaves its operand")
        same_scale(self)

    def rows_needed(self) -> RowWindow | None:
        return self.rows_alike() if self.axis.value.data == 1 else None

    def is_image_by_image(self) -> bool:
        return self.axis.value.data != 0

    def result_of(self, x: Array) -> Array:
        axis, begin = self.axis.value.data, self.begin.value.data
        index = slice(begin, begin + types.shape_of(self.y)[axis])
        return x[(slice(None),) * axis + (index,)]


@irdl_op_definition
class BroadcastOp(UnaryOp):
    """Repeats dims of extent 1 up to the result's shape (ranks are equal)."""

    name = "quant.broadcast"

    def verify_(self) -> None:
        super().verify_()
        x, y = types.shape_of(self.x), types.shape_of(self.y)
        fits = len(x) == len(y) and all(a in (1, b) for a, b in zip(x, y, strict=True))
        require(fits, self, f"{x} does not broadcast to {y}")
        same_scale(self)

    def is_image_by_image(self) -> bool:
        return types.shape_of(self.x)[0] == types.shape_of(self.y)[0]

    def result_of(self, x: Array) -> Array:
        return np.broadcast_to(x, types.shape_of(self.y))
