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
    "DepthToSpace": (
        Net([node("DepthToSpace", "x", "y", blocksize=2, mode="CRD")], inputs={"x": (2, 8, 3, 5)}),
        Net([node("Reshape", "x s", "a"), node("Transpose", "a", "b", perm=[0, 1, 4, 2, 5, 3]),
             node("Reshape", "b t", "y")],
            {"s": ints(2, 2, 2, 2, 3, 5), "t": ints(2, 2, 6, 10)}, {"x": (2, 8, 3, 5)}),
    ),
    "Expand": (
        Net([node("Expand", "x s", "y")], {"s": ints(2, 3, 5)}, {"x": (2, 1, 5)}),
        Net([node("Concat", "x x x", "y", axis=1)], inputs={"x": (2, 1, 5)}),
    ),
    "ReduceSum": (
        Net([node("ReduceSum", "x a", "y")], {"a": ints(2, 3)}),
        Net([node("ReduceMean", "x", "m", axes=[2, 3]), node("Mul", "m c", "y")],
            {"c": np.array(42, np.float32)}),
    ),
    "Resize": (
        Net([node("Resize", "x - s", "y", mode="nearest",
                  coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
            {"s": np.array([1, 1, 1, 2], np.float32)}),
        Net([node("Unsqueeze", "x a", "u"), node("Concat", "u u", "c", axis=-1),
             node("Reshape", "c s", "y")], {"a": ints(-1), "s": ints(2, 3, 6, 14)}),
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
    "MaxPool": (
        Net([node("MaxPool", "x", "y", kernel_shape=[3])], inputs={"x": (2, 3, 8)}),
        Net([node("Unsqueeze", "x a", "u"), node("MaxPool", "u", "m", kernel_shape=[1, 3]),
             node("Squeeze", "m a", "y")], {"a": ints(2)}, {"x": (2, 3, 8)}),
    ),
    "Slice": (
        Net([node("Slice", "x b e a s", "y")],
            {"b": ints(0, 0), "e": ints(99, 99), "a": ints(2, 3), "s": ints(2, 2)}),
        Net([node("MaxPool", "x", "y", kernel_shape=[1, 1], strides=[2, 2])]),
    ),
    "SpaceToDepth": (
        Net([node("SpaceToDepth", "x", "y", blocksize=2)], inputs={"x": (2, 2, 6, 10)}),
        Net([node("Reshape", "x s", "a"), node("Transpose", "a", "b", perm=[0, 3, 5, 1, 2, 4]),
             node("Reshape", "b t", "y")],
            {"s": ints(2, 2, 3, 2, 5, 2), "t": ints(2, 8, 3, 5)}, {"x": (2, 2, 6, 10)}),
    ),
    "Tile": (
        Net([node("Tile", "x r", "y")], {"r": ints(1, 2, 1, 1)}),
        Net([node("Concat", "x x", "y", axis=1)]),
    ),
    "Conv": (
        Net([node("Conv", "x w", "y")], {"w": numbers(4, 3, 3)}, {"x": (2, 3, 8)}),
        Net([node("Unsqueeze", "x a", "u"), node("Conv", "u w", "c"), node("Squeeze", "c a", "y")],
            {"w": numbers(4, 3, 3)[:, :, None], "a": ints(2)}, {"x": (2, 3, 8)}),
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
