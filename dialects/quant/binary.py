"""Arithmetic of two float32 tensors that repeat as in numpy, and the choice between two."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute
from xdsl.irdl import (
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.str_enum import StrEnum

from dialects.quant import types
from dialects.quant.base import AnyTensor, Array, QuantOp, require, require_floats
from dialects.quant.windows import ROWS, RowWindow


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


BINARY_OPS = [BinaryOp, SelectOp]
