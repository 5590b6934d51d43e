"""The product, sum or maximum of up to ten tensors of one shape."""

from __future__ import annotations

import struct
from collections.abc import Sequence
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
from dialects.c_struct import FLOAT, I8, U8, U32, CStruct, Values, bytes_of

PRODUCT, SUM, MAX = range(3)
MOST = 10
"""Operands."""
LARGEST = 127
"""A factor of 8-bit numbers."""


@irdl_op_definition
class EltwiseOp(RecordOp):
    """``op`` of tensors of one shape: PRODUCT, SUM or MAX. A sum has a factor for each operand in
    ``extra``: the bits of a float32, or for 8 bits an integer of 0 to 127.

    8-bit sum: of ``rnd(x * factor >> shift)``, saturated after each operand. ``signs`` are those of
    the operands; the result has the sign of the first. The firmware goes wrong for the others of 8
    bits.
    """

    name = "record.eltwise"
    RECORD: ClassVar = Record(
        number=10,
        struct=CStruct(
            channels=U32, op=U8, count=U8, relu=U8, signs=bytes_of(MOST), shifts=I8 * MOST,
            relu_limit=FLOAT,
        ).with_defaults(relu_limit=-1.0, signs=(1,) * MOST),
    )  # fmt: skip

    @classmethod
    def sources(cls, v: Values, extra: Sequence[int]) -> list[Source]:
        return [Source(f"x{i}") for i in range(v["count"])]

    @classmethod
    def has_words(cls, v: Values) -> bool:
        return v["op"] == SUM

    @classmethod
    def check(cls, v: Values) -> None:
        needs(v["op"] in (PRODUCT, SUM, MAX), f"there is no operation {v['op']}")
        needs(2 <= v["count"] <= MOST, f"it takes 2 to {MOST} operands, not {v['count']}")

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        needs(len(set(xs)) == 1, f"operands of {xs}: the shapes differ")
        needs(len(extra) == (v["count"] if v["op"] == SUM else 0), "a sum has a factor an operand")
        return [xs[0]]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, op = call.values, call.values["op"]
        if call.xs[0].dtype == np.float32:
            if op == SUM:
                pairs = zip(call.xs, map(as_float, call.extra), strict=True)
                y = sum((x * factor for x, factor in pairs), np.float32(0))
            else:
                y = (np.multiply if op == PRODUCT else np.maximum).reduce(list(call.xs))
            return [limited(np.asarray(y, np.float32), v["relu"], v["relu_limit"])]
        needs(op == SUM, "the firmware has no factors for a product or a maximum of 8 bits")
        needs(max(call.extra) <= LARGEST, f"a factor is greater than {LARGEST}")
        total = np.zeros(call.xs[0].shape, np.int64)
        for x, factor, sign, shift in zip(
            call.xs, call.extra, v["signs"], v["shifts"], strict=False
        ):
            total = total + rounded(signed(x, sign) * factor, shift)
            total = eight_bits(total, v["signs"][0]).astype(np.int64)
        return [eight_bits(np.maximum(total, 0) if v["relu"] else total, v["signs"][0])]


def as_float(word: int) -> np.float32:
    """The float32 whose bits are a word."""
    return np.float32(struct.unpack("<f", struct.pack("<I", word))[0])


ELTWISE_OPS: list[type[RecordOp]] = [EltwiseOp]
