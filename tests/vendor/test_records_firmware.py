"""Every record by hand: the firmware computes what our model of it does, at two shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from bmnetu.bmodel import (
    Bmodel,
    DataType,
    Net,
    Stage,
    StoreMode,
    Tensor,
    align,
    tensor_bytes,
    write,
)
from dialects.bm1684.chip import BM1684
from dialects.bm1684.record import eltwise, movement, pointwise, reductions, shape_ops, windows
from dialects.bm1684.record.base import RecordOp, Shape
from dialects.bm1684.record.machine import execute
from dialects.bm1684.record.ops import ALL_OPS
from dialects.bm1684.record.stream import (
    BYTE_SIZE,
    FLOAT_SIZE,
    N1,
    N4,
    SHAPE_SIZE,
    Coefficient,
    Neuron,
    Operand,
    RecordCode,
    Stream,
    pack,
)
from passes.records.recorder import eight
from passes.records.windows import packed_weight
from tests.vendor.dynamic import unlike
from tests.vendor.runtime import Array, run_bmodel_often

F32, I8, U8 = np.float32, np.int8, np.uint8
START = BM1684.context_start
MEMORY = 1 << 24
"""Bytes for the coefficients and the scratch memory of all cases of a record."""
RNG = np.random.default_rng(5)


def numbers(shape: Sequence[int], dtype: Any) -> Array:
    """Random numbers of the whole range, or normal floats."""
    if dtype is F32:
        return RNG.standard_normal(shape, np.float32)
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max + 1, shape).astype(dtype)


@dataclass(frozen=True)
class Case:
    """One record: ``shapes`` are those of its operands, the largest and then smaller ones, of the
    types ``given``; the result is of the type ``made``."""

    parameters: Mapping[str, Any]
    shapes: Sequence[Sequence[Shape]]
    given: Sequence[Any] = (F32,)
    made: Any = F32
    coefficients: Mapping[str, Array] = field(default_factory=dict[str, Array])
    extra: tuple[int, ...] = ()
    positive: bool = False


def maps(*shapes: Shape) -> list[list[Shape]]:
    """Operands of these shapes, and the same with a smaller batch, height and width."""
    smaller = [(max(1, n - 2), c, max(1, h - 3), max(1, w - 2)) for n, c, h, w in shapes]
    return [list(shapes), smaller]


# -- windows ---------------------------------------------------------------------------------------


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


# -- element by element ----------------------------------------------------------------------------


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


MAP = (5, 4, 9, 8)
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

# -- movement --------------------------------------------------------------------------------------

CONSTANTS = [
    Case({"rank": 4, "shape": eight(shape)}, [[MAP], [(3, 4, 9, 8)]], coefficients={
        "value": numbers(shape, F32)
    })
    for shape in [(1, 4, 1, 1), (1, 1, 9, 8), (1, 1, 1, 1)]
]  # fmt: skip
"""The firmware writes no output of the network here: the constant is added to an input."""


def moves(v: Mapping[str, Any], *shapes: Sequence[Shape], **rest: Any) -> list[Case]:
    """The record for floats and for 8-bit numbers."""
    count = len(shapes[0])
    return [
        Case({**v, **({"data_size": FLOAT_SIZE if kind is F32 else BYTE_SIZE} if "repeats" in v
                      else {})}, shapes, (kind,) * count, kind, **rest)
        for kind in (F32, I8)
    ]  # fmt: skip


def reshape(entries: Sequence[int], *shapes: Shape) -> list[Case]:
    v = {"rank": len(entries), "shape": eight(entries)}
    return moves(v, *([shape] for shape in shapes))


def transpose(order: Sequence[int], *shapes: Shape) -> list[Case]:
    return moves({"order": eight(order, 1)}, *([shape] for shape in shapes))


RESHAPES = [
    *reshape([0, -1], MAP, (3, 4, 7, 5)), *reshape([0, 2, -1, 0], MAP, (3, 4, 7, 5)),
    *reshape([-1, 3], (5, 6, 8, 10), (3, 6, 7, 9)), *reshape([0, 2, 2, -1], (5, 12), (2, 12)),
]  # fmt: skip
TRANSPOSES = [
    each for order in [(0, 2, 3, 1), (0, 3, 2, 1), (1, 0, 2, 3), (3, 2, 1, 0), (0, 1, 3, 2)]
    for each in transpose(order, MAP, (3, 4, 7, 5))
] + transpose((0, 2, 1), (5, 4, 9), (3, 4, 7))  # fmt: skip


def concat(axis: int, *shapes: Sequence[Shape]) -> list[Case]:
    largest = shapes[0]
    v = {
        "count": len(largest), "rank": len(largest[0]), "axis": axis, "shape": eight(largest[-1])
    }
    return moves(v, *shapes, extra=tuple(shape[axis] for shape in largest))


CONCATS = [
    *concat(1, [MAP, (5, 3, 9, 8)], [(3, 4, 7, 5), (3, 3, 7, 5)]),
    *concat(2, [MAP, (5, 4, 2, 8)], [(3, 4, 7, 5), (3, 4, 1, 5)]),
    *concat(0, [MAP, (2, 4, 9, 8)], [(3, 4, 7, 5), (1, 4, 7, 5)]),
    *concat(1, [(5, 6), (5, 3), (5, 1)], [(2, 6), (2, 3), (2, 1)]),
]


def cut(axis: int, begin: int, end: int | None, step: int, *shapes: Shape) -> list[Case]:
    rank = len(shapes[0])
    rest = (1 << rank) - 1 & ~(1 << axis)
    begins, ends, steps = [0] * 8, [*eight(shapes[0])], [1] * 8
    begins[axis], steps[axis] = begin, step
    ends[axis] = shapes[0][axis] if end is None else end
    v = {
        "from_start": rest, "to_end": rest | (1 << axis if end is None else 0), "rank": rank,
        "begin": tuple(begins), "end": tuple(ends), "step": tuple(steps),
    }  # fmt: skip
    return moves(v, *([shape] for shape in shapes))


SLICES = [
    *cut(1, 1, 3, 1, MAP, (3, 4, 7, 5)), *cut(2, 1, None, 2, MAP, (3, 4, 7, 5)),
    *cut(3, -4, -1, 1, MAP, (3, 4, 7, 5)), *cut(0, 1, None, 1, MAP, (3, 4, 7, 5)),
    *cut(1, 2, -1, 3, (5, 17), (2, 17)),
]  # fmt: skip


def pad(mode: str, pads: Sequence[int]) -> list[Case]:
    v = {"channels": 4, "value": 2.0, "mode": movement.PAD_MODES.index(mode), "pads": tuple(pads)}
    return moves(v, [MAP], [(3, 4, 7, 5)])


PADS = [
    *pad("constant", (1, 0, 0, 2, 1, 2, 3, 0)), *pad("reflect", (0, 0, 1, 1, 2, 1, 0, 3)),
    *pad("symmetric", (0, 0, 0, 0, 2, 1, 0, 3)), *pad("edge", (0, 0, 0, 0, 2, 1, 0, 3)),
    *pad("edge", (0, 0, 1, 2, 0, 0, 0, 0)), pad("edge", (2, 1, 0, 0, 0, 0, 0, 0))[0],
]  # fmt: skip


def tile(repeats: Sequence[int], *shapes: Shape) -> list[Case]:
    v = {"rank": len(shapes[0]), "shape": eight(shapes[0]), "repeats": eight(repeats, 1)}
    return moves(v, *([shape] for shape in shapes))


TILES = [
    *tile([1, 1, 2, 1], MAP, (3, 4, 7, 5)), *tile([2, 3, 1, 2], MAP, (3, 4, 7, 5)),
    *tile([1, 5], (5, 3), (2, 3)),
]  # fmt: skip


def like(axes: Sequence[int], *shapes: Sequence[Shape]) -> list[Case]:
    v = {"count": len(axes), "axes": eight(axes), "like_axes": eight(axes)}
    return moves(v, *shapes)


LIKES = [
    *like([2, 3], [(5, 4, 1, 1), MAP], [(3, 4, 1, 1), (3, 4, 7, 5)]),
    *like([1], [(5, 1, 9, 8), MAP], [(3, 1, 7, 5), (3, 4, 7, 5)]),
]
REVERSES = [
    case
    for axis in (1, 2, 3)
    for case in moves({"axis": axis}, [MAP], [(3, 4, 7, 5)])
]

# -- reductions ------------------------------------------------------------------------------------

SOFTMAXES = [
    *[Case({"place": axis << reductions.AXIS_BITS}, maps(MAP)) for axis in range(4)],
    Case({"place": 1 << reductions.AXIS_BITS}, [[(5, 70)], [(2, 70)]]),
]


def reduce(method: int, axes: Sequence[int], keep: int = 1) -> Case:
    v = {"keep": keep, "count": len(axes), "axes": eight(axes), "method": method}
    return Case(v, maps(MAP))


REDUCES = [
    *[reduce(method, (2, 3)) for method in reductions.METHODS],
    *[reduce(reductions.SUM, axes) for axes in [(0,), (1,), (2,), (3,), (1, 2), (1, 2, 3)]],
    reduce(reductions.MAX, (1,), keep=0), reduce(reductions.MIN, (2, 3), keep=0),
]  # fmt: skip

# -- shapes ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A record in a chain. ``xs``: "x0", "x1", ... are the chain's inputs, other names results of
    the steps before."""

    name: str
    kind: type[RecordOp]
    xs: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Chain:
    """Records one behind the other, of which the last makes an output of the network: a shape
    alone is none. ``shapes`` are those of the inputs at each launch."""

    steps: Sequence[Step]
    shapes: Sequence[Sequence[Shape]]
    kind: Any = F32
    positive: ClassVar = False

    @property
    def given(self) -> Sequence[Any]:
        """The types of the inputs."""
        return (self.kind,) * len(self.shapes[0])

    @property
    def made(self) -> Any:
        """The type of the output."""
        return self.kind


def shape_of(name: str, x: str = "x0") -> Step:
    return Step(name, shape_ops.ShapeOfOp, [x])


def fixed(name: str, *given: int) -> Step:
    return Step(name, shape_ops.ShapeNumbersOp, (), {"count": len(given), "numbers": eight(given)})


def part(name: str, x: str, begin: int, end: int) -> Step:
    return Step(name, shape_ops.ShapeSliceOp, [x], {"place": begin | end << 8 | 1 << 16})


def compute(name: str, a: str, op: int, b: str) -> Step:
    return Step(name, shape_ops.ShapeArithmeticOp, [a, b], {"op": op})


def join(name: str, *xs: str) -> Step:
    return Step(name, shape_ops.ShapeJoinOp, xs, {"count": len(xs)})


def to(shape: str, x: str = "x0") -> Step:
    return Step("y", shape_ops.ReshapeToOp, [x, shape])


def resized(shape: str, rule: str = "asymmetric") -> Step:
    v = {} if rule == "asymmetric" else {rule: 1}
    return Step("y", shape_ops.ResizeOp, ["x0", shape], v)


def each_kind(steps: Sequence[Step], *shapes: Sequence[Shape]) -> list[Chain]:
    """The chain for floats and for 8-bit numbers."""
    return [Chain(steps, shapes, kind) for kind in (F32, I8, U8)]


def smaller(*steps: Step, shape: Shape = MAP) -> Chain:
    return Chain(steps, maps(shape))


ADD, SUB, MUL, DIV = shape_ops.ADD, shape_ops.SUB, shape_ops.MUL, shape_ops.DIV
RULES = ("align_corners", "half_pixel", "asymmetric")

SHAPE_OFS: list[Chain] = [
    *each_kind([shape_of("s", "x1"), to("s")], [MAP, (5, 9, 8, 4)], [(3, 4, 7, 5), (3, 7, 5, 4)]),
    *each_kind([shape_of("s", "x1"), to("s")], [MAP, (5, 288)], [(3, 4, 7, 5), (3, 140)]),
    *each_kind([shape_of("s", "x1"), to("s")], [(5, 24), (5, 4, 6)], [(2, 18), (2, 6, 3)]),
    Chain([shape_of("s", "x1"), to("s")], [[MAP, (20, 9, 8)], [(3, 4, 7, 5), (12, 7, 5)]]),
    Chain([shape_of("s", "x1"), Step("a", shape_ops.ReshapeToOp, ["x0", "s"]), shape_of("t", "a"),
           fixed("k", 2, 1), fixed("l", 1, 2), compute("u", "t", MUL, "k"),
           compute("v", "u", DIV, "l"), to("v", "a")], [[MAP, (20, 72)], [(3, 4, 6, 5), (12, 30)]]),
    Chain([shape_of("s", "x1"), resized("s")],
          [[MAP, (5, 4, 13, 11)], [(3, 4, 7, 5), (3, 4, 9, 2)]]),
]
SHAPE_NUMBERS: list[Chain] = [
    *each_kind([fixed("n", 3, 4), shape_of("x"), part("b", "x", 0, 1), join("s", "b", "n"),
                to("s")], [(5, 12)], [(2, 12)]),
    *(Chain([fixed("s", 3, 4, 10, 10), resized("s", rule)], [[(3, 4, 9, 8)], [(3, 4, 7, 5)]])
      for rule in RULES),
    Chain([fixed("s", 6, 2, 3, 2), to("s")], [[(3, 4, 3, 2)], [(3, 2, 3, 4)]]),
    Chain([fixed("s", 72), to("s")], [[(3, 4, 3, 2)], [(3, 2, 3, 4)]]),
]
SHAPE_SLICES: list[Chain] = [
    *each_kind([shape_of("x"), part("n", "x", 0, 1), part("c", "x", 1, 2), part("m", "x", 2, 4),
                join("s", "n", "m", "c"), to("s")], [MAP], [(3, 4, 7, 5)]),
    *each_kind([shape_of("x"), part("s", "x", 0, 4), to("s")], [MAP], [(3, 4, 7, 5)]),
    smaller(shape_of("x"), part("a", "x", 1, 3), part("n", "x", 0, 1), part("w", "x", 3, 4),
            join("s", "w", "a", "n"), to("s")),
    smaller(shape_of("x"), part("a", "x", 1, 4), part("b", "a", 1, 3), part("c", "x", 0, 2),
            join("s", "b", "c"), to("s")),
]
SHAPE_ARITHMETICS: list[Chain] = [
    smaller(shape_of("x"), part("n", "x", 0, 1), part("c", "x", 1, 2), part("m", "x", 2, 4),
            compute("nc", "n", MUL, "c"), join("s", "nc", "m"), to("s")),
    *each_kind([shape_of("x"), part("n", "x", 0, 1), part("c", "x", 1, 2), part("h", "x", 2, 3),
                part("w", "x", 3, 4), fixed("two", 2), compute("d", "c", DIV, "two"),
                compute("t", "h", MUL, "two"), join("s", "n", "d", "t", "w"), to("s")],
               [MAP], [(3, 4, 7, 5)]),
    *each_kind([shape_of("a", "x1"), part("n", "a", 0, 2), part("h", "a", 2, 3), fixed("k", 3),
                compute("g", "h", ADD, "k"), join("s", "n", "g"), to("s")],
               [(5, 36), (5, 4, 6)], [(2, 28), (2, 4, 4)]),
    *each_kind([shape_of("a", "x1"), part("n", "a", 0, 2), part("h", "a", 2, 3), fixed("k", 3),
                compute("g", "h", SUB, "k"), join("s", "n", "g"), to("s")],
               [(5, 36), (5, 4, 12)], [(2, 28), (2, 4, 10)]),
    smaller(shape_of("x"), fixed("k", 1, 1, 2, 3), compute("s", "x", MUL, "k"), resized("s")),
    smaller(shape_of("x"), fixed("k", 1, 1, 3, 3), fixed("l", 1, 1, 2, 2),
            compute("t", "x", MUL, "k"), compute("s", "t", DIV, "l"), resized("s", "half_pixel")),
    smaller(shape_of("x"), part("n", "x", 0, 2), part("m", "x", 2, 4), fixed("k", 1, 2),
            compute("l", "m", SUB, "k"), join("s", "n", "l"), resized("s", "align_corners")),
]
SHAPE_JOINS: list[Chain] = [
    *each_kind([shape_of("x"), join("s", "x"), to("s")], [MAP], [(3, 4, 7, 5)]),
    *each_kind([shape_of("x"), part("n", "x", 0, 1), part("h", "x", 2, 4), fixed("two", 2, 2),
                join("s", "n", "two", "h"), to("s")], [MAP], [(3, 4, 7, 5)]),
    *each_kind([shape_of("x"), part("n", "x", 0, 1), fixed("one", 1), part("a", "x", 1, 2),
                part("h", "x", 2, 3), part("w", "x", 3, 4),
                join("s", "n", "one", "h", "one", "w", "a", "one", "one"), to("s")],
               [MAP], [(3, 4, 7, 5)]),
]
THERE_AND_BACK = [
    shape_of("s", "x1"), shape_of("t"), Step("a", shape_ops.ReshapeToOp, ["x0", "s"]), to("t", "a")
]  # fmt: skip
RESHAPES_TO: list[Chain] = [
    *each_kind(THERE_AND_BACK, [MAP, (5, 9, 8, 4)], [(3, 4, 7, 5), (3, 7, 5, 4)]),
    *each_kind(THERE_AND_BACK, [(5, 70, 6), (5, 20, 3, 7)], [(2, 66, 4), (2, 11, 4, 6)]),
    *each_kind([shape_of("s", "x1"), to("s")], [(9, 100), (9, 2, 1, 5, 10)],
               [(8, 64), (8, 4, 4, 2, 2)]),
    Chain(THERE_AND_BACK, [[MAP, (9, 5, 32)], [(3, 4, 7, 5), (7, 5, 12)]]),
    Chain([shape_of("s", "x1"), to("s")], [[(2, 3, 4), (24,)], [(1, 3, 4), (12,)]]),
]  # fmt: skip


def resizes(rule: str) -> list[Chain]:
    """To twice the size at run time, to the size of another input, and from maps of one pixel."""
    twice = [shape_of("x"), fixed("k", 1, 1, 2, 2), compute("s", "x", MUL, "k"), resized("s", rule)]
    like = [shape_of("s", "x1"), resized("s", rule)]
    half = [shape_of("x"), fixed("k", 1, 1, 2, 2), compute("s", "x", DIV, "k"), resized("s", rule)]
    pairs: list[list[Shape]] = [
        [MAP, (5, 4, 17, 5)], [(3, 4, 7, 5), (3, 4, 7, 12)], [(1, 4, 1, 1), (1, 4, 3, 2)],
        [(2, 4, 6, 5), (2, 4, 1, 1)],
    ]  # fmt: skip
    wide: list[list[Shape]] = [[(2, 70, 30, 40)], [(1, 70, 29, 37)], [(2, 70, 1, 40)],
                               [(1, 70, 3, 1)]]  # fmt: skip
    return [
        Chain(twice, [[MAP], [(3, 4, 7, 5)], [(1, 4, 1, 1)], [(2, 4, 6, 1)]]), Chain(like, pairs),
        Chain([Step("t", movement.TransposeOp, ["x0"], {"order": eight((0, 1, 3, 2), 1)}),
               shape_of("s", "t"), fixed("k", 1, 1, 2, 3), compute("u", "s", MUL, "k"),
               Step("y", shape_ops.ResizeOp, ["t", "u"], resized("u", rule).parameters)],
              [[MAP], [(3, 4, 7, 5)]]),
        Chain(half, [[MAP], [(3, 4, 7, 5)], [(1, 4, 2, 2)], [(2, 4, 6, 3)]]), Chain(twice, wide),
    ]  # fmt: skip


RESIZES = [each for rule in RULES for each in resizes(rule)]

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


CASES: dict[type[RecordOp], Sequence[Case | Chain]] = {
    eltwise.EltwiseOp: ELTWISES,
    windows.ConvOp: CONVS, windows.PoolOp: POOLS, windows.MatrixOp: MATRICES,
    windows.MatMulOp: MATMULS, pointwise.SelectOp: SELECTS, pointwise.BinaryOp: BINARIES,
    pointwise.ConstBinaryOp: CONSTS, pointwise.ConvertOp: CONVERTS, pointwise.LookupOp: LOOKUPS,
    pointwise.FunctionOp: FUNCTIONS, pointwise.PReluOp: PRELUS, movement.ConstantOp: CONSTANTS,
    movement.ReshapeOp: RESHAPES, movement.TransposeOp: TRANSPOSES, movement.ConcatOp: CONCATS,
    movement.SliceOp: SLICES, movement.PadOp: PADS, movement.TileOp: TILES,
    movement.BroadcastLikeOp: LIKES, movement.ReverseOp: REVERSES,
    reductions.SoftmaxOp: SOFTMAXES, reductions.ReduceOp: REDUCES,
    shape_ops.ShapeOfOp: SHAPE_OFS, shape_ops.ShapeNumbersOp: SHAPE_NUMBERS,
    shape_ops.ShapeSliceOp: SHAPE_SLICES, shape_ops.ShapeArithmeticOp: SHAPE_ARITHMETICS,
    shape_ops.ShapeJoinOp: SHAPE_JOINS, shape_ops.ReshapeToOp: RESHAPES_TO,
    shape_ops.ResizeOp: RESIZES,
}  # fmt: skip


def sizes_of(kind: Any) -> tuple[int, int]:
    """The words for the size of a type's numbers and for how they are stored."""
    return (FLOAT_SIZE, N1) if kind is F32 else (BYTE_SIZE, N4)


class Bench:
    """A network of all cases of a record, each with inputs and outputs of its own."""

    def __init__(self, kind: type[RecordOp], cases: Sequence[Case | Chain]) -> None:
        self.coeff = bytearray()
        self.free = START + MEMORY // 2
        self.inputs: list[tuple[str, Any, list[Shape], bool]] = []
        self.outputs: list[tuple[str, Any, Shape]] = []
        self.input_ids: list[int] = []
        self.output_ids: list[int] = []
        self.records: list[RecordCode] = []
        self.ids = 0
        for number, case in enumerate(cases):
            if isinstance(case, Chain):
                self._add_chain(number, case)
            elif kind is movement.ConstantOp:
                self._add_constant(number, case)
            else:
                self._add(number, kind, case)

    def _add(self, number: int, kind: type[RecordOp], case: Case) -> None:
        v = {**kind.RECORD.struct.defaults, **case.parameters}
        kind.check(v)
        largest = list(case.shapes[0])
        made = kind.shapes(v, case.extra, largest)
        for name, nbytes in kind.RECORD.scratch.items():
            v[name] = self._room(nbytes(largest, made, case.made is F32))
        sources: list[Operand] = []
        for source in kind.sources(v, case.extra):
            if source.is_coefficient:
                sources.append(self._coefficient(case.coefficients[source.name]))
                continue
            at = sum(isinstance(each, Neuron) for each in sources)
            sources.append(self._input(case, at, f"x{number}.{source.name}"))
        self._record(kind, v, case, sources, self._output(f"y{number}", case, made[0]))

    def _add_constant(self, number: int, case: Case) -> None:
        v = {**movement.ConstantOp.RECORD.struct.defaults, **case.parameters}
        constant = Neuron(self._id(), self._room(4096))
        value = case.coefficients["value"]
        self._record(movement.ConstantOp, v, case, [self._coefficient(value)], constant)
        largest = case.shapes[0][0]
        added = {
            "a_rank": 4, "a_shape": eight(largest), "b_rank": 4, "b_shape": eight(value.shape)
        }  # fmt: skip
        x = self._input(case, 0, f"x{number}")
        y = self._output(f"y{number}", case, largest)
        v = {**pointwise.BinaryOp.RECORD.struct.defaults, **added}
        self._record(pointwise.BinaryOp, v, case, [x, constant], y)

    def _add_chain(self, number: int, chain: Chain) -> None:
        largest = {f"x{i}": shape for i, shape in enumerate(chain.shapes[0])}
        tensors = {name: self._input(chain, i, f"{name}.{number}")
                   for i, name in enumerate(largest)}  # fmt: skip
        size, mode = sizes_of(chain.made)
        for step in chain.steps:
            kind, xs = step.kind, [largest[x] for x in step.xs]
            v = {**kind.RECORD.struct.defaults, **step.parameters}
            kind.check(v)
            (shape,) = kind.shapes(v, (), xs)
            for name, nbytes in kind.RECORD.scratch.items():
                v[name] = self._room(nbytes(xs, [shape], chain.made is F32))
            if kind.RECORD.makes_shape:
                made = Neuron(self._id(), None, True)
            elif step is chain.steps[-1]:
                made = self._output(f"y{number}", chain, shape)
            else:
                made = Neuron(self._id(), self._room(tensor_bytes(
                    DataType[np.dtype(chain.made).name.upper()], StoreMode(mode), shape)))
            sources = [tensors[x] for x in step.xs]
            modes = (
                N1 if not sources or sources[0].is_shape else mode,
                N1 if made.is_shape else mode,
            )
            self.records.append(RecordCode(
                kind, v, (), SHAPE_SIZE if made.is_shape else size, *modes, tuple(sources), (made,)
            ))  # fmt: skip
            tensors[step.name], largest[step.name] = made, shape

    def _id(self) -> int:
        self.ids += 1
        return self.ids

    def _room(self, size: int) -> int:
        """The address of so much memory; 0 for none."""
        at, self.free = self.free, self.free + align(size)
        return at if size else 0

    def _coefficient(self, array: Array) -> Coefficient:
        self.coeff += bytes(-len(self.coeff) % BM1684.ddr_alignment)
        at = START + len(self.coeff)
        self.coeff += np.ascontiguousarray(array).tobytes()
        return Coefficient(at)

    def _input(self, case: Case | Chain, at: int, name: str) -> Neuron:
        shapes = [each[at] for each in case.shapes]
        self.inputs.append((name, case.given[at], shapes, case.positive))
        self.input_ids.append(self._id())
        return Neuron(self.ids)

    def _output(self, name: str, case: Case | Chain, shape: Shape) -> Neuron:
        self.outputs.append((name, case.made, shape))
        self.output_ids.append(self._id())
        return Neuron(self.ids)

    def _record(
        self, kind: type[RecordOp], v: Mapping[str, Any], case: Case, sources: Sequence[Operand],
        result: Neuron,
    ) -> None:
        size, output = sizes_of(case.made)
        source = N1 if case.given[0] is F32 else N4
        self.records.append(
            RecordCode(kind, v, case.extra, size, source, output, tuple(sources), (result,))
        )

    @property
    def stream(self) -> Stream:
        """All records."""
        return Stream(tuple(self.input_ids), tuple(self.output_ids), tuple(self.records), 5)

    def bmodel(self) -> Bmodel:
        """The file's contents."""
        at = START + MEMORY
        tensors: list[Tensor] = []
        borders = [(name, kind, shapes[0]) for name, kind, shapes, _ in self.inputs] + self.outputs
        for name, kind, shape in borders:
            data_type = DataType[np.dtype(kind).name.upper()]
            mode = StoreMode.N1 if kind is F32 else StoreMode.N4
            size = tensor_bytes(data_type, mode, shape)
            tensors.append(Tensor(name, data_type, mode, at, size, shape, 1.0))
            at = align(at + size)
        coeff = bytes(self.coeff) + bytes(-len(self.coeff) % BM1684.ddr_alignment)
        context = START + max(len(coeff), BM1684.ddr_alignment)
        count = len(self.inputs)
        stage = Stage(
            inputs=tuple(tensors[:count]), outputs=tuple(tensors[count:]),
            context_address=context, context_size=at - context, coeff_address=START, coeff=coeff,
            groups=(), records=pack(self.stream), batch_is_free=True, size_is_free=True,
        )  # fmt: skip
        return Bmodel((Net("net", (stage,)),))

    def given(self, index: int) -> dict[str, Array]:
        """Random inputs at the shapes of this number."""
        found: dict[str, Array] = {}
        for name, kind, shapes, positive in self.inputs:
            array = numbers(shapes[min(index, len(shapes) - 1)], kind)
            found[name] = np.abs(array) + F32(0.01) if positive else array
        return found

    def expected(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """What our model of the firmware computes."""
        memory = np.zeros(MEMORY, np.uint8)
        memory[: len(self.coeff)] = np.frombuffer(bytes(self.coeff), np.uint8)
        stream = self.stream
        inputs = dict(zip(stream.inputs, given.values(), strict=True))
        found = execute(stream, memory, START, inputs)
        return {
            name: found[id].view(kind)
            for id, (name, kind, _) in zip(stream.outputs, self.outputs, strict=True)
        }


@pytest.mark.parametrize("kind", ALL_OPS, ids=lambda kind: kind.name)
def test_a_record(kind: type[RecordOp], tmp_path: Path) -> None:
    cases = CASES[kind]
    bench = Bench(kind, cases)
    path = tmp_path / "records.bmodel"
    path.write_bytes(write(bench.bmodel()))
    given = [bench.given(index) for index in range(max(len(case.shapes) for case in cases))]
    for inputs, found in zip(given, run_bmodel_often(path, given), strict=True):
        assert not unlike(found, bench.expected(inputs))
