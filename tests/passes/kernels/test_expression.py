"""Expressions become few steps, and the steps compute what the expression says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.parser import Parser

from bmnetu.pipeline import new_context, parse_pipeline, run_pipeline
from dialects.expression import (
    BINARY,
    OTHERS,
    UNARY,
    Expr,
    X,
    any_power,
    equal,
    exp,
    greater,
    log,
    maximum,
    minimum,
    rsqrt,
    select,
    series,
    whole_power,
)
from dialects.functions import FUNCTIONS, Array, Parameters
from passes.kernels.expression import FunctionStep, buffers_alive, schedule
from passes.verify_layers import VerifyLayersPass

NETWORK = """builtin.module { func.func @main(%x: tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32>
  attributes { input_names = ["x"], output_names = ["y"] } {
  %y = quant.pointwise "tanh" %x tops ["y"] : tensor<2x3x4x5xf32> -> tensor<2x3x4x5xf32>
  func.return %y : tensor<2x3x4x5xf32> } }"""
LOWERING = (
    "keep-reference,convert-quant-to-tile,tile-allocate-ddr,"
    "tile-allocate-local,convert-tile-to-npu,npu-assign-waits,verify-layers"
)
def _series(x: Array, *c: float) -> Array:
    return np.sum([each * x ** (i + 1) for i, each in enumerate(c)], axis=0)


def _exponent(x: Array) -> Array:
    return np.floor(np.log2(x * 1.5))


def _mantissa(x: Array) -> Array:
    return x / np.exp2(_exponent(x))


def _rsqrt(x: Array) -> Array:
    return 1 / np.sqrt(x)


def _select(a: Array, b: Array, c: Array, d: Array) -> Array:
    return np.where(a > b, c, d)


NUMPY: dict[str, Any] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
    "min": np.minimum, "max": np.maximum, "exp": np.exp, "gt": np.greater, "eq": np.equal,
    "rsqrt": _rsqrt, "power_of_two": np.exp2, "exponent": _exponent, "mantissa": _mantissa,
    "series": _series, "select": _select,
}  # fmt: skip


def meaning(expr: Expr, x: Array) -> Array:
    """The expression in float64."""
    if expr.kind == "x":
        return x.astype(np.float64)
    operands = [meaning(e, x) if isinstance(e, Expr) else np.float64(e) for e in expr.operands]
    with np.errstate(all="ignore"):
        return NUMPY[expr.kind](*operands) * 1.0


def error(expr: Expr, monkeypatch: pytest.MonkeyPatch) -> float:
    """How far the chip's result is off, relative to max(1, |y|)."""

    def recipe(x: Expr, p: Parameters) -> Expr:
        return expr

    def expected(x: Array, p: Parameters) -> Array:
        return meaning(expr, x).astype(np.float32)

    row = replace(FUNCTIONS["tanh"], recipe=recipe, meaning=expected)
    monkeypatch.setitem(FUNCTIONS, "tanh", row)
    module = Parser(new_context(), NETWORK).parse_module()
    passes = parse_pipeline(LOWERING)
    run_pipeline(module, passes, lambda item: None)
    assert isinstance(passes[-1], VerifyLayersPass)
    (tensor,) = passes[-1].findings.tensors
    return tensor.isolated.error


shared = maximum(X, -1.0) + 2.0
EXPRESSIONS = {
    "x itself": X,
    "every operation": 3.0 - log(maximum(minimum(X, 2.0), 0.5)) * 2.0 / (1.5 + X * X),
    "a constant in front": 2.0 / (5.0 + X) - 1.0,
    "a factor of exp": exp(-0.5 * X),
    "a sum in exp": exp(X * 0.5 + X),
    "shared by two": shared * 0.5 + 1.0 / shared,
    "shared by exp": exp(shared * 0.5) + shared * 0.5,
    "a power": whole_power(X + 0.25, 5),
    "a root": rsqrt(maximum(X, 0.25)),
    "a broken power": any_power(maximum(X, 0.25), -1.7),
    "comparisons": greater(X, 0.5) + greater(0.25, X) * 2.0 - equal(maximum(X, 0.0), 0.0),
    "a choice": select(X, 0.25, X * X, 3.0) + select(X * 2.0, X, 1.0, X),
    "a series": series(X, (1.0, -0.5, 0.25)),
    "of two tensors": minimum(X * 2.0, X + 1.0) - maximum(X, -X),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_the_chip_computes_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert error(EXPRESSIONS[name], monkeypatch) < 1e-5


@st.composite
def expressions(draw: st.DrawFn) -> Expr:
    """Trees of a few nodes, parts of which stand in several places; results are small."""
    parts = [X]
    for _ in range(draw(st.integers(1, 8))):
        a, b = draw(st.sampled_from(parts)), draw(st.sampled_from(parts))
        number = draw(st.floats(0.25, 2, width=16))
        parts.append(
            draw(
                st.sampled_from([
                    a + b, a - b, a + number, number - a, minimum(a, b), maximum(a, -number),
                    a * number, exp(minimum(number * a, 1.0)), log(maximum(a, number)),
                    select(a, number, b, -number), rsqrt(maximum(a, number)),
                    number / maximum(a, number), minimum(maximum(a, -2.0), 2.0) * b,
                ])
            )
        )  # fmt: skip
    return parts[-1]


@given(expressions())
@settings(max_examples=60, deadline=None)
def test_any_expression(expr: Expr) -> None:
    with pytest.MonkeyPatch.context() as patch:
        assert error(expr, patch) < 1e-4


def test_all_kinds_are_tried() -> None:
    def kinds(expr: Expr) -> set[str]:
        inner = [kinds(e) for e in expr.operands if isinstance(e, Expr)]
        return {expr.kind}.union(*inner)

    assert set().union(*map(kinds, EXPRESSIONS.values())) == {"x", *UNARY, *BINARY, *OTHERS}


def test_what_is_read_once_is_overwritten() -> None:
    assert schedule(1.0 / (1.0 + exp(-X))) == [
        FunctionStep("exp", 1, (0, -1.0)),
        FunctionStep("add", 1, (1, 1.0)),
        FunctionStep("div", 1, (1.0, 1)),
    ]


def test_the_tensor_and_what_is_read_again_are_kept() -> None:
    base = X + 1.0
    assert schedule(base * base * base) == [
        FunctionStep("add", 1, (0, 1.0)),
        FunctionStep("mul", 2, (1, 1)),
        FunctionStep("mul", 2, (2, 1)),
    ]


@pytest.mark.parametrize(
    ("expr", "count"),
    [
        (X, 1),
        (X + 1.0, 2),
        (exp(X), 4),  # x, the result, two of scratch
        (exp(exp(X + 1.0)), 4),
        (whole_power(X + 1.0, 5), 3),
        (maximum(X, 0.0) + exp(minimum(X, 0.0)), 5),  # max(x), min(x), the result, scratch
    ],
)
def test_buffers_that_hold_numbers_at_a_time(expr: Expr, count: int) -> None:
    assert buffers_alive(schedule(expr)) == count
