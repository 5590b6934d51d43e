"""What all ops of the quant dialect share."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from numpy.typing import NDArray
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
from xdsl.irdl import IRDLOperation, operand_def, prop_def, result_def, traits_def
from xdsl.traits import OpTrait, Pure
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.hints import isa

from dialects.quant import types
from dialects.quant.windows import ROWS, RowWindow

Array = NDArray[Any]
AnyTensor = TensorType[Attribute]
PART = "quant.part"
"""An attribute of ops that compute a part of a tensor: for each axis that is cut the axis, the
first index of the part, and the extent of the whole."""
PIECES = "quant.pieces"
"""An attribute of ops whose result holds pieces of an image as groups of its channels, some rows of
which are those of the network: the rows of the whole, then for each piece the first such row in it,
how many there are, and the number of the first in the whole."""
CHANNEL_ORDER = "quant.channel_order"
"""An attribute of ops whose result has its channels in another order than the network's tensor:
for each channel its number there."""
CHANNELS_LAST = "quant.channels_last"
"""An attribute of ops whose result is an image, [n, channels, height, width], of what has its
channels last in the network: its shape there."""
I64 = IntegerAttr.constr(i64)
I64S = DenseArrayBase.constr(i64)
ZERO = IntegerAttr(0, i64)
ONE = IntegerAttr(1, i64)


@lru_cache(4096, typed=True)
def int_attr(value: int) -> IntegerAttr:
    """An integer as an attribute."""
    return IntegerAttr(value, i64)


def i64s(values: Sequence[int]) -> DenseArrayBase[IntegerType]:
    """A list of integers as an attribute."""
    return DenseArrayBase.from_list(i64, list(values))


def ints(attr: DenseArrayBase[IntegerType]) -> tuple[int, ...]:
    """The integers of an attribute."""
    return attr.get_values()


class Strided(OpTrait):
    """The kernel of the op reads and writes rows of a larger tensor as they lie in DDR."""


class WideSums(OpTrait):
    """The kernel of the op holds 16-bit numbers where operands and result have 8 bits."""


class HoldsIndices(OpTrait):
    """The tensors of the op may be the i32 of host layers."""


class QuantOp(IRDLOperation, ABC):
    """One op of the quant level, and the facts about it that passes ask for.

    ``tops`` names the result as the network does (the blob's unique name); the compare finds the
    tensor by it. A result that the network does not have is named "". An op that overrides none
    of the facts is never cut into slices or strips.
    """

    tops = prop_def(ArrayAttr[StringAttr])

    def verify_(self) -> None:
        require(len(self.tops.data) == 1, self, "tops names the one result")
        for value in (*self.operands, *self.results):
            index = self.has_trait(HoldsIndices) and types.is_index(value)
            valid = index or types.is_valid(value)
            require(valid, self, "tensors hold f32, or si8 or ui8 with a scale > 0")
        if PIECES in self.attributes:
            _verify_pieces(self)

    @property
    def top(self) -> str:
        """The name of the (only) result."""
        return self.tops.data[0].data

    def meaning(self, inputs: Sequence[Array]) -> Array:
        """The result, computed in numpy: exact integers, or float32. Inputs and result have the
        dtype and the shape of the op's types."""
        raise NotImplementedError(f"{self.name} does not define its meaning")

    @classmethod
    def states_meaning(cls) -> bool:
        """Whether the op defines its meaning."""
        return cls.meaning is not QuantOp.meaning

    def rows_needed(self) -> RowWindow | None:
        """Which rows of its operands a row of the result needs, for tensors of rank 4; None where
        the result is not made row by row."""
        return None

    def row_window(self) -> RowWindow | None:
        """``rows_needed`` where all tensors have rank 4 and no row of the result lies wholly in
        the padding; else None."""
        if any(len(types.shape_of(value)) != 4 for value in (*self.operands, *self.results)):
            return None
        window = self.rows_needed()
        return window if window is not None and window.pad < window.extent else None

    def with_row_padding(self, above: int, below: int) -> Mapping[str, Attribute]:
        """The properties that differ in a copy of the op on some rows of its tensors, where at most
        so many rows of its padding are left above and below them."""
        return {}

    def is_image_by_image(self) -> bool:
        """Whether an image of the result is made of the same image of the operands, where all
        have as many."""
        return False

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights that a copy of the op loads again."""
        return 0

    def rows_alike(self) -> RowWindow:
        """The window of an op whose result row r needs row r of each operand."""
        return RowWindow(*row_counts(self))


def pieces_of(op: Operation) -> tuple[int, list[tuple[int, ...]]] | None:
    """The rows of the whole image, and the three numbers of each piece; None without pieces."""
    given = op.attributes.get(PIECES)
    if not isa(given, DenseArrayBase[IntegerType]) or not len(given):
        return None
    whole, *numbers = ints(given)
    return whole, [tuple(numbers[i : i + 3]) for i in range(0, len(numbers), 3)]


def _verify_pieces(op: QuantOp) -> None:
    found, shape = pieces_of(op), types.shape_of(op.results[0])
    rank = found is not None and len(shape) == 4
    require(rank, op, f"{PIECES} is a list of integers, of a result of rank 4")
    assert found is not None
    whole, pieces = found
    three = bool(pieces) and len(pieces[-1]) == 3 and shape[1] % len(pieces) == 0
    require(three, op, f"{PIECES} has one number, and three for each group of channels")
    for row, count, first in pieces:
        inside = min(row, first) >= 0 < count and row + count <= shape[2] >= count
        text = f"{count} rows from {row} on, {first} in the whole, lie outside"
        require(inside and first + count <= whole, op, text)


class UnaryOp(QuantOp):
    """One operand x, one result y."""

    x = operand_def(AnyTensor)
    y = result_def(AnyTensor)
    traits = traits_def(Pure())
    assembly_format = "$x `tops` $tops attr-dict `:` type($x) `->` type($y)"

    def meaning(self, inputs: Sequence[Array]) -> Array:
        return self.result_of(inputs[0])

    def result_of(self, x: Array) -> Array:
        """The result of the one operand."""
        raise NotImplementedError(f"{self.name} does not define its meaning")

    @classmethod
    def states_meaning(cls) -> bool:
        return (cls.meaning, cls.result_of) != (UnaryOp.meaning, UnaryOp.result_of)


def row_counts(op: QuantOp) -> tuple[int, int]:
    """Rows of the first operand and of the result."""
    return types.shape_of(op.operands[0])[ROWS], types.shape_of(op.results[0])[ROWS]


def row_padding(
    pad: DenseArrayBase[IntegerType], above: int, below: int
) -> Mapping[str, Attribute]:
    """The property ``pad`` (top, bottom, left, right) with at most so many rows."""
    top, bottom, left, right = ints(pad)
    return {"pad": i64s([min(top, above), min(bottom, below), left, right])}


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


def require_floats(op: Operation, *expected: bool) -> None:
    """Check which values are float32 (True) and which hold 8-bit integers, operands first."""
    kinds = tuple(types.is_float(value) for value in (*op.operands, *op.results))
    words = ", ".join("float" if one else "8 bit" for one in expected)
    require(kinds == expected, op, f"operands and result must be {words}")


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
