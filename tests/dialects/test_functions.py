"""What every row of the pointwise functions states is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import DictionaryAttr, FloatAttr, IntegerAttr, StringAttr, f32, f64, i64
from xdsl.ir import Attribute
from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.functions import FUNCTIONS, ROWS
from dialects.ufw import ops
from dialects.ufw.layer import Top
from tests.dialects.ufw.test_ops import value

ROOT = Path(__file__).parents[2]
X = np.concatenate([np.linspace(-9, 9, 1001), [-1e4, 1e4]])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_are_within_the_bounds_in_both_types(name: str) -> None:
    row = FUNCTIONS[name]
    for parameters in row.samples:
        settings = {**row.defaults, **parameters}
        wide, narrow = row.of(X, settings), row.of(X.astype(np.float32), settings)
        assert wide.dtype == np.float64
        assert narrow.dtype == np.float32
        low, high = row.range_of(settings)
        assert not (wide < low).any()
        assert not (wide > high).any()
        np.testing.assert_allclose(narrow, wide, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_defaults_are_those_of_the_prototxt(name: str) -> None:
    row = FUNCTIONS[name]
    assert name == row.name
    if row.message:
        message = getattr(LayerParameter(), row.message)
        assert {each: getattr(message, each) for each in row.defaults} == row.defaults
    for parameters in (*row.samples, *({**o.fixed, **o.attributes} for o in row.onnx)):
        assert parameters.keys() <= row.defaults.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_documentation(name: str) -> None:
    row = FUNCTIONS[name]
    assert f"\n{row.documentation}\n" in (ROOT / "docs" / "prototxt.md").read_text()
    for layer in (row.layer, *row.aliases):
        assert layer in row.documentation
    onnx = (ROOT / "docs" / "onnx.md").read_text()
    assert all(operator.name in onnx for operator in row.onnx)


def test_no_two_rows_are_of_one_name() -> None:
    operators = [operator.name for row in ROWS for operator in row.onnx]
    layers = [layer for row in ROWS for layer in (row.layer, *row.aliases)]
    assert len(FUNCTIONS) == len(ROWS)
    assert len(set(layers)) == len(layers)
    assert len(set(operators)) == len(operators)


def number(value: float, kind: Any = f32) -> dict[str, Attribute]:
    return {"power": FloatAttr(value, kind)}


WRONG: dict[str, tuple[str, dict[str, Attribute]]] = {
    '"foo" is no function; known are sigmoid, ': ("foo", {}),
    '"tanh" has no parameter power; it has none': ("tanh", number(1.0)),
    '"power" has no parameter n; it has power, scale, shift': ("power", {"n": FloatAttr(1.0, f32)}),
    "parameter power is 2 : i64, a finite f32": ("power", {"power": IntegerAttr(2, i64)}),
    "parameter power is 2.000000e+00 : f64, a finite f32": ("power", number(2.0, f64)),
    "a finite f32 is required": ("power", number(float("inf"))),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_functions_and_parameters(sentence: str) -> None:
    function, parameters = WRONG[sentence]
    op = ops.PointwiseOp(value(2, 3), Top("y"), "power")
    op.function, op.parameters = StringAttr(function), DictionaryAttr(parameters)
    with pytest.raises(VerifyException) as caught:
        op.verify()
    assert sentence in str(caught.value)


def test_parameters_at_their_defaults_are_not_kept() -> None:
    op = ops.PointwiseOp(value(2, 3), Top("y"), "power", power=2, scale=1, shift=0)
    assert op.parameters == DictionaryAttr({"power": FloatAttr(2.0, f32)})
    assert op.settings == {"power": 2.0, "scale": 1.0, "shift": 0.0}
