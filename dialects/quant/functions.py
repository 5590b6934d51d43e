"""Functions of float32 tensors."""

from __future__ import annotations

import numpy as np
from xdsl.irdl import irdl_op_definition, prop_def, traits_def

from dialects.function_properties import FunctionProperties
from dialects.quant.base import I64, Array, Strided, require_axis, require_floats
from dialects.quant.pointwise import PointwiseOp
from dialects.quant.windows import RowWindow


class FloatFunctionOp(PointwiseOp):
    """A function on float32 tensors."""

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, True, True)


@irdl_op_definition
class PointwiseFunctionOp(FunctionProperties, FloatFunctionOp):
    """A function of :mod:`dialects.functions`, float32. Outside its domain it is not defined."""

    name = "quant.pointwise"
    traits = traits_def(Strided())
    assembly_format = (
        "$function $x (`with` $parameters^)? `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        _ = self.settings  # raises for an unknown function or parameter

    def result_of(self, x: Array) -> Array:
        return self.row.of(x, self.settings)


@irdl_op_definition
class SoftmaxOp(FloatFunctionOp):
    """``exp(x - max) / sum exp(x - max)`` along one axis, float32."""

    name = "quant.softmax"
    axis = prop_def(I64)
    assembly_format = "$x `axis` $axis `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def verify_(self) -> None:
        super().verify_()
        require_axis(self, self.axis.value.data)

    def rows_needed(self) -> RowWindow | None:
        return self.rows_alike() if self.axis.value.data == 1 else None

    def is_image_by_image(self) -> bool:
        return self.axis.value.data != 0

    def result_of(self, x: Array) -> Array:
        axis = self.axis.value.data
        power = np.exp(x - x.max(axis=axis, keepdims=True))
        return power / power.sum(axis=axis, keepdims=True)
