"""Transpositions with views, slices and functions between them give the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import prod
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from bmnetu.pipeline import new_context
from dialects.quant.movement import SliceOp, TransposeOp
from passes.module.functions import main_function
from tests.quant_runs import evaluated, run

Shape = tuple[int, ...]
MERGE = "quant-merge-transposes"


class Chain:
    """A network of moves, as text. ``integer``: of 8-bit numbers."""

    def __init__(self, shape: Shape, integer: bool) -> None:
        self.integer = integer
        self.lines: list[str] = []
        self.shapes = [shape]
        self.results: list[str] = []

    def kind(self, shape: Sequence[int]) -> str:
        element = "si8, #quant.scale<0.5>" if self.integer else "f32"
        return f"tensor<{'x'.join(map(str, shape))}x{element}>"

    def add(self, op: str, shape: Sequence[int], source: int = -1) -> int:
        """Adds an op on a result, the last one unless told; the number of its own."""
        source %= len(self.shapes)
        given, made = self.kind(self.shapes[source]), self.kind(shape)
        number = len(self.shapes)
        moved = op.replace("X", f"%v{source}")
        self.lines.append(f'%v{number} = {moved} tops ["t{number}"] : {given} -> {made}')
        self.shapes.append(tuple(shape))
        return number

    def transpose(self, order: Sequence[int], source: int = -1) -> int:
        shape = self.shapes[source]
        return self.add(f"quant.transpose X order {list(order)}", [shape[i] for i in order], source)

    def reshape(self, shape: Sequence[int], source: int = -1) -> int:
        return self.add("quant.reshape X", shape, source)

    def slice(self, axis: int, begin: int, extent: int, source: int = -1) -> int:
        shape = list(self.shapes[source])
        shape[axis] = extent
        return self.add(f"quant.slice X axis {axis} begin {begin}", shape, source)

    def function(self, source: int = -1) -> int:
        integer = "quant.requantize X multiplier 3 shift 2"
        op = integer if self.integer else 'quant.pointwise "tanh" X'
        return self.add(op, self.shapes[source], source)

    def module(self, *results: int) -> ModuleOp:
        """The network with these results, or the last one."""
        numbers = results or (len(self.shapes) - 1,)
        kinds = ", ".join(self.kind(self.shapes[i]) for i in numbers)
        names = ", ".join(f'"t{i}"' for i in numbers)
        text = "\n  ".join([
            f"func.func @main(%v0: {self.kind(self.shapes[0])}) -> ({kinds})",
            f'attributes {{input_names = ["x"], output_names = [{names}]}} {{', *self.lines,
            f"func.return {', '.join(f'%v{i}' for i in numbers)} : {kinds}", "}",
        ])  # fmt: skip
        module = Parser(new_context(), text).parse_module()
        module.verify()
        return module


def count(module: ModuleOp, kind: type) -> int:
    return sum(isinstance(op, kind) for op in main_function(module).body.block.ops)


def merged(module: ModuleOp) -> ModuleOp:
    """The module after the pass: the same numbers."""
    before = evaluated(module.clone())
    found = run(module.clone(), MERGE)
    for ours, expected in zip(evaluated(found), before, strict=True):
        np.testing.assert_array_equal(ours, expected)
    return found


def split(size: int, random: Random) -> list[int]:
    """A dimension as one or two."""
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    first = random.choice(divisors)
    return random.choice([[size], [first, size // first]])


@given(st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=200)
def test_random_moves(random: Random, integer: bool) -> None:
    sizes = [random.choice([1, 1, 2, 3, 4, 6]) for _ in range(random.randint(2, 4))]
    chain = Chain(tuple(sizes), integer)
    for _ in range(random.randint(2, 7)):
        what = random.choice(["transpose", "transpose", "reshape", "slice", "function"])
        other = random.randrange(len(chain.shapes)) - len(chain.shapes)
        source = random.choice([-1, -1, -1, other])
        shape = chain.shapes[source]
        if what == "transpose":
            chain.transpose(random.choice(list(permutations(range(len(shape))))), source)
        elif what == "reshape":
            parts = [part for size in shape for part in split(size, random)][:6]
            if prod(parts) != prod(shape):
                continue
            if len(parts) > 2 and random.random() < 0.5:
                i = random.randrange(len(parts) - 1)
                parts[i : i + 2] = [parts[i] * parts[i + 1]]
            chain.reshape(parts, source)
        elif what == "slice":
            axis = random.randrange(len(shape))
            extent = random.randint(1, shape[axis])
            chain.slice(axis, random.randint(0, shape[axis] - extent), extent, source)
        else:
            chain.function(source)
    ends = sorted({len(chain.shapes) - 1, random.randrange(len(chain.shapes))} - {0})
    merged(chain.module(*ends))


@pytest.mark.parametrize("integer", [False, True])
def test_a_function_between_two(integer: bool) -> None:
    """As between the matrices of a perceptron, which lie as images."""
    chain = Chain((1, 12, 10), integer)
    chain.transpose([0, 2, 1])
    chain.function()
    chain.transpose([0, 2, 1])
    assert count(merged(chain.module()), TransposeOp) == 0


@pytest.mark.parametrize("integer", [False, True])
def test_the_heads_of_an_attention(integer: bool) -> None:
    """Queries and values take one transposition each, keys none; the parts are no copies."""
    chain = Chain((1, 72, 10), integer)
    chain.transpose([0, 2, 1])
    chain.reshape([1, 10, 3, 4, 6])
    heads = chain.transpose([2, 0, 3, 1, 4])
    ends: list[int] = []
    for i in range(3):
        chain.slice(0, i, 1, heads)
        ends.append(chain.reshape([1, 4, 10, 6]))
        if i == 1:
            ends[-1] = chain.transpose([0, 1, 3, 2])
    found = merged(chain.module(*ends))
    assert count(found, TransposeOp) == 2
    first = [op for op in main_function(found).body.block.ops if isinstance(op, SliceOp)]
    assert all(op.axis.value.data == 1 for op in first)


def test_heads_side_by_side_again() -> None:
    """A reshape joins what the transposition before it brings together."""
    chain = Chain((1, 3, 10, 8), True)
    chain.transpose([0, 2, 1, 3])
    chain.reshape([1, 10, 24])
    chain.function()
    chain.transpose([0, 2, 1])
    assert count(merged(chain.module()), TransposeOp) == 1


def test_what_another_layer_reads_is_not_computed_twice() -> None:
    chain = Chain((1, 12, 10), False)
    chain.transpose([0, 2, 1])
    end = chain.function()
    last = chain.transpose([0, 2, 1])
    found = merged(chain.module(end, last))
    assert count(found, TransposeOp) == 2


def test_a_slice_that_would_be_a_copy_stays_where_it_is() -> None:
    chain = Chain((1, 10, 3, 8), False)
    whole = chain.transpose([2, 0, 1, 3])
    ends = [chain.slice(0, i, 1, whole) for i in range(3)]
    assert count(merged(chain.module(*ends)), TransposeOp) == 1


def test_windows_that_become_images_stay() -> None:
    """8-bit images share words: to move numbers between images takes longer than two moves."""
    chain = Chain((1, 2, 4, 2, 4, 6), True)
    chain.transpose([0, 1, 3, 2, 4, 5])
    chain.reshape([4, 16, 6])
    chain.transpose([0, 2, 1])
    assert count(merged(chain.module()), TransposeOp) == 2
