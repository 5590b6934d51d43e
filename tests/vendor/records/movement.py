"""Cases of records that put numbers elsewhere, or make few out of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dialects.bm1684.record import movement, reductions
from dialects.bm1684.record.base import Shape
from dialects.bm1684.record.stream import (
    BYTE_SIZE,
    FLOAT_SIZE,
)
from passes.records.recorder import eight
from tests.vendor.records.cases import (
    F32,
    I8,
    MAP,
    Case,
    maps,
    numbers,
)

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
