"""What all ops of the quant dialect share."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence

from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    IntegerAttr,
    IntegerType,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.ir import Attribute, Operation
from xdsl.irdl import IRDLOperation, prop_def
from xdsl.utils.exceptions import VerifyException

from dialects.quant import types

AnyTensor = TensorType[Attribute]
PART = "quant.part"
"""An attribute of ops that compute a part of a tensor: for each axis that is cut the axis, the
first index of the part, and the extent of the whole."""
I64S = DenseArrayBase.constr(i64)


def int_attr(value: int) -> IntegerAttr:
    """An integer as an attribute."""
    return IntegerAttr(value, i64)


def i64s(values: Sequence[int]) -> DenseArrayBase[IntegerType]:
    """A list of integers as an attribute."""
    return DenseArrayBase.from_list(i64, list(values))


def ints(attr: DenseArrayBase[IntegerType]) -> tuple[int, ...]:
    """The integers of an attribute."""
    return attr.get_values()


class QuantOp(IRDLOperation, ABC):
    """One op of the quant level.

    ``tops`` names the result as the network does (the blob's unique name); the compare finds the
    tensor by it. A result that the network does not have is named "".
    """

    tops = prop_def(ArrayAttr[StringAttr])

    def verify_(self) -> None:
        require(len(self.tops.data) == 1, self, "tops names the one result")
        for value in (*self.operands, *self.results):
            require(types.is_valid(value), self, "tensors hold f32, or si8 or ui8 with a scale > 0")

    @property
    def top(self) -> str:
        """The name of the (only) result."""
        return self.tops.data[0].data


def require(condition: bool, op: Operation, message: str) -> None:
    """Raise VerifyException with the op's name unless the condition holds."""
    if not condition:
        raise VerifyException(f"{op.name}: {message}")


def require_ints(
    op: Operation, name: str, attr: DenseArrayBase[IntegerType], count: int, least: int
) -> None:
    """Check a property that lists integers."""
    good = len(attr) == count and all(v >= least for v in ints(attr))
    require(good, op, f"{name} must be {count} integers of at least {least}")


def require_shift(op: Operation, shift: IntegerAttr) -> None:
    """Check a right shift of 32-bit integers."""
    require(0 <= shift.value.data <= 31, op, "shift must be 0 to 31")


def require_axis(op: Operation, axis: int) -> None:
    """Check that every operand and result has that dimension."""
    for value in (*op.operands, *op.results):
        rank = len(types.shape_of(value))
        require(0 <= axis < rank, op, f"there is no axis {axis} in a tensor of rank {rank}")


def require_floats(op: Operation, *wanted: bool) -> None:
    """Check which values are float32 (True) and which hold 8-bit integers, operands first."""
    kinds = tuple(types.is_float(value) for value in (*op.operands, *op.results))
    words = ", ".join("float" if one else "8 bit" for one in wanted)
    require(kinds == wanted, op, f"operands and result must be {words}")


def one_kind(op: Operation) -> None:
    """Check that all values are float32, or none is."""
    kinds = {types.is_float(value) for value in (*op.operands, *op.results)}
    require(len(kinds) == 1, op, "operands and result must be all float or all 8 bit")


def same_scale(op: Operation) -> None:
    """Check that a data-moving op keeps element type and, for integers, scale."""
    result = op.results[0]
    for source in op.operands:
        kept = types.tensor_type(source).element_type == types.tensor_type(result).element_type
        equal = types.is_float(result) or types.scale_of(source) == types.scale_of(result)
        require(
            kept and equal,
            op,
            "moves data, so element type and scale of result and operand must be equal",
        )


def window_size(size: int, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """Output extent of a sliding window that stays inside the padded input (floor rounding)."""
    return (size + pad - ((kernel - 1) * dilation + 1)) // stride + 1
