"""Reductions over any axes, and the place of the largest or smallest number along one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import (
    I64,
    BoolAttr,
    DenseArrayBase,
    Float32Type,
    FloatAttr,
    IntegerAttr,
    TensorType,
    f32,
    i64,
)
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute, SSAValue
from xdsl.irdl import (
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
    var_result_def,
)
from xdsl.traits import Pure
from xdsl.utils.str_enum import StrEnum

from dialects.ufw import shapes
from dialects.ufw.facts import Array, FloatArray
from dialects.ufw.layer import LayerOp, Top, shape_of
from dialects.ufw.shapes import Shape, require


class ReduceOperation(StrEnum):
    """What becomes of the numbers; L1 sums magnitudes, L2 is the root of the sum of squares."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    PROD = "prod"
    L1 = "l1"
    L2 = "l2"
    SUM_SQUARES = "sum_squares"


@irdl_attr_definition
class ReduceOperationAttr(EnumAttribute[ReduceOperation], SpacedOpaqueSyntaxAttribute):
    name = "ufw.reduce_operation"


MEANINGS: dict[ReduceOperation, Callable[[Array, tuple[int, ...]], Array]] = {
    ReduceOperation.SUM: lambda x, axes: x.sum(axes, keepdims=True),
    ReduceOperation.MEAN: lambda x, axes: x.mean(axes, keepdims=True),
    ReduceOperation.MAX: lambda x, axes: x.max(axes, keepdims=True),
    ReduceOperation.MIN: lambda x, axes: x.min(axes, keepdims=True),
    ReduceOperation.PROD: lambda x, axes: x.prod(axes, keepdims=True),
    ReduceOperation.L1: lambda x, axes: np.abs(x).sum(axes, keepdims=True),
    ReduceOperation.L2: lambda x, axes: np.sqrt(np.square(x).sum(axes, keepdims=True)),
    ReduceOperation.SUM_SQUARES: lambda x, axes: np.square(x).sum(axes, keepdims=True),
}
"""Of float64 numbers, over axes that stay with extent 1."""


@irdl_op_definition
class ReduceOp(LayerOp):
    """``y = coefficient * OPERATION of x over axes`` (Reduction, Reduce).

    The axes, in ascending order, stay with extent 1, or go without ``keep_dims``; where all go one
    of extent 1 is left.
    """

    name = "ufw.reduce"

    bottom = operand_def(TensorType)
    operation = prop_def(ReduceOperationAttr)
    axes = prop_def(DenseArrayBase.constr(i64))
    keep_dims = prop_def(BoolAttr, default_value=BoolAttr.from_bool(True))
    coefficient = prop_def(FloatAttr[Float32Type], default_value=FloatAttr(1.0, f32))
    top = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$operation $tops $bottom `axes` $axes (`keep_dims` $keep_dims^)? "
        "(`coefficient` $coefficient^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        operation: ReduceOperation,
        axes: Sequence[int],
        *,
        keep_dims: bool = True,
        coefficient: float = 1.0,
    ) -> None:
        settings = {
            "operation": ReduceOperationAttr(operation), "axes": axes,
            "keep_dims": BoolAttr.from_bool(keep_dims), "coefficient": float(coefficient),
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        shape, axes = shape_of(self.bottom), self.axes.get_values()
        for axis in axes:
            shapes.check_axis(axis, len(shape))
        require(sorted({*axes}) == [*axes] != [], f"{[*axes]} are no axes in ascending order")
        kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
        if not self.keep_dims.value.data:
            kept = [size for axis, size in enumerate(shape) if axis not in axes] or [1]
        return [tuple(kept)]

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        squares = (ReduceOperation.L1, ReduceOperation.L2, ReduceOperation.SUM_SQUARES)
        positive = self.operation.data in squares or nonnegative[0]
        return positive and self.coefficient.value.data >= 0

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        x = inputs[0].astype(np.float64)
        y = MEANINGS[self.operation.data](x, self.axes.get_values())
        scaled = y * self.coefficient.value.data
        return [scaled.reshape(shape_of(self.top)).astype(np.float32)]


@irdl_op_definition
class ArgOp(LayerOp):
    """The place of the largest number along ``axis`` (of the smallest one with ``smallest``), the
    first one of equals, as float32, and the number itself.

    ``values``, one flag a result: whether it holds the numbers, or the places. Without ``axis`` all
    axes but the first are one. The results have the extent 1 along the axis; with ``flat`` they are
    [N, 1, 1, ...], with at least 3 dimensions, and one result holds [N, 2, 1, ...] places and
    numbers where ``pairs`` is set: Caffe's shapes.
    """

    name = "ufw.arg"

    bottom = operand_def(TensorType)
    axis = prop_def(IntegerAttr[I64], default_value=IntegerAttr(1, i64))
    smallest = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    values = prop_def(DenseArrayBase.constr(i64))
    flat = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    pairs = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    results_ = var_result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom `values` $values (`axis` $axis^)? (`smallest` $smallest^)? (`flat` $flat^)? "
        "(`pairs` $pairs^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        tops: Sequence[Top],
        values: Sequence[int] = (0,),
        *,
        axis: int = 1,
        smallest: bool = False,
        flat: bool = False,
        pairs: bool = False,
    ) -> None:
        settings = {
            "axis": axis, "values": values, "smallest": BoolAttr.from_bool(smallest),
            "flat": BoolAttr.from_bool(flat), "pairs": BoolAttr.from_bool(pairs),
        }  # fmt: skip
        self.setup([bottom], tops, settings, variadic=True)

    @property
    def view(self) -> tuple[int, int, int]:
        """The operand as (outer, along the axis, inner)."""
        shape, axis = shape_of(self.bottom), self.axis.value.data
        if self.flat.value.data:
            return shape[0], prod(shape[1:]), 1
        return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])

    def infer_shapes(self) -> list[Shape]:
        shape, axis = shape_of(self.bottom), self.axis.value.data
        count = len(self.values.get_values())
        require(count == len(self.tops.data) <= 2, f"{count} flags for the results of an Arg")
        if self.flat.value.data:
            first = 2 if self.pairs.value.data else 1
            return [(shape[0], first, *(1,) * max(len(shape) - 2, 1))] * count
        require(not self.pairs.value.data, "only a flat Arg gives pairs")
        shapes.check_axis(axis, len(shape))
        return [(*shape[:axis], 1, *shape[axis + 1 :])] * count

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        x = inputs[0].reshape(self.view)
        pick = np.argmin if self.smallest.value.data else np.argmax
        places = pick(x, axis=1)[:, None]
        numbers = np.take_along_axis(x, places, axis=1)
        kinds = (places.astype(np.float32), numbers)
        found = [kinds[value] for value in self.values.get_values()]
        if self.pairs.value.data:
            found = [np.concatenate(kinds, axis=1)]
        given = zip(found, self.results, strict=True)
        return [y.reshape(shape_of(result)) for y, result in given]
