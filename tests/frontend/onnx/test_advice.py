"""What the refusals advise can be compiled, and computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.frontend.onnx.advice import ADVICE, HOST, OWN_DOMAIN, advice_on
from bmnetu.frontend.onnx.operators.table import all_operators
from tests.frontend.onnx.graphs import (
    Array,
    Net,
    by_bmnetu,
    by_onnx,
    check,
    inputs_of,
    node,
    numbers,
)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


SAME: dict[str, tuple[Net, Net]] = {
    "Expand": (
        Net([node("Expand", "x s", "y")], {"s": ints(2, 3, 5)}, {"x": (2, 1, 5)}),
        Net([node("Concat", "x x x", "y", axis=1)], inputs={"x": (2, 1, 5)}),
    ),
    "ReduceSum": (
        Net([node("ReduceSum", "x a", "y")], {"a": ints(2, 3)}),
        Net([node("ReduceMean", "x", "m", axes=[2, 3]), node("Mul", "m c", "y")],
            {"c": np.array(42, np.float32)}),
    ),
    "ReduceMean": (
        Net([node("ReduceMean", "x", "y", axes=[1])]),
        Net([node("Transpose", "x", "a", perm=[0, 2, 1, 3]), node("ReduceMean", "a", "b", axes=[2]),
             node("Transpose", "b", "y", perm=[0, 2, 1, 3])]),
    ),
    "Gather": (
        Net([node("Gather", "x i", "y", axis=1)], {"i": ints(2, 0)}),
        Net([node("Slice", "x b e a", "c"), node("Slice", "x z o a", "d"),
             node("Concat", "c d", "y", axis=1)],
            {"b": ints(2), "e": ints(3), "z": ints(0), "o": ints(1), "a": ints(1)}),
    ),
    "Gemm": (
        Net([node("Gemm", "x w", "y", transA=1)], {"w": numbers(4, 5)}, {"x": (4, 3)}),
        Net([node("Transpose", "x", "t"), node("Gemm", "t w", "y")], {"w": numbers(4, 5)},
            {"x": (4, 3)}),
    ),
    "Slice": (
        Net([node("Slice", "x b e a s", "y")],
            {"b": ints(0, 0), "e": ints(99, 99), "a": ints(2, 3), "s": ints(2, 2)}),
        Net([node("MaxPool", "x", "y", kernel_shape=[1, 1], strides=[2, 2])]),
    ),
    "Tile": (
        Net([node("Tile", "x r", "y")], {"r": ints(1, 2, 1, 1)}),
        Net([node("Concat", "x x", "y", axis=1)]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("op", SAME)
def test_the_other_way_to_write_it_compiles_and_is_the_same(op: str, tmp_path: Path) -> None:
    refused, compiled = SAME[op]
    assert op in ADVICE
    network = check(tmp_path, compiled)
    inputs = inputs_of(refused)
    expected = by_onnx(refused.model(), inputs)["y"]
    np.testing.assert_allclose(by_bmnetu(network, inputs)["y"], expected, rtol=1e-4, atol=1e-5)
    result = bmnetu.compile(compiled.write(tmp_path), None, tmp_path / "out", cmp_data=inputs)
    assert result.findings is not None
    (found,) = result.findings.outputs.values()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_the_advice_is_on_operators_that_may_be_refused() -> None:
    assert list(ADVICE) == sorted(ADVICE)
    assert not {"Relu", "Sigmoid", "Tanh", "Flatten", "Identity"} & set(ADVICE)
    assert set(ADVICE) - set(all_operators())
    assert advice_on("com.microsoft.Gelu") == OWN_DOMAIN
    assert advice_on("Anything") == HOST
