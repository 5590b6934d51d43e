"""Cases of records that compute: windows, and element by element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dialects.bm1684.record import eltwise, pointwise, windows
from dialects.bm1684.record.base import Shape
from dialects.bm1684.record.stream import (
    N1,
    N4,
)
from passes.records.recorder import eight
from passes.records.windows import packed_weight
from tests.vendor.records.cases import (
    F32,
    I8,
    MAP,
    U8,
    Case,
    maps,
    numbers,
)


def conv(
    shape: Shape, outputs: int, kernel: tuple[int, int], *, group: int = 1, given: Any = F32,
    made: Any = F32, weight_type: Any = None, shift: int = 0, bias: bool = True, relu: int = 0,
    **settings: Any,
) -> Case:
    kind = weight_type or (F32 if given is F32 else I8)
    weight = numbers((outputs, shape[1] // group, *kernel), kind)
    coefficients = {"weight": packed_weight(weight, group)}
    if bias:
        small = numbers((outputs,), F32) if given is F32 else 100 * numbers((outputs,), F32)
        coefficients["bias"] = small if given is F32 else small.astype(np.int16)
    v: dict[str, Any] = {
        "channels": windows.joined(shape[1], outputs), "groups": group,
        "kernel": windows.joined(*kernel), "has_bias": int(bias), "relu": relu, **settings,
    }  # fmt: skip
    if given is not F32:
        v |= {
            "shift": shift, "input_sign": int(given is I8), "weight_sign": int(kind is I8),
            "bias_sign": 1, "output_sign": int(made is I8), "relu": int(made is U8),
        }  # fmt: skip
    return Case(v, maps(shape), (given,), made, coefficients)


CONVS = [
    conv((3, 5, 9, 8), 7, (3, 3), pad=(1, 2, 0, 1), stride=(2, 1)),
    conv((3, 6, 9, 8), 8, (3, 2), group=2, bias=False, relu=1, dilation=(2, 3)),
    conv((2, 4, 9, 8), 4, (3, 3), group=4, pad=(1, 1, 1, 1), dilation=(2, 1)),
    conv((1, 2, 20, 20), 3, (16, 2), pad=(15, 15, 0, 0)),
    conv((1, 2, 20, 20), 3, (16, 2), pad=(15, 9, 0, 0), stride=(7, 1)),
    conv((1, 2, 30, 20), 3, (16, 16), pad=(0, 1, 0, 15), stride=(15, 15)),
    conv((1, 2, 20, 20), 3, (16, 2), given=I8, made=I8, shift=8, pad=(15, 15, 0, 0), stride=(8, 1)),
    conv((5, 5, 9, 8), 7, (3, 3), given=I8, made=I8, shift=8, pad=(1, 2, 0, 1), stride=(2, 1)),
    conv((5, 6, 9, 8), 8, (3, 3), given=U8, made=U8, shift=9, group=2, dilation=(2, 2)),
    conv((5, 4, 9, 8), 4, (3, 3), given=U8, made=I8, shift=7, group=4, pad=(2, 1, 1, 2)),
    conv((5, 4, 9, 8), 4, (3, 3), given=I8, made=U8, shift=7, group=4, weight_type=U8),
    conv((3, 33, 7, 6), 3, (1, 1), given=I8, made=I8, shift=9, bias=False),
]


def pool(shape: Shape, kernel: tuple[int, int], kind: Any = F32, **settings: Any) -> Case:
    v = {
        "channels": shape[1], "kernel": windows.joined(*kernel), "input_sign": int(kind is not U8),
        "output_sign": int(kind is not U8), **settings,
    }  # fmt: skip
    return Case(v, maps(shape), (kind,), kind)


POOLS = [
    *[pool((5, 5, 9, 8), (3, 3), kind, pad=(1, 2, 0, 1), stride=(2, 2)) for kind in (F32, I8, U8)],
    *[pool((5, 5, 9, 8), (9, 8), kind, is_global=1) for kind in (F32, I8, U8)],
    pool((3, 5, 9, 8), (3, 2), is_average=1, pad=(1, 1, 0, 0), stride=(2, 1)),
    pool((3, 5, 9, 8), (3, 3), is_average=1, valid_only=1, pad=(1, 2, 0, 2), stride=(2, 3)),
    pool((3, 5, 9, 8), (9, 8), is_average=1, is_global=1),
]


def matrix(
    shapes: list[Shape], outputs: int, given: Any = F32, made: Any = F32, **settings: Any
) -> Case:
    count = int(np.prod(shapes[0][1:]))
    kind = F32 if given is F32 else I8
    coefficients = {"weight": numbers((count, outputs), kind)}
    v: dict[str, Any] = {"inputs": count, "outputs": outputs, **settings}
    if v.get("has_bias"):
        coefficients["bias"] = (100 * numbers((outputs,), F32)).astype(F32 if kind is F32 else "i2")
    if given is not F32:
        relu = int(made is U8)
        v |= {
            "input_sign": int(given is I8), "weight_sign": 1, "bias_sign": 1, "scale": 1.0,
            "output_sign": int(made is I8), "has_activation": relu, "activation": relu,
        }  # fmt: skip
    return Case(v, [[shape] for shape in shapes], (given,), made, coefficients)


MATRICES = [
    matrix([(5, 12), (3, 12)], 7, has_bias=1),
    matrix([(5, 3, 2, 2), (3, 3, 2, 2)], 7, has_activation=1, activation=1, transpose=1),
    matrix([(40, 9), (11, 9)], 1),
    matrix([(5, 3, 2, 2), (3, 3, 2, 2)], 7, I8, I8, has_bias=1, shift=7),
    matrix([(5, 12), (2, 12)], 7, U8, U8, shift=8),
]


def matmul(shapes: list[list[Shape]]) -> Case:
    a, b = shapes[0]
    v = {"a_shape": eight(a), "a_rank": len(a), "b_shape": eight(b), "b_rank": len(b)}
    return Case(v, shapes, (F32, F32))


MATMULS = [
    matmul([[(4, 5), (5, 6)], [(3, 2), (2, 6)]]),
    matmul([[(3, 2, 4, 5), (3, 2, 5, 6)], [(2, 2, 3, 4), (2, 2, 4, 5)]]),
    matmul([[(3, 4, 5), (1, 5, 6)], [(2, 4, 3), (1, 3, 6)]]),
]


def binary(
    op: int, a: Shape, b: Shape, kinds: Sequence[Any] = (F32, F32, F32),
    coefficient: bool = False, **settings: Any,
) -> Case:
    v: dict[str, Any] = {
        "op": op, "a_rank": len(a), "a_shape": eight(a), "b_rank": len(b), "b_shape": eight(b),
        "a_sign": int(kinds[0] is not U8), "b_sign": int(kinds[1] is not U8),
        "output_sign": int(kinds[2] is not U8), "b_is_coefficient": int(coefficient),
        "relu": int(kinds[2] is U8), **settings,
    }  # fmt: skip
    if coefficient:
        return Case(v, maps(a), kinds[:1], kinds[2], {"b": numbers(b, kinds[1])})
    both = maps(a, b)
    ones = [[1 if of == 1 else now for of, now in zip(shape, small, strict=True)]
            for shape, small in zip((a, b), both[1], strict=True)]  # fmt: skip
    return Case(v, [both[0], [tuple(each) for each in ones]], kinds[:2], kinds[2])


BINARIES = [
    *[binary(op, MAP, MAP) for op in pointwise.BINARY],
    binary(pointwise.ADD, MAP, (5, 4, 1, 1)),
    binary(pointwise.MUL, (1, 4, 1, 1), MAP),
    binary(pointwise.SUB, (5, 1, 9, 8), (1, 4, 1, 1)),
    binary(pointwise.MUL, MAP, (1, 4, 1, 1), coefficient=True, relu=1, relu_limit=0.5),
    binary(pointwise.ADD, MAP, MAP, (I8, I8, I8), a_scale=3, b_scale=127, a_shift=2, b_shift=7),
    binary(pointwise.MUL, MAP, (5, 4, 1, 1), (I8, U8, I8), a_scale=2, a_shift=8),
    binary(pointwise.MUL, MAP, MAP, (U8, U8, U8), a_scale=2, a_shift=8),
    binary(pointwise.MAX, MAP, MAP, (I8, I8, U8)),
    binary(pointwise.MIN, MAP, MAP, (U8, U8, U8)),
]


def const(op: int, value: float = 0.75, **settings: Any) -> Case:
    return Case({"op": op, "value": value, **settings}, maps(MAP))


CONSTS = [
    *[const(op) for op in pointwise.BINARY],
    const(pointwise.SUB, inversed=1), const(pointwise.DIV, inversed=1),
    const(pointwise.MUL, -2.0, relu=1), const(pointwise.ADD, 12582912.0),
]  # fmt: skip


def convert(source: Any, result: Any, rounding: int = 0) -> Case:
    code, other = pointwise.CODE_OF[source], pointwise.CODE_OF[result]
    v = {
        "source": code, "result": other, "round": rounding,
        "input_mode": N1 if source is F32 else N4, "output_mode": N1 if result is F32 else N4,
    }  # fmt: skip
    return Case(v, maps(MAP), (source,), result)


CONVERTS = [
    convert(F32, I8), convert(F32, U8), convert(F32, I8, 6), convert(I8, F32), convert(U8, F32),
    convert(I8, U8), convert(U8, I8),
]  # fmt: skip


def lookup(shapes: list[Shape], kind: Any, made: Any) -> Case:
    table = numbers((256,), F32) if made is F32 else numbers((256,), U8).astype(np.uint32)
    v = {"rank": len(shapes[0]), "shape": eight(shapes[0])}
    v |= {"kind": 0, "result": 0} if made is F32 else {}
    return Case(v, [[shape] for shape in shapes], (kind,), made, {"table": table})


LOOKUPS = [
    lookup([MAP, (3, 4, 7, 5)], I8, I8), lookup([(5, 70), (2, 70)], U8, I8),
    lookup([(5, 4, 9), (3, 4, 7)], U8, U8), lookup([MAP, (1, 4, 2, 3)], I8, F32),
]  # fmt: skip

FUNCTIONS = [
    Case({"channels": 4, "function": code}, maps(MAP), positive=code in (5, 7, 9))
    for code in pointwise.FUNCTIONS
]


def prelu(kind: Any = F32, shared: bool = False, **settings: Any) -> Case:
    v = {"channels": 4, "shared": int(shared), "slope": 0.25 if shared else 0.0, **settings}
    return Case(v, maps(MAP), (kind,), kind, {} if shared else {"slope": numbers((4,), kind)})


PRELUS = [prelu(), prelu(shared=True), prelu(I8, shift=7)]
SELECTS = [
    Case({}, [[shape] * 3, [smaller] * 3], (F32,) * 3)
    for shape, smaller in [(MAP, (3, 4, 7, 8)), ((5, 70), (3, 70)), ((5, 4, 9), (2, 4, 7))]
]



def eltwise_case(op: int, count: int, given: Any = F32, **settings: Any) -> Case:
    return Case(
        {"channels": 6, "op": op, "count": count, **settings}, maps(*[(5, 6, 7, 9)] * count),
        [given] * count, given,
    )


def float_bits(*factors: float) -> tuple[int, ...]:
    return tuple(int(bits) for bits in np.array(factors, np.float32).view(np.uint32))


def summed(factors: tuple[int, ...], given: Any = F32, **settings: Any) -> Case:
    case = eltwise_case(eltwise.SUM, len(factors), given, **settings)
    return replace(case, extra=factors)


ELTWISES = [
    summed(float_bits(1, -0.5)), summed(float_bits(0.25, 2, 1e-3), relu=1),
    summed((3, 5), I8, shifts=(2, 3, *[0] * 8)), summed((1, 2, 4), I8, shifts=(1, 1, 2, *[0] * 7)),
    *(eltwise_case(op, count) for op in (eltwise.PRODUCT, eltwise.MAX) for count in (2, 4)),
]  # fmt: skip
