"""Eltwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, TensorType, f32
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute, SSAValue
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

from dialects.ufw import shapes
from dialects.ufw.facts import FloatArray, TakesReLU
from dialects.ufw.layer import LayerOp, Top, shape_of
from dialects.ufw.shapes import Shape, require


class EltwiseOperation(StrEnum):
    SUM = "sum"
    PRODUCT = "product"
    MAX = "max"


@irdl_attr_definition
class EltwiseOperationAttr(EnumAttribute[EltwiseOperation], SpacedOpaqueSyntaxAttribute):
    name = "ufw.eltwise_operation"


@irdl_op_definition
class EltwiseOp(LayerOp):
    """Sum, product or maximum of two or more tensors of one shape.

    ``coefficients``, one an input, multiply the inputs of a sum; without them all are 1.
    """

    name = "ufw.eltwise"

    bottoms = var_operand_def(TensorType)
    operation = prop_def(EltwiseOperationAttr)
    coefficients = opt_prop_def(DenseArrayBase.constr(f32))
    top = result_def(TensorType)

    traits = traits_def(Pure(), TakesReLU())
    assembly_format = (
        "$operation $tops $bottoms (`coefficients` $coefficients^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottoms: Sequence[SSAValue],
        top: Top,
        operation: EltwiseOperation,
        coefficients: Sequence[float] | None = None,
    ) -> None:
        settings = {
            "operation": EltwiseOperationAttr(operation),
            "coefficients": coefficients and [float(c) for c in coefficients],
        }
        self.setup([bottoms], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        return [shapes.eltwise([shape_of(bottom) for bottom in self.bottoms])]

    def verify_layer(self) -> None:
        if self.coefficients is None:
            return
        require(self.operation.data is EltwiseOperation.SUM, "only a sum has coefficients")
        require(
            len(self.coefficients) == len(self.bottoms),
            f"{len(self.coefficients)} coefficient(s) for {len(self.bottoms)} inputs",
        )

    @property
    def has_integers(self) -> bool:
        return True

    @property
    def is_product(self) -> bool:
        return self.operation.data == EltwiseOperation.PRODUCT

    @property
    def sum_factors(self) -> list[float] | None:
        if self.operation.data != EltwiseOperation.SUM:
            return None
        if self.coefficients is None:
            return [1.0] * len(self.bottoms)
        return [float(value) for value in self.coefficients.get_values()]

    @property
    def operand_factors(self) -> list[float] | None:
        return None if self.is_product else self.sum_factors or [1.0] * len(self.bottoms)

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return min(self.sum_factors or [0.0]) >= 0 and all(nonnegative)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        if self.operation.data == EltwiseOperation.MAX:
            return [np.maximum.reduce(list(inputs))]
        factors = self.sum_factors
        if factors is None:
            return [np.multiply.reduce(list(inputs))]
        return [np.add.reduce([x * np.float32(f) for x, f in zip(inputs, factors, strict=True)])]
