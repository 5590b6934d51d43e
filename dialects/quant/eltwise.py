"""Sum, product and maximum of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce

import numpy as np
from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, f32
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute
from xdsl.irdl import (
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure
from xdsl.utils.str_enum import StrEnum

from dialects.quant import types
from dialects.quant.arithmetic import rounding_shift, saturate
from dialects.quant.base import (
    I64,
    I64S,
    ZERO,
    AnyTensor,
    Array,
    QuantOp,
    WideSums,
    ints,
    one_kind,
    require,
    require_shift,
)
from dialects.quant.windows import RowWindow


class EltwiseKind(StrEnum):
    """What is made of the operands."""

    SUM = "sum"
    PRODUCT = "product"
    MAX = "max"


@irdl_attr_definition
class EltwiseKindAttr(EnumAttribute[EltwiseKind], SpacedOpaqueSyntaxAttribute):
    name = "quant.eltwise_kind"


@irdl_op_definition
class EltwiseOp(QuantOp):
    """Sum, product or maximum of tensors of one shape.

    Integer sum: ``t = sat16(x0*m0)``, ``t = sat16(t + xi*mi)``, ``y = sat(t >>r shift)``, int8
    multipliers m. Integer product of two: ``y = sat((x0*x1) >>r shift)``. Integer max: all operands
    have the type of the result. Float sum: ``sum ci*xi``. ``relu`` (float) clamps below at 0.
    """

    name = "quant.eltwise"
    xs = var_operand_def(AnyTensor)
    kind = prop_def(EltwiseKindAttr)
    multipliers = opt_prop_def(I64S)
    coefficients = opt_prop_def(DenseArrayBase.constr(f32))
    shift = prop_def(I64, default_value=ZERO)
    relu = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    y = result_def(AnyTensor)
    traits = traits_def(Pure(), WideSums())
    assembly_format = (
        "$kind `(` $xs `)` (`multipliers` $multipliers^)? (`coefficients` $coefficients^)?"
        " (`shift` $shift^)? (`relu` $relu^)?"
        " `tops` $tops attr-dict `:` type($xs) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        one_kind(self)
        kind, shape = self.kind.data, types.shape_of(self.y)
        require(len(self.xs) >= 1, self, "needs operands")
        require(all(types.shape_of(x) == shape for x in self.xs), self, "all shapes must be equal")
        if types.is_float(self.y):
            count = len(self.xs) if self.coefficients is None else len(self.coefficients)
            require(count == len(self.xs), self, "needs one coefficient an operand")
            return
        require_shift(self, self.shift)
        if kind is EltwiseKind.SUM:
            factors = () if self.multipliers is None else ints(self.multipliers)
            require(len(factors) == len(self.xs), self, "needs one multiplier an operand")
            require(all(-128 <= m <= 127 for m in factors), self, "multipliers must be int8")
        if kind is EltwiseKind.PRODUCT:
            require(len(self.xs) == 2, self, "an integer product takes two operands")
        if kind is EltwiseKind.MAX:
            same = all(x.type == self.y.type for x in self.xs)
            require(same, self, "an integer maximum takes operands of the result's type")

    def rows_needed(self) -> RowWindow:
        return self.rows_alike()

    def is_image_by_image(self) -> bool:
        return True

    def meaning(self, inputs: Sequence[Array]) -> Array:
        kind = self.kind.data
        if types.is_float(self.y):
            y = reduce(_MERGE[kind], self._scaled(inputs))
            return np.maximum(y, 0) if self.relu.value.data else y
        if kind is EltwiseKind.MAX:
            return reduce(np.maximum, inputs)
        if kind is EltwiseKind.SUM:
            total = self._sum(inputs)
        else:
            total = inputs[0].astype(np.int64) * inputs[1].astype(np.int64)
        return saturate(rounding_shift(total, self.shift.value.data), types.dtype_of(self.y))

    def _scaled(self, inputs: Sequence[Array]) -> Iterable[Array]:
        """The operands of a float sum times their coefficients; those of others as they are."""
        if self.kind.data is not EltwiseKind.SUM or self.coefficients is None:
            return inputs
        factors = self.coefficients.iter_values()
        return [x * np.float32(c) for x, c in zip(inputs, factors, strict=True)]

    def _sum(self, inputs: Sequence[Array]) -> Array:
        assert self.multipliers is not None
        total = np.zeros(inputs[0].shape, np.int64)
        for x, multiplier in zip(inputs, ints(self.multipliers), strict=True):
            total = np.clip(total + x.astype(np.int64) * multiplier, -32768, 32767)
        return total


_MERGE: dict[EltwiseKind, Callable[[Array, Array], Array]] = {
    EltwiseKind.SUM: np.add,
    EltwiseKind.PRODUCT: np.multiply,
    EltwiseKind.MAX: np.maximum,
}
