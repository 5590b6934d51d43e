"""Layers of several tensors, number by number: Eltwise, arithmetic and comparison, choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, TensorType, f32
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute, SSAValue
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

from dialects.composed import Step
from dialects.constant import ConstantAttr
from dialects.quant.eltwise import MEANINGS, BinaryKind, BinaryKindAttr
from dialects.ufw import shapes
from dialects.ufw.facts import FloatArray, TakesReLU
from dialects.ufw.layer import Coefficients, LayerOp, Top, shape_of
from dialects.ufw.shapes import Shape, checked, require, show


class EltwiseOperation(StrEnum):
    SUM = "sum"
    PRODUCT = "product"
    MAX = "max"
    MIN = "min"


STEP_OF = {
    EltwiseOperation.SUM: "add",
    EltwiseOperation.PRODUCT: "mul",
    EltwiseOperation.MAX: "max",
    EltwiseOperation.MIN: "min",
}
"""The steps of a composed function that they are."""
EXTREMES = {EltwiseOperation.MAX: np.maximum, EltwiseOperation.MIN: np.minimum}


@irdl_attr_definition
class EltwiseOperationAttr(EnumAttribute[EltwiseOperation], SpacedOpaqueSyntaxAttribute):
    name = "ufw.eltwise_operation"


@irdl_op_definition
class EltwiseOp(LayerOp):
    """Sum, product, maximum or minimum of two or more tensors of one shape.

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

    def steps(self, operands: Sequence[str]) -> list[Step]:
        name = STEP_OF[self.operation.data]
        steps, terms = list[Step](), list(operands)
        for i, factor in enumerate(self.sum_factors or []):
            if factor != 1:
                steps.append(Step(f"_term{i}", "mul", (terms[i], factor)))
                terms[i] = f"_term{i}"
        last, found = len(terms) - 1, terms[0]
        for i, term in enumerate(terms[1:], 1):
            target = "" if i == last else f"_part{i}"
            steps.append(Step(target, name, (found, term)))
            found = target
        return steps

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        extreme = EXTREMES.get(self.operation.data)
        if extreme is not None:
            return [extreme.reduce(list(inputs))]
        factors = self.sum_factors
        if factors is None:
            return [np.multiply.reduce(list(inputs))]
        return [np.add.reduce([x * np.float32(f) for x, f in zip(inputs, factors, strict=True)])]


# -- tensors that repeat ---------------------------------------------------------------------------


def broadcast(*operands: Shape) -> Shape:
    """numpy's rule: shapes are aligned at their ends, and an extent of 1 repeats."""
    try:
        return checked(np.broadcast_shapes(*operands))
    except ValueError:
        listed = ", ".join(map(show, operands))
        require(False, f"tensors of {listed} cannot be combined")
        raise


INTEGER_KINDS = (
    BinaryKind.ADD, BinaryKind.SUB, BinaryKind.MUL, BinaryKind.MAX, BinaryKind.MIN,
)  # fmt: skip
COMPARISONS = (
    BinaryKind.GT, BinaryKind.GE, BinaryKind.LT, BinaryKind.LE, BinaryKind.EQ, BinaryKind.NE,
)  # fmt: skip


@irdl_op_definition
class BinaryOp(LayerOp):
    """``y = a KIND b``, where dimensions repeat as in numpy; a comparison gives 1 or 0.

    With one bottom b is ``constant``, or a where it is ``swapped``.
    """

    name = "ufw.binary"

    bottoms = var_operand_def(TensorType)
    kind = prop_def(BinaryKindAttr)
    constant = opt_prop_def(ConstantAttr)
    swapped = prop_def(BoolAttr, default_value=BoolAttr.from_bool(False))
    top = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$kind $tops $bottoms (`constant` $constant^)? (`swapped` $swapped^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottoms: Sequence[SSAValue],
        top: Top,
        kind: BinaryKind,
        constant: Coefficients | None = None,
        swapped: bool = False,
    ) -> None:
        settings = {"kind": BinaryKindAttr(kind), "constant": constant, "swapped": swapped}
        self.setup([bottoms], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        operands = [shape_of(bottom) for bottom in self.bottoms]
        if self.constant is not None:
            operands.append(self.constant.shape)
        require(len(operands) == 2, f"two operands are required, there are {len(operands)}")
        return [broadcast(*operands)]

    @property
    def has_integers(self) -> bool:
        return self.kind.data in INTEGER_KINDS and self.constant is None

    @property
    def is_product(self) -> bool:
        return self.kind.data is BinaryKind.MUL and self.constant is None

    @property
    def is_bounded(self) -> bool:
        return self.kind.data in COMPARISONS

    @property
    def sum_factors(self) -> list[float] | None:
        if self.constant is not None:
            return None
        return {BinaryKind.ADD: [1.0, 1.0], BinaryKind.SUB: [1.0, -1.0]}.get(self.kind.data)

    @property
    def operand_factors(self) -> list[float] | None:
        if self.kind.data in (BinaryKind.MAX, BinaryKind.MIN) and self.constant is None:
            return [1.0, 1.0]
        return self.sum_factors

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        kind, flags = self.kind.data, list(nonnegative)
        if self.constant is not None:
            flags.append(bool((self.constant.array >= 0).all()))
        if kind in COMPARISONS:
            return True
        if kind is BinaryKind.MAX:
            return any(flags)
        return all(flags) and kind is not BinaryKind.SUB

    def steps(self, operands: Sequence[str]) -> list[Step] | None:
        given: list[str | float] = list(operands)
        if self.constant is not None:
            if self.constant.array.size != 1:
                return None
            given.append(float(self.constant.array.item()))
        if self.swapped.value.data:
            given.reverse()
        kind = self.kind.data
        return None if kind is BinaryKind.POW else [Step("", kind.value, tuple(given))]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        operands = list(inputs)
        if self.constant is not None:
            operands.append(self.constant.array)
        if self.swapped.value.data:
            operands.reverse()
        return [MEANINGS[self.kind.data](*operands).astype(np.float32)]


@irdl_op_definition
class SelectOp(LayerOp):
    """``y = condition != 0 ? a : b``, where dimensions repeat as in numpy."""

    name = "ufw.select"

    condition = operand_def(TensorType)
    a = operand_def(TensorType)
    b = operand_def(TensorType)
    top = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $condition `,` $a `,` $b attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottoms: Sequence[SSAValue], top: Top) -> None:
        self.setup(list(bottoms), [top], {})

    def infer_shapes(self) -> list[Shape]:
        return [broadcast(*(shape_of(x) for x in self.operands))]

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return all(nonnegative[1:])

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        condition, a, b = inputs
        return [np.where(condition != 0, a, b)]


@irdl_op_definition
class ParameterOp(LayerOp):
    """A constant: a layer without bottoms whose result is its blob."""

    name = "ufw.parameter"

    value = prop_def(ConstantAttr)
    top = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = "$tops $value attr-dict `:` type($top)"

    def __init__(self, top: Top, value: Coefficients) -> None:
        self.setup([], [top], {"value": value})

    def infer_shapes(self) -> list[Shape]:
        return [self.value.shape]

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return bool((self.value.array >= 0).all())

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [self.value.array]
