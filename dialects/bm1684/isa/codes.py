"""Numbers that stand for something in instruction fields."""

from __future__ import annotations

from enum import IntEnum


class Precision(IntEnum):
    """``opt_*_prec``: the element type of a TIU operand."""

    INT8 = 0
    FP16 = 1
    FP32 = 2
    INT16 = 3
    INT32 = 4


class Eu(IntEnum):
    """``tsk_eu_typ``: the operation of the execution units."""

    MUL = 0
    MAC = 1
    ADD = 2
    SUB = 3
    MAX = 4
    MIN = 5
    SHIFT = 6
    AND = 7
    OR = 8
    XOR = 9
    SELECT_GT = 10
    SELECT_EQ = 11
    DIV = 12
    TAYLOR = 13
    FLOAT_TO_INT = 14
    EXPONENT = 15
    POWER_OF_TWO = 16
    RSQRT = 17
    COPY = 19
    SQUARE_SUM = 20
    SQUARE_DIFFERENCE = 21
    COMPARE = 22
    SELECT = 23
    COMPARE_SELECT = 24


class StrideMode(IntEnum):
    """``short_*_str``: where the strides of a TIU operand come from."""

    ALIGNED = 0
    COMPACT = 1
    COMPACT_2 = 2
    EXPLICIT = 3


class Format(IntEnum):
    """``*_data_format``: the element type of a GDMA tensor. FP32 moves any 32-bit words."""

    FP32 = 0
    INT16 = 1
    UINT8 = 2
    INT8 = 3
    FP16 = 4

    @property
    def nbytes(self) -> int:
        """Bytes of one element."""
        return (4, 2, 1, 1, 2)[self]


class Direction(IntEnum):
    """``direction``: from which memory to which; the system side is DDR or L2."""

    SYSTEM_TO_LOCAL = 0
    LOCAL_TO_SYSTEM = 1
    SYSTEM_TO_SYSTEM = 2
    LOCAL_TO_LOCAL = 3

    @property
    def from_local(self) -> bool:
        """Whether the source is local memory."""
        return self in (Direction.LOCAL_TO_SYSTEM, Direction.LOCAL_TO_LOCAL)

    @property
    def to_local(self) -> bool:
        """Whether the destination is local memory."""
        return self in (Direction.SYSTEM_TO_LOCAL, Direction.LOCAL_TO_LOCAL)
