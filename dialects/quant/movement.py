"""Ops that only move data: element type and scale stay."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure

from dialects.quant import types
from dialects.quant.base import (
    I64S,
    AnyTensor,
    QuantOp,
    ints,
    require,
    require_axis,
    same_scale,
)


@irdl_op_definition
class ReshapeOp(QuantOp):
    """The same elements in row-major order under another shape (Reshape, Flatten, views)."""

    name = "quant.reshape"
    x = operand_def(AnyTensor)
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = "$x `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        require(
            prod(types.shape_of(self.x)) == prod(types.shape_of(self.y)), self, "keeps the count"
        )
        same_scale(self)


@irdl_op_definition
class TransposeOp(QuantOp):
    """``y.shape[i] = x.shape[order[i]]`` (Permute)."""

    name = "quant.transpose"
    x = operand_def(AnyTensor)
    order = prop_def(I64S)
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = "$x `order` $order `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        x, order = types.shape_of(self.x), ints(self.order)
        require(sorted(order) == list(range(len(x))), self, f"{order} is no permutation")
        require(types.shape_of(self.y) == tuple(x[i] for i in order), self, "wrong result shape")
        same_scale(self)


@irdl_op_definition
class ConcatOp(QuantOp):
    """Joins tensors along one axis; all have the result's element type and scale."""

    name = "quant.concat"
    xs = var_operand_def(AnyTensor)
    axis = prop_def(IntegerAttr.constr(i64))
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


@irdl_op_definition
class SliceOp(QuantOp):
    """``extent`` (from the result's shape) elements along one axis, from ``begin`` on."""

    name = "quant.slice"
    x = operand_def(AnyTensor)
    axis = prop_def(IntegerAttr.constr(i64))
    begin = prop_def(IntegerAttr.constr(i64))
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
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


@irdl_op_definition
class BroadcastOp(QuantOp):
    """Repeats dims of extent 1 up to the result's shape (ranks are equal)."""

    name = "quant.broadcast"
    x = operand_def(AnyTensor)
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = "$x `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        x, y = types.shape_of(self.x), types.shape_of(self.y)
        fits = len(x) == len(y) and all(a in (1, b) for a, b in zip(x, y, strict=True))
        require(fits, self, f"{x} does not broadcast to {y}")
        same_scale(self)


MOVEMENT_OPS = [ReshapeOp, TransposeOp, ConcatOp, SliceOp, BroadcastOp]
