"""What the computing ops of the tile level compute, as enums."""

from __future__ import annotations

from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.utils.str_enum import StrEnum


class ArithKind(StrEnum):
    """Tensor arithmetic ``dst = a KIND b``."""

    MUL = "mul"
    MAC = "mac"  # dst + a * b
    ADD = "add"
    SUB = "sub"
    MAX = "max"
    MIN = "min"
    AND = "and"
    OR = "or"
    XOR = "xor"
    SHIFT = "shift"  # logical: a constant above 0 to the left, below 0 to the right
    COPY = "copy"
    GT = "gt"  # float32: 1 where a > b, else 0
    EQ = "eq"  # float32: 1 where a = b, else 0


class ScalarKind(StrEnum):
    """float32 arithmetic with a division."""

    MUL = "mul"
    ADD = "add"
    SUB = "sub"
    DIV = "div"


class SfuKind(StrEnum):
    """Special functions of float32."""

    TAYLOR = "taylor"  # x*(c0 + x*(c1 + ...))
    EXPONENT = "exponent"  # an integer
    POWER_OF_TWO = "power_of_two"  # 2^exponent
    RSQRT = "rsqrt"
    TO_INTEGER = "to_integer"  # truncates


@irdl_attr_definition
class ArithKindAttr(EnumAttribute[ArithKind], SpacedOpaqueSyntaxAttribute):
    name = "tile.arith_kind"


@irdl_attr_definition
class ScalarKindAttr(EnumAttribute[ScalarKind], SpacedOpaqueSyntaxAttribute):
    name = "tile.scalar_kind"


@irdl_attr_definition
class SfuKindAttr(EnumAttribute[SfuKind], SpacedOpaqueSyntaxAttribute):
    name = "tile.sfu_kind"
