"""What the CPU leaves undefined is marked, and so is what is computed from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Operation
from xdsl.parser import Parser

from bmnetu.pipeline import new_context
from passes.module.functions import main_function
from passes.verification.findings import Difference
from passes.verification.known import Known, evaluate

F = "tensor<1x4xf32>"
INT = "tensor<1x4xsi8, #quant.scale<0.5>>"
NAN, INF = float("nan"), float("inf")


def op_of(text: str, result: str, *operands: str) -> Operation:
    """One op on operands %a, %b of these types."""
    names = ["a", "b"][: len(operands)]
    arguments = ", ".join(f"%{n}: {t}" for n, t in zip(names, operands, strict=True))
    module = Parser(
        new_context(),
        f'func.func @main({arguments}) -> {result} attributes {{input_names = ["a"], '
        f'output_names = ["y"]}} {{ %y = {text} func.return %y : {result} }}',
    ).parse_module()
    (op,) = (o for o in main_function(module).body.block.ops if not isinstance(o, ReturnOp))
    return op


def floats(*values: float) -> NDArray[Any]:
    return np.array([values], np.float32)


def test_what_is_no_finite_number_is_undefined() -> None:
    known = Known.of(floats(1, NAN, INF, -INF))
    assert known.undefined is not None
    assert known.undefined.tolist() == [[False, True, True, True]]
    assert Known.of(floats(1, 2)).undefined is None
    assert known.undefined.sum() == 3


def test_the_chips_numbers_stand_in_unless_they_are_absurd() -> None:
    known = Known.of(floats(1, NAN, INF, -2, -INF, NAN))
    chip = floats(1, 2, INF, 7, -2.5, NAN)
    for found, defined in ((known.filled(chip), -2), (known.replaced(chip), 7)):
        assert found.array[0, [0, 1, 3]].tolist() == [1, 2, defined]
        assert found.undefined is not None
        assert found.undefined[0].tolist() == [False, False, True, False, True, True]
    none = Known.of(floats(NAN, NAN))
    assert none.filled(floats(0.5, 1.5)).array[0, 0] == 0.5
    integers = Known.of(np.array([[1, 0]], np.int8), np.array([[False, True]]))
    assert integers.filled(np.array([[9, 99]], np.int8)).array.tolist() == [[1, 99]]
    assert integers.filled(np.array([[9, 99]], np.int8)).undefined is None


@pytest.mark.parametrize(
    ("text", "operands", "values", "undefined"),
    [
        ('ufw.pointwise "power" ["y"] %a with {power = 0.5 : f32}', (F,), [(4, -1, 0, 9)], [1]),
        ('ufw.pointwise "power" ["y"] %a with {power = -1.0 : f32}', (F,), [(4, -1, 0, 9)], [2]),
        ('ufw.relu ["y"] %a', (F,), [(NAN, 1, -INF, INF)], [0, 2, 3]),
        ('ufw.pointwise "sigmoid" ["y"] %a', (F,), [(INF, 1, -INF, 2)], [0, 2]),
        ('ufw.eltwise max ["y"] %a, %b', (F, F), [(INF, 1, 2, -3), (1, 2, NAN, 4)], [0, 2]),
        ('ufw.eltwise product ["y"] %a, %b', (F, F), [(3e38, 1, 2, 3), (3e38, 2, 0, 4)], [0]),
        ('ufw.softmax ["y"] %a axis 1', (F,), [(NAN, 1, 2, 3)], [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_what_is_computed_from_undefined_numbers_is_undefined(
    text: str, operands: tuple[str, ...], values: list[tuple[float, ...]], undefined: list[int]
) -> None:
    op = op_of(f"{text} : ({', '.join(operands)}) -> {F}", F, *operands)
    (found,) = evaluate(op, [Known.of(floats(*each)) for each in values])
    assert found.undefined is not None
    assert np.flatnonzero(found.undefined[0]).tolist() == undefined


def test_an_integer_of_an_undefined_number_is_undefined_and_so_is_what_follows() -> None:
    to_integer = op_of(f'quant.quantize %a tops ["y"] : {F} -> {INT}', INT, F)
    (x,) = evaluate(to_integer, [Known.of(floats(1, NAN, INF, 2))])
    assert x.array.dtype == np.int8
    assert x.undefined is not None
    assert x.undefined.tolist() == [[False, True, True, False]]
    larger = op_of(f'quant.eltwise max(%a, %b) tops ["y"] : {INT}, {INT} -> {INT}', INT, INT, INT)
    other = Known.of(np.array([[1, 127, -128, 3]], np.int8))
    (y,) = evaluate(larger, [x, other])
    assert y.undefined is not None
    assert y.undefined.tolist() == [[False, False, True, False]]
    (z,) = evaluate(op_of(f'quant.dequantize %a tops ["y"] : {INT} -> {F}', F, INT), [y])
    assert z.undefined is not None
    assert z.undefined.tolist() == [[False, False, True, False]]
    assert np.isnan(z.array[0, 2])


def test_undefined_elements_are_left_out_and_counted() -> None:
    undefined = np.array([[False, True, False, False]])
    npu, cpu = floats(1, 1e-19, 3, 4), floats(1, NAN, 3, 4)
    assert Difference.between(npu, cpu, undefined) == Difference(0, 0, undefined=1)
    wrong = Difference.between(floats(1, 1e-19, 3, 5), cpu, undefined)
    assert (wrong.error, wrong.unequal, wrong.index, wrong.undefined) == (0.25, 1, (0, 3), 1)
    integers = Difference.between(
        np.array([[1, 9, 3, 5]], np.int8), np.array([[1, 2, 3, 4]], np.int8), undefined
    )
    assert (integers.error, integers.unequal, integers.index) == (1, 1, (0, 3))
