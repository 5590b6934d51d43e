"""Reductions and normalisations compute what the onnx package's own evaluator computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontend.onnx.graphs import Array, Net, check, kinds, node, numbers


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def reduced(op: str, *axes: int, opset: int = 18, **attributes: Any) -> Net:
    """Over axes that are an input."""
    return Net([node(op, "x a", "y", **attributes)], {"a": ints(*axes)}, opset=opset)


def normalised(op: str, *shapes: tuple[int, ...], shape: tuple[int, ...] = (2, 6, 5, 7),
               opset: int = 18, **attributes: Any) -> Net:
    """With factors and addends of these shapes."""
    constants = {f"c{i}": numbers(*each, seed=i) for i, each in enumerate(shapes)}
    inputs = " ".join(["x", *constants])
    return Net([node(op, inputs, "y", **attributes)], constants, {"x": shape}, opset=opset)


NETS: dict[str, tuple[Net, str]] = {
    "mean of channels": (reduced("ReduceMean", 1), "Reduce"),
    "mean of all": (reduced("ReduceMean"), "Reduce"),
    "mean of a row": (reduced("ReduceMean", -1), "Pooling"),
    "mean without dims": (reduced("ReduceMean", 1, keepdims=0), "Reduce Reshape"),
    "mean of old": (Net([node("ReduceMean", "x", "y", axes=[1, 3])], opset=13), "Reduce"),
    "nothing": (reduced("ReduceSum", noop_with_empty_axes=1), "Split"),
    "size of each": (reduced("ReduceL1", noop_with_empty_axes=1), "Abs"),
    "square of each": (reduced("ReduceSumSquare", noop_with_empty_axes=1), "Power"),
    "log of each": (reduced("ReduceLogSum", noop_with_empty_axes=1), "Log"),
    "each as it is": (reduced("ReduceLogSumExp", noop_with_empty_axes=1), "Split"),
    "max": (reduced("ReduceMax", 0, 1), "Reduce"),
    "max of a map": (reduced("ReduceMax", 2, 3), "Pooling"),
    "min": (reduced("ReduceMin", 2, 3), "Reduce"),
    "sum": (reduced("ReduceSum", 2, 3), "Reduce"),
    "product": (reduced("ReduceProd", 1), "Reduce"),
    "l1": (reduced("ReduceL1", 1, keepdims=0), "Reduce Reshape"),
    "l2": (reduced("ReduceL2", 2), "Reduce"),
    "squares": (reduced("ReduceSumSquare", 1, 2, 3), "Reduce"),
    "log of a sum": (
        Net([node("Exp", "x", "e"), node("ReduceLogSum", "e a", "y")], {"a": ints(1)}, opset=18),
        "Exp Reduce Log",
    ),
    "log of a sum of powers": (
        reduced("ReduceLogSumExp", 1, keepdims=0),
        "Reduce BroadcastBinary Exp Reduce Log Eltwise Reshape",
    ),
    "place": (Net([node("ArgMax", "x", "y", axis=1)]), "Arg"),
    "place without dims": (Net([node("ArgMax", "x", "y", keepdims=0)]), "Arg Reshape"),
    "place of the smallest": (Net([node("ArgMin", "x", "y", axis=-1)]), "Arg"),
    "last of equal places": (
        Net([node("Sign", "x", "s"), node("ArgMax", "s", "y", axis=1, select_last_index=1)]),
        "ComposedFunction Reverse Arg Power",
    ),
    "log softmax": (Net([node("LogSoftmax", "x", "y", axis=1)]), "LogSoftmax"),
    "log softmax of old": (
        Net([node("LogSoftmax", "x", "y", axis=3)], opset=11), "LogSoftmax"
    ),
    "layer": (normalised("LayerNormalization", (7,), (7,)), "LayerNorm"),
    "layer of more axes": (
        normalised("LayerNormalization", (5, 7), (7,), axis=2, epsilon=1e-3), "LayerNorm"
    ),
    "layer without addends": (normalised("LayerNormalization", (7,)), "LayerNorm"),
    "rms": (
        normalised("RMSNormalization", (7,), opset=23), "Reshape Normalize Reshape"
    ),
    "rms of more axes": (
        normalised("RMSNormalization", (5, 7), axis=-2, opset=23), "Reshape Normalize Reshape"
    ),
    "instance": (normalised("InstanceNormalization", (6,), (6,)), "InstanceNorm"),
    "instance of a row": (
        normalised("InstanceNormalization", (6,), (6,), shape=(2, 6, 9)), "InstanceNorm"
    ),
    "group": (normalised("GroupNormalization", (3,), (3,), num_groups=3), "GroupNorm"),
    "group of new": (
        normalised("GroupNormalization", (6,), (6,), num_groups=2, opset=21), "GroupNorm"
    ),
    "l1 norm": (
        Net([node("Abs", "x", "a"), node("LpNormalization", "a", "y", p=1, axis=2)]),
        "AbsVal Reduce BroadcastBinary",
    ),
    "l2 norm of channels": (Net([node("LpNormalization", "x", "y", axis=1)]), "Normalize"),
    "l2 norm of rows": (Net([node("LpNormalization", "x", "y")]), "Reshape Normalize Reshape"),
    "l2 norm of columns": (
        Net([node("LpNormalization", "x", "y", axis=2)]),
        "Permute Reshape Normalize Reshape Permute",
    ),
    "l2 norm of images": (
        Net([node("LpNormalization", "x", "y", axis=0)]),
        "Permute Reshape Normalize Reshape Permute",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_an_operator(name: str, tmp_path: Path) -> None:
    net, expected = NETS[name]
    assert " ".join(kinds(check(tmp_path, net, tolerance=5e-5))) == expected
