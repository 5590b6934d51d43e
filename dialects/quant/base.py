"""What all ops of the quant dialect share."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence

from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
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
I64S = DenseArrayBase.constr(i64)


def i64s(values: Sequence[int]) -> DenseArrayBase[IntegerType]:
    """A list of integers as an attribute."""
    return DenseArrayBase.from_list(i64, list(values))


def ints(attr: DenseArrayBase[IntegerType]) -> tuple[int, ...]:
    """The integers of an attribute."""
    return attr.get_values()


class QuantOp(IRDLOperation, ABC):
    """One op of the quant level.

    ``tops`` names the result as the network does (the blob's unique name); the compare finds the
    tensor by it.
    """

    tops = prop_def(ArrayAttr[StringAttr])

    @property
    def top(self) -> str:
        """The name of the (only) result."""
        return self.tops.data[0].data


def require(condition: bool, op: Operation, message: str) -> None:
    """Raise VerifyException with the op's name unless the condition holds."""
    if not condition:
        raise VerifyException(f"{op.name}: {message}")


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
