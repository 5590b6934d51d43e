"""Slice, Gather, Pad, Tile, Expand, Concat and Split compute what the onnx package computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmnetu.frontend import load_network
from tests.frontend.onnx.graphs import Array, Net, by_bmnetu, check, kinds, node, numbers


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def sliced(starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], steps: Sequence[int]
           ) -> Net:
    constants = {"s": ints(*starts), "e": ints(*ends), "a": ints(*axes), "d": ints(*steps)}
    return Net([node("Slice", "x s e a d", "y")], constants)


def gathered(indices: Any, axis: int) -> Net:
    return Net([node("Gather", "x i", "y", axis=axis)], {"i": np.array(indices, np.int64)})


def padded(*pads: int, value: float | None = None, **attributes: Any) -> Net:
    constants = {"p": ints(*pads)}
    if value is not None:
        constants["v"] = np.array(value, np.float32)
    return Net([node("Pad", " ".join(["x", *constants]), "y", **attributes)], constants, opset=19)


FAR = 2**62
NETS: dict[str, tuple[Net, str]] = {
    "every other row": (sliced([0], [FAR], [2], [2]), "StrideSlice"),
    "rows and columns": (sliced([1, 0], [FAR, FAR], [2, 3], [2, 3]), "StrideSlice"),
    "backwards": (sliced([-1], [-FAR], [3], [-1]), "StrideSlice"),
    "backwards in steps": (sliced([5, 2], [0, -FAR], [2, 1], [-2, -1]), "StrideSlice"),
    "one": (sliced([2], [3], [1], [5]), "Slice Silence"),
    "focus": (
        Net([node("Slice", "x a e c d", "p"), node("Slice", "x b e c d", "q"),
             node("Concat", "p q", "y", axis=1)],
            {"a": ints(0), "b": ints(1), "e": ints(FAR), "c": ints(2), "d": ints(2)}),
        "StrideSlice StrideSlice Concat",
    ),
    "places in any order": (gathered([5, 0, 3], 2), "StrideSlice StrideSlice StrideSlice Concat"),
    "backwards places": (gathered([2, 1, 0], 1), "StrideSlice"),
    "even places": (gathered([0, 2, 4], 3), "StrideSlice"),
    "runs": (gathered([4, 5, 0, 1, 2], 2), "StrideSlice StrideSlice Concat"),
    "a place twice": (gathered([1, 1], 2), "StrideSlice Concat"),
    "negative places": (gathered([-1, -2], 1), "StrideSlice"),
    "a matrix of places": (
        gathered([[0, 1], [4, 5]], 2), "StrideSlice StrideSlice Concat Reshape"
    ),
    "all places": (gathered([0, 1, 2], 1), "Split"),
    "pads of images": (padded(1, 0, 0, 0, 0, 2, 0, 0), "Pad"),
    "pads of a number": (padded(0, 0, 1, 2, 0, 0, 0, 1, value=1.5), "Pad"),
    "reflected": (padded(0, 0, 2, 1, 0, 0, 1, 2, mode="reflect"), "Pad"),
    "edges": (padded(0, 1, 2, 1, 0, 0, 1, 2, mode="edge"), "Pad"),
    "around": (padded(0, 0, 2, 0, 0, 0, 0, 3, mode="wrap"),
               "StrideSlice Concat StrideSlice Concat"),
    "zeros for all": (
        Net([node("Pad", "x p", "q"), node("Relu", "q", "r"), node("Sigmoid", "q", "s"),
             node("Add", "r s", "y")], {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}),
        "Pad ReLU Sigmoid Eltwise",
    ),
    "zeros alone": (padded(0, 0, 1, 0, 0, 0, 0, 1), "Pad"),
    "minus infinity": (
        Net([node("Pad", "x p v", "q"), node("MaxPool", "q", "y", kernel_shape=[2, 2])],
            {"p": ints(0, 0, 0, 0, 0, 0, 1, 1), "v": np.array(-np.inf, np.float32)}),
        "Pad Pooling",
    ),
    "tiles": (
        Net([node("Tile", "x r", "y")], {"r": ints(1, 2, 1, 3)}), "Tile Tile"
    ),
    "one tile": (Net([node("Tile", "x r", "y")], {"r": ints(1, 1, 1, 1)}), "Split"),
    "expanded": (
        Net([node("Expand", "x s", "y")], {"s": ints(2, 1, 4, 5)}, {"x": (3, 1, 5)}),
        "Reshape Tile Tile",
    ),
    "expanded to its own": (
        Net([node("Expand", "x s", "y")], {"s": ints(1)}, {"x": (3, 4)}), "Split"
    ),
    "joined with a constant": (
        Net([node("Concat", "c x", "y", axis=1)], {"c": numbers(1, 1, 4)}, {"x": (1, 3, 4)}),
        "Parameter Concat",
    ),
    "the same constant twice": (
        Net([node("Concat", "c x c", "y", axis=1)], {"c": numbers(1, 1, 4)}, {"x": (1, 3, 4)}),
        "Parameter Concat",
    ),
    "joined with nothing": (
        Net([node("Split", "x s", "a b", axis=1), node("Concat", "a b", "y", axis=1)],
            {"s": ints(0, 3)}), "Split"
    ),
    "a cut of nothing": (
        Net([node("Slice", "x s e a", "p"), node("Concat", "p x", "y", axis=2)],
            {"s": ints(2), "e": ints(2), "a": ints(2)}), "Split"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_an_operator(name: str, tmp_path: Path) -> None:
    net, expected = NETS[name]
    assert " ".join(kinds(check(tmp_path, net))) == expected


def test_negative_pads_cut(tmp_path: Path) -> None:
    """Which the evaluator does not know."""
    net = padded(0, 0, -1, 0, 0, 0, 2, -2, value=0.5)
    network = load_network(net.write(tmp_path), None)
    x = numbers(2, 3, 6, 7)
    expected = np.pad(x[:, :, 1:, :-2], ((0, 0), (0, 0), (0, 2), (0, 0)), constant_values=0.5)
    np.testing.assert_array_equal(by_bmnetu(network, {"x": x})["y"], expected)
    assert kinds(network) == ["Slice", "Silence", "Slice", "Silence", "Pad"]


@pytest.mark.parametrize("seed", range(20))
def test_random_slices(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    sizes = (2, 3, 6, 7)
    axes = [int(axis) for axis in random.permutation(4)[: random.integers(1, 5)]]
    steps = [int(step) for step in random.choice([1, 1, 2, 3, -1, -2], len(axes))]
    starts = [int(random.integers(-sizes[axis] - 2, sizes[axis] + 2)) for axis in axes]
    ends = [int(random.integers(-sizes[axis] - 2, sizes[axis] + 2)) for axis in axes]
    lengths = [
        len(range(sizes[axis])[start:end:step])
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    ]
    for i, length in enumerate(lengths):
        if length == 0:
            starts[i], ends[i], steps[i] = 0, FAR, abs(steps[i])
    check(tmp_path, sliced(starts, ends, axes, steps))
