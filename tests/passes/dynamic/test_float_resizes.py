"""quant-float-means: resizes of 8-bit maps whose weights depend on the shape."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from dialects.constant import Constant, ConstantAttr
from dialects.positions import POSITIONS, linear_taps
from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.movement import InterpolateOp
from passes.module.functions import functions
from tests.dialects.quant.ops_by_hand import noise
from tests.passes.dynamic.shapes import Size, at_shapes, compared, run
from tests.passes.dynamic.test_float_averages import executed

Array = NDArray[Any]
PASS = "quant-float-means"
RULES = [*POSITIONS]
NUMBER = {"s": np.int8, "u": np.uint8}
SIZES: list[Size] = [(2, 9, 8), (1, 9, 8), (2, 7, 5), (2, 1, 1), (2, 2, 6)]


def taps(rule: str, size: int, out: int) -> tuple[Array, Array]:
    """The constants of an 8-bit resize: weights in units of 1/128."""
    indices, real = linear_taps(rule, size, out)
    weights = np.rint(real * np.float32(128)).astype(np.int32)
    carried = weights == 128
    return (indices + carried).astype(np.int32), np.where(carried, 0, weights).astype(np.int8)


def resized(
    rule: str, factor: Fraction, *sizes: Size, kind: str = "s", axis: int = 2,
    with_rule: bool = True,
) -> ModuleOp:
    """One resize by a factor, at these sizes."""
    arrays: dict[str, Array] = {}

    def text(*size: int) -> str:
        n, given = size[0], [*size[1:]]
        made = [*given]
        made[axis - 2] = max(1, floor(given[axis - 2] * factor))
        x, y = (
            f"tensor<{n}x3x{h}x{w}x{kind}i8, #quant.scale<0.5>>" for h, w in (given, made)
        )
        found: list[str] = []
        for array in taps(rule, given[axis - 2], made[axis - 2]):
            digest = Constant.of(array).digest
            arrays[digest] = array
            found.append(f'<"{digest}", "{array.dtype}", [{len(array)}]>')
        named = f'positions "{rule}"' if with_rule else ""
        return f"""(%x: {x}) -> {y} attributes {{input_names = ["x"], output_names = ["y"]}} {{
          %y = quant.interpolate %x axis {axis} indices {found[0]} weights {found[1]} {named}
               tops ["y"] : {x} -> {y} loc("resize"("net.prototxt":4:0))
          func.return %y : {y}
        }}"""

    return at_shapes(text, *sizes, constants=arrays)


def exact(x: Array, rule: str, axis: int, out: int) -> Array:
    """The mean of the neighbours, rounded to the nearest, halves upwards."""
    size = x.shape[axis]
    rows: list[Array] = []
    for i in range(out):
        at = min(max(POSITIONS[rule](i, size, out), Fraction(0)), Fraction(size - 1))
        first = floor(at)
        a = np.take(x, first, axis).astype(object)
        b = np.take(x, min(first + 1, size - 1), axis).astype(object)
        mean = a * (1 - (at - first)) + b * (at - first) + Fraction(1, 2)
        rows.append(np.vectorize(floor, otypes=[np.int64])(mean))
    return np.stack(rows, axis)


def bodies(module: ModuleOp) -> list[list[Operation]]:
    return [[*function.body.block.ops] for function in functions(module)]


FACTORS = [Fraction(2), Fraction(3), Fraction(7, 4), Fraction(1, 2)]


@pytest.mark.parametrize("kind", NUMBER)
@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("factor", FACTORS, ids=str)
def test_it_is_within_one_of_the_integers(
    factor: Fraction, rule: str, axis: int, kind: str
) -> None:
    """It is what exact fractions give, and at most 1 from what weights of 7 bits do."""
    module = resized(rule, factor, *SIZES, kind=kind, axis=axis)
    before = module.clone()
    run(module, PASS)
    for seed, (now, then, (n, h, w)) in enumerate(
        zip(functions(module), functions(before), SIZES, strict=True)
    ):
        resizes = [op for op in now.body.block.ops if isinstance(op, InterpolateOp)]
        assert [types.is_float(op.x) for op in resizes] == [True]
        for bits in (0, 5):
            x = noise(seed, NUMBER[kind], (n, 3, h, w)) >> bits
            found = executed(now, x)
            assert found.dtype == x.dtype
            np.testing.assert_array_equal(found, exact(x, rule, axis, found.shape[axis]))
            gap = found.astype(int) - executed(then, x).astype(int)
            assert np.abs(gap).max() <= 1


@pytest.mark.parametrize("kind", NUMBER)
def test_ties_go_up(kind: str) -> None:
    """Every pair of neighbours whose mean ends in a half, among them -1 and 0."""
    low, high = (0, 255) if kind == "u" else (-128, 127)
    module = run(resized("asymmetric", Fraction(2), (1, 256, 1), (1, 2, 1), kind=kind), PASS)
    function, _ = functions(module)
    ramp = np.arange(low, high + 1)
    for x in (ramp, ramp[::-1]):
        given = np.tile(x.astype(NUMBER[kind]), (1, 3, 1)).reshape(1, 3, 256, 1)
        found = executed(function, given)[0, 0, :, 0]
        assert found[::2].tolist() == x.tolist()
        assert found[1:-1:2].tolist() == np.maximum(x[:-1], x[1:]).tolist()
        assert found[-1] == x[-1]


@pytest.mark.parametrize("out", [7, 101, 999])
def test_what_is_next_to_a_half_is_told_from_it(out: int) -> None:
    """An odd number of results by the map's 2: (out - 1) / 2 by out is next to a half."""
    module = run(resized("asymmetric", Fraction(out, 2), (1, 2, 1), (1, 1, 1)), PASS)
    function, _ = functions(module)
    for pair in ([-128, 127], [127, -128], [1, 2], [2, 1], [-2, -1], [-1, 0]):
        x = np.tile(np.array(pair, np.int8), 3).reshape(1, 3, 2, 1)
        found = executed(function, x)
        assert found.shape[2] == out
        np.testing.assert_array_equal(found, exact(x, "asymmetric", 2, out))


@pytest.mark.parametrize("kind", NUMBER)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("axis", [2, 3])
def test_records_compute_the_same_at_every_size(axis: int, rule: str, kind: str) -> None:
    findings = compared(run(resized(rule, Fraction(2), *SIZES, kind=kind, axis=axis), PASS))
    assert findings.ok, findings.verdict()
    assert len(findings.smaller) == len(SIZES) - 1


@pytest.mark.parametrize("module", [
    lambda: resized("half_pixel", Fraction(2), (4, 6, 5), (1, 6, 5), (3, 6, 2)),
    lambda: resized("half_pixel", Fraction(2), (4, 6, 5), (4, 6, 2), axis=2),
    lambda: resized("half_pixel", Fraction(2), (4, 6, 5), (4, 3, 5), axis=3),
    lambda: resized("half_pixel", Fraction(2), (4, 6, 5)),
    lambda: resized("half_pixel", Fraction(2), (4, 6, 5), (4, 3, 5), with_rule=False),
])  # fmt: skip
def test_what_is_left_alone(module: Any) -> None:
    """Weights that are the same in every sample, whatever else varies; one without a rule."""
    before = module()
    assert run(before.clone(), PASS).is_structurally_equivalent(before)


def test_fixed_weights_are_still_records_of_integers() -> None:
    module = resized("half_pixel", Fraction(2), (4, 6, 5), (1, 6, 5), (3, 6, 2))
    findings = compared(run(module, PASS))
    assert findings.ok, findings.verdict()


def test_floats_are_left_alone() -> None:
    """Nothing of a second run is changed: the resize of the first is in float."""
    module = run(resized("half_pixel", Fraction(2), *SIZES), PASS)
    assert run(module.clone(), PASS).is_structurally_equivalent(module)


def test_the_layers_name_stays_with_its_result() -> None:
    module = run(resized("align_corners", Fraction(2), *SIZES), PASS)
    for body in bodies(module):
        ops = [op for op in body if isinstance(op, QuantOp)]
        assert {str(op.location) for op in ops} == {'loc("resize"("net.prototxt":4:0))'}
        tops = [str(op.properties["tops"]) for op in ops]
        assert tops == ['[""]'] * (len(ops) - 1) + ['["y"]']


def test_the_weights_are_those_of_each_sample() -> None:
    module = run(resized("half_pixel", Fraction(2), *SIZES), PASS)
    for body, (_, h, _) in zip(bodies(module), SIZES, strict=True):
        (op,) = (each for each in body if isinstance(each, InterpolateOp))
        indices, weights = linear_taps("half_pixel", h, 2 * h)
        assert (op.indices, op.weights) == (ConstantAttr.of(indices), ConstantAttr.of(weights))
        assert op.positions is not None
        assert op.positions.data == "half_pixel"


def test_functions_of_different_ops_are_left_to_the_conversion() -> None:
    module = resized("half_pixel", Fraction(2), (2, 6, 6), (2, 3, 6))
    _, body = (function.body.block for function in functions(module))
    (op,) = (each for each in body.ops if isinstance(each, InterpolateOp))
    again = op.clone()
    body.insert_op_after(again, op)
    before = module.clone()
    assert run(module, PASS).is_structurally_equivalent(before)
