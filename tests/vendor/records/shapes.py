"""Cases of records that compute shapes: several records, of which the last uses a shape."""

from __future__ import annotations

from collections.abc import Sequence

from dialects.bm1684.record import movement, shape_ops
from dialects.bm1684.record.base import Shape
from passes.records.recorder import eight
from tests.vendor.records.cases import (
    F32,
    I8,
    MAP,
    U8,
    Chain,
    Step,
    maps,
)


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
