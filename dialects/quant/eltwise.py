"""Arithmetic of several tensors: of one shape, in 8 bits or float; and float tensors that repeat as
in numpy, also compared and chosen from."""

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
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure
from xdsl.utils.str_enum import StrEnum

from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.arithmetic import rounding_shift, saturate
from dialects.quant.base import (
    I64,
    I64S,
    ZERO,
    AnyTensor,
    Array,
    HoldsIndices,
    QuantOp,
    Strided,
    WideSums,
    ints,
    one_kind,
    require,
    require_floats,
    require_shift,
)
from dialects.quant.windows import ROWS, RowWindow


class EltwiseKind(StrEnum):
    """What is made of the operands."""

    SUM = "sum"
    PRODUCT = "product"
    MAX = "max"
    MIN = "min"


EXTREMES = (EltwiseKind.MAX, EltwiseKind.MIN)


@irdl_attr_definition
class EltwiseKindAttr(EnumAttribute[EltwiseKind], SpacedOpaqueSyntaxAttribute):
    name = "quant.eltwise_kind"


@irdl_op_definition
class EltwiseOp(QuantOp):
    """Sum, product, maximum or minimum of tensors of one shape.

    Integer sum: ``t = sat16(x0*m0)``, ``t = sat16(t + xi*mi)``, ``y = sat(t >>r shift)``, int8
    multipliers m. Integer product of two: ``y = sat((x0*x1) >>r shift)``. Integer max and min: all
    operands have the type of the result. Float sum: ``sum ci*xi``. ``relu`` (float) clamps below
    at 0.
    """

    name = "quant.eltwise"
    xs = var_operand_def(AnyTensor)
    kind = prop_def(EltwiseKindAttr)
    multipliers = opt_prop_def(I64S)
    coefficients = opt_prop_def(DenseArrayBase.constr(f32))
    shift = prop_def(I64, default_value=ZERO)
    relu = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    y = result_def(AnyTensor)
    traits = traits_def(Pure(), WideSums(), Strided())
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
        if kind in EXTREMES:
            same = all(x.type == self.y.type for x in self.xs)
            require(same, self, f"an integer {kind} takes operands of the result's type")

    def rows_needed(self) -> RowWindow:
        return self.rows_alike()

    def is_image_by_image(self) -> bool:
        return True

    def meaning(self, inputs: Sequence[Array]) -> Array:
        kind = self.kind.data
        if types.is_float(self.y):
            y = reduce(_MERGE[kind], self._scaled(inputs))
            return np.maximum(y, 0) if self.relu.value.data else y
        if kind in EXTREMES:
            return reduce(_MERGE[kind], inputs)
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
    EltwiseKind.MIN: np.minimum,
}


# -- tensors that repeat ---------------------------------------------------------------------------


class BinaryKind(StrEnum):
    """What is made of two numbers; a comparison gives 1 or 0."""

    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    DIV = "div"
    MAX = "max"
    MIN = "min"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    EQ = "eq"
    NE = "ne"
    POW = "pow"


@irdl_attr_definition
class BinaryKindAttr(EnumAttribute[BinaryKind], SpacedOpaqueSyntaxAttribute):
    name = "quant.binary_kind"


MEANINGS: dict[BinaryKind, Callable[[Array, Array], Array]] = {
    BinaryKind.ADD: np.add,
    BinaryKind.SUB: np.subtract,
    BinaryKind.MUL: np.multiply,
    BinaryKind.DIV: np.divide,
    BinaryKind.MAX: np.maximum,
    BinaryKind.MIN: np.minimum,
    BinaryKind.GT: np.greater,
    BinaryKind.GE: np.greater_equal,
    BinaryKind.LT: np.less,
    BinaryKind.LE: np.less_equal,
    BinaryKind.EQ: np.equal,
    BinaryKind.NE: np.not_equal,
    BinaryKind.POW: np.power,
}


class BroadcastingOp(QuantOp):
    """Float operands of one rank; where an extent is 1 it repeats, as in numpy."""

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, *[True] * (len(self.operands) + 1))
        shapes = [types.shape_of(x) for x in self.operands]
        require(len({len(s) for s in shapes}) == 1, self, "operands must have one rank")
        extents = [{e for e in axis if e != 1} for axis in zip(*shapes, strict=True)]
        require(all(len(e) <= 1 for e in extents), self, f"shapes {shapes} do not broadcast")
        expected = tuple(next(iter(e), 1) for e in extents)
        given = types.shape_of(self.results[0])
        require(given == expected, self, f"the result is {given}, the operands give {expected}")

    def rows_needed(self) -> RowWindow | None:
        alike = {types.shape_of(x)[ROWS] for x in (*self.operands, *self.results)}
        return self.rows_alike() if len(alike) == 1 else None

    def is_image_by_image(self) -> bool:
        return True


@irdl_op_definition
class BinaryOp(BroadcastingOp):
    """``y = a KIND b``, float32; ranks are equal and an extent of 1 repeats, as in numpy.

    A comparison gives 1 or 0. ``pow`` is defined for a > 0 (a = 0 counts as the least normal
    number).
    """

    name = "quant.binary"
    kind = prop_def(BinaryKindAttr)
    a = operand_def(AnyTensor)
    b = operand_def(AnyTensor)
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = (
        "$kind $a `,` $b `tops` $tops attr-dict `:` type($a) `,` type($b) `->` type($y)"
    )

    def meaning(self, inputs: Sequence[Array]) -> Array:
        a, b = inputs
        with np.errstate(all="ignore"):
            return MEANINGS[self.kind.data](a, b).astype(np.float32)


@irdl_op_definition
class SelectOp(BroadcastingOp):
    """``y = condition > 0 ? a : b``, float32; ranks are equal and an extent of 1 repeats."""

    name = "quant.select"
    condition = operand_def(AnyTensor)
    a = operand_def(AnyTensor)
    b = operand_def(AnyTensor)
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = (
        "$condition `,` $a `,` $b `tops` $tops attr-dict"
        " `:` type($condition) `,` type($a) `,` type($b) `->` type($y)"
    )

    def meaning(self, inputs: Sequence[Array]) -> Array:
        condition, a, b = inputs
        return np.where(condition > 0, a, b)


@irdl_op_definition
class ConstantOp(QuantOp):
    """A float32 constant as a tensor, or the int32 of a host layer."""

    name = "quant.constant"
    value = prop_def(ConstantAttr)
    y = result_def(AnyTensor)
    traits = traits_def(Pure(), HoldsIndices())
    assembly_format = "$value `tops` $tops attr-dict `:` type($y)"

    def verify_(self) -> None:
        super().verify_()
        kind = "int32" if types.is_index(self.y) else "float32"
        require(types.is_index(self.y) or types.is_float(self.y), self, "a constant is no 8 bit")
        require(self.value.shape == types.shape_of(self.y), self, "the value has another shape")
        require(self.value.data.dtype == kind, self, f"the value must be {kind}")

    def meaning(self, inputs: Sequence[Array]) -> Array:
        return self.value.array


BINARY_OPS = [BinaryOp, SelectOp, ConstantOp]
