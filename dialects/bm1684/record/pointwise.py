"""Records that compute each element from the same element of one or two tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.bm1684.record.base import (
    Array,
    Call,
    Record,
    RecordOp,
    Shape,
    Source,
    eight_bits,
    limited,
    needs,
    rounded,
    signed,
)
from dialects.c_struct import FLOAT, I8, INT, U8, U32, U64, CStruct, Values, bytes_of, ints

ADD, SUB, MUL, DIV, MAX, MIN = 0, 1, 2, 3, 4, 10000
GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, EQUAL, NOT_EQUAL = range(10001, 10007)
BINARY: dict[int, Callable[[Array, Array], Array]] = {
    ADD: np.add,
    SUB: np.subtract,
    MUL: np.multiply,
    DIV: np.divide,
    MAX: np.maximum,
    MIN: np.minimum,
    GREATER: np.greater,
    GREATER_EQUAL: np.greater_equal,
    LESS: np.less,
    LESS_EQUAL: np.less_equal,
    EQUAL: np.equal,
    NOT_EQUAL: np.not_equal,
}
"""What is made of two numbers, by its code; a comparison gives 1 or 0."""


def _of_floats(code: int, a: Array, b: Array) -> Array:
    with np.errstate(all="ignore"):
        return BINARY[code](a, b).astype(np.float32)


class SameShapeOp(RecordOp):
    """One operand, one result of its shape."""

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        return [xs[0]]


@irdl_op_definition
class BinaryOp(RecordOp):
    """``a OP b`` with numpy's repetition; b can be a coefficient, of the shape in the block.

    8 bits: ``sat(rnd(a * a_scale >> a_shift) OP rnd(b * b_scale >> b_shift))``, scales to 127; mul
    is ``sat(rnd(a * b * a_scale >> a_shift))`` with b_scale 1, b_shift 0. It saturates to uint8
    with ``relu`` or where all three are unsigned, else to int8.
    """

    name = "record.binary"
    RECORD: ClassVar = Record(
        number=31,
        struct=CStruct(
            a_rank=U8, a_is_coefficient=U8, b_rank=U8, b_is_coefficient=U8, op=INT, relu=U8,
            a_shape=ints(8), b_shape=ints(8), relu_limit=FLOAT, scratch=U64, a_scale=U8, b_scale=U8,
            a_shift=I8, b_shift=I8, a_sign=U8, b_sign=U8, output_sign=U8,
        ).with_defaults(relu_limit=-1.0, a_scale=1, b_scale=1, a_sign=1, b_sign=1, output_sign=1),
        tensors=("a", "b"),
    )  # fmt: skip

    @classmethod
    def sources(cls, v: Values, extra: Sequence[int]) -> list[Source]:
        return [Source(name, bool(v[f"{name}_is_coefficient"])) for name in "ab"]

    @classmethod
    def _shape(cls, v: Values, name: str) -> Shape:
        return tuple(v[f"{name}_shape"][: v[f"{name}_rank"]])

    @classmethod
    def check(cls, v: Values) -> None:
        needs(v["op"] in BINARY, f"there is no operation {v['op']}")
        needs(max(v["a_rank"], v["b_rank"]) <= 8, "more than 8 dimensions")
        needs(max(v["a_scale"], v["b_scale"]) <= 127, "a scale is at most 127")
        narrow = v["op"] == MUL and (v["a_scale"], v["a_shift"]) == (1, 0)
        unsigned = not (v["a_sign"] or v["b_sign"] or v["output_sign"])
        needs(not (narrow and unsigned), "products of unsigned numbers with scale 1 and shift 0"
              " have 16 bits: take 2 and 1")

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        left = iter(xs)
        shapes = [cls._shape(v, s.name) if s.is_coefficient else next(left)
                  for s in cls.sources(v, extra)]  # fmt: skip
        a, b = shapes
        needs(len(a) == len(b), f"operands of {a} and {b}: the ranks differ")
        needs(all(m == n or 1 in (m, n) for m, n in zip(a, b, strict=True)),
              f"operands of {a} and {b} do not fit")
        return [tuple(max(m, n) for m, n in zip(a, b, strict=True))]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, left = call.values, iter(call.xs)
        is_float = call.xs[0].dtype == np.float32
        operands: list[Array] = []
        for source in cls.sources(v, ()):
            if source.is_coefficient:
                shape = cls._shape(v, source.name)
                kind = np.float32 if is_float else np.uint8
                x = call.coefficient(source.name, kind, int(np.prod(shape))).reshape(shape)
            else:
                x = next(left)
            operands.append(signed(x, v[f"{source.name}_sign"]))
        a, b = operands
        if is_float:
            return [limited(_of_floats(v["op"], a, b), v["relu"], v["relu_limit"])]
        if v["op"] == MUL:
            total = rounded(a * b * v["a_scale"], v["a_shift"])
        else:
            a, b = (
                rounded(x * v[f"{name}_scale"], v[f"{name}_shift"])
                for x, name in ((a, "a"), (b, "b"))
            )
            total = BINARY[v["op"]](a, b)
        wide = v["relu"] or not (v["a_sign"] or v["b_sign"] or v["output_sign"])
        return [eight_bits(total, int(not wide))]


@irdl_op_definition
class ConstBinaryOp(SameShapeOp):
    """``x OP value`` of floats; ``inversed``: ``value OP x``."""

    name = "record.const_binary"
    RECORD: ClassVar = Record(
        number=32,
        struct=CStruct(
            value=FLOAT, op=INT, inversed=U8, relu=U8, relu_limit=FLOAT, scale=bytes_of(2),
            shift=bytes_of(2), input_sign=U8, output_sign=U8, unused_22=bytes_of(2),
        ).with_defaults(relu_limit=-1.0, scale=(1, 1), input_sign=1, output_sign=1),
    )  # fmt: skip

    @classmethod
    def check(cls, v: Values) -> None:
        needs(v["op"] in BINARY, f"there is no operation {v['op']}")

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, x = call.values, call.xs[0]
        needs(x.dtype == np.float32, "of floats only")
        operands: list[Array] = [x, np.array(v["value"], np.float32)]
        a, b = reversed(operands) if v["inversed"] else operands
        return [limited(_of_floats(v["op"], a, b), v["relu"], v["relu_limit"])]


ROUND_AWAY, TRUNCATE = 0, 6
FLOAT_CODE, INT8_CODE, UINT8_CODE = 0, 2, 3
CODE_OF: dict[type[np.generic], int] = {
    np.float32: FLOAT_CODE, np.int8: INT8_CODE, np.uint8: UINT8_CODE,
}  # fmt: skip


@irdl_op_definition
class ConvertOp(SameShapeOp):
    """Another element type: float32 to 8 bits, rounded and saturated, or the other way.

    ``round``: 0 the nearest, halves away from 0, as ``trunc(x + copysign(0.5, x))``; 6 towards 0.
    """

    name = "record.convert"
    RECORD: ClassVar = Record(
        number=74,
        struct=CStruct(source=INT, result=INT, input_mode=INT, output_mode=INT, round=INT)
        .with_defaults(),
    )  # fmt: skip

    @classmethod
    def check(cls, v: Values) -> None:
        needs({v["source"], v["result"]} <= {FLOAT_CODE, INT8_CODE, UINT8_CODE},
              "there are float (0), int8 (2) and uint8 (3)")
        needs(v["round"] in (ROUND_AWAY, TRUNCATE), f"there is no rounding {v['round']}")

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, x = call.values, call.xs[0]
        x = signed(x, int(v["source"] == INT8_CODE))
        if v["result"] == FLOAT_CODE:
            return [x.astype(np.float32)]
        if v["source"] == FLOAT_CODE:
            half = np.float32(0.5 if v["round"] == ROUND_AWAY else 0)
            x = np.clip(np.trunc(x + np.copysign(half, x)), -1000, 1000).astype(np.int64)
        return [eight_bits(x, int(v["result"] == INT8_CODE))]


@irdl_op_definition
class LookupOp(SameShapeOp):
    """``table[x]`` of 8-bit numbers: 256 words, of which the low byte counts, or with ``kind`` 0
    and ``is_float`` 0 of float32. ``kind`` 20 is a table of bytes."""

    name = "record.lookup"
    RECORD: ClassVar = Record(
        number=106,
        struct=CStruct(
            rank=U8, unused_1=U8, table_is_coefficient=U8, kind=U8, shape=ints(8), result=INT
        ).with_defaults(table_is_coefficient=1, kind=20, result=2),
        coefficients={"table": ""},
    )

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        x = call.xs[0]
        if call.values["result"] == 0:
            return [call.coefficient("table", np.float32, 256)[x]]
        return [call.coefficient("table", np.uint32, 256).astype(np.uint8)[x]]


FUNCTIONS: dict[int, Callable[[Array], Array]] = {
    0: np.tanh,
    1: lambda x: 1 / (1 + np.exp(-x)),
    3: np.exp,
    5: np.sqrt,
    7: lambda x: 1 / np.sqrt(x),
    8: np.abs,
    9: np.log,
    11: np.ceil,
    12: np.floor,
    13: np.sin,
    14: np.cos,
}
"""Functions of float32, by their code."""


@irdl_op_definition
class FunctionOp(SameShapeOp):
    """A function of FUNCTIONS, float32."""

    name = "record.function"
    RECORD: ClassVar = Record(
        number=35,
        struct=CStruct(
            channels=U32, function=INT, unused_8=U8, unused_12=FLOAT, scales=FLOAT * 2,
            signs=bytes_of(2),
        ).with_defaults(scales=(1.0, 1.0), signs=(1, 1)),
    )  # fmt: skip

    @classmethod
    def check(cls, v: Values) -> None:
        needs(v["function"] in FUNCTIONS, f"there is no function {v['function']}")

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        x = call.xs[0].astype(np.float64)
        with np.errstate(all="ignore"):
            return [FUNCTIONS[call.values["function"]](x).astype(np.float32)]


@irdl_op_definition
class PReluOp(SameShapeOp):
    """x where x >= 0, else x times the slope of its channel, or the ``shared`` one.

    8 bits: ``sat(rnd(x * slope >> shift))`` of negative numbers, int8 slopes.
    """

    name = "record.prelu"
    RECORD: ClassVar = Record(
        number=11,
        struct=CStruct(
            channels=U32, slope=FLOAT, shared=U8, shift=U8, relu_limit=FLOAT, input_sign=U8,
            output_sign=U8, slope_sign=U8,
        ).with_defaults(relu_limit=-1.0, input_sign=1, output_sign=1, slope_sign=1),
    )  # fmt: skip

    @classmethod
    def sources(cls, v: Values, extra: Sequence[int]) -> list[Source]:
        return [Source("x")] + ([] if v["shared"] else [Source("slope", True)])

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        channels = xs[0][1] if len(xs[0]) > 1 else 1
        needs(channels == v["channels"], f"{v['channels']} channels are needed, it is {xs[0]}")
        return [xs[0]]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, x = call.values, call.xs[0]
        is_float = x.dtype == np.float32
        x = signed(x, v["input_sign"])
        slope: Array = np.array([v["slope"]], np.float32)
        if not v["shared"]:
            slope = call.coefficient("slope", np.float32 if is_float else np.int8, v["channels"])
        if slope.size > 1:
            slope = slope.reshape(1, -1, *(1,) * (x.ndim - 2))
        if is_float:
            return [np.where(x >= 0, x, x * slope)]
        slope = slope.astype(np.int64)
        y = np.where(x >= 0, x, rounded(x * slope, v["shift"]))
        return [eight_bits(y, v["output_sign"])]


@irdl_op_definition
class SelectOp(RecordOp):
    """``condition != 0 ? a : b`` of float32 tensors of one shape, of rank 4 at most: of more the
    firmware leaves elements out."""

    name = "record.select"
    RECORD: ClassVar = Record(
        number=29,
        struct=CStruct(
            a_value=FLOAT, b_value=FLOAT, a_is_number=U8, b_is_number=U8, relu=U8,
            relu_limit=FLOAT, signs=bytes_of(8),
        ).with_defaults(relu_limit=-1.0, signs=(1, 0, 1, 0, 1, 1, 1, 0)),
        tensors=("condition", "a", "b"),
    )  # fmt: skip

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        needs(not v["a_is_number"] and not v["b_is_number"], "of three tensors only")
        needs(len({*xs}) == 1, f"operands of {[*xs]}: their shapes differ")
        needs(len(xs[0]) <= 4, f"{xs[0]} has more than 4 dimensions")
        return [xs[0]]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        condition, a, b = call.xs
        return [np.where(condition != 0, a, b)]


POINTWISE_OPS: list[type[RecordOp]] = [
    SelectOp, BinaryOp, ConstBinaryOp, ConvertOp, LookupOp, FunctionOp, PReluOp,
]  # fmt: skip
