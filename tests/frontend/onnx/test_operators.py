"""Every operator computes what the onnx package's own evaluator computes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmnetu.frontend import load_network
from bmnetu.frontend.onnx.nodes.quantised import BODIES
from bmnetu.frontend.onnx.operators.table import all_operators
from dialects.functions import ROWS
from tests.frontend.onnx.graphs import (
    Array,
    Net,
    by_bmnetu,
    check,
    inputs_of,
    kinds,
    node,
    numbers,
)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def floats(*values: float) -> Array:
    return np.array(values, np.float32)


def one(value: float) -> Array:
    return np.array(value, np.float32)


def unary(op: str, opset: int = 17, **attributes: Any) -> Net:
    return Net([node(op, "x", "y", **attributes)], opset=opset)


def binary(op: str, constant: Array, *, swapped: bool = False, **attributes: Any) -> Net:
    """The input and a constant."""
    return Net([node(op, "c x" if swapped else "x c", "y", **attributes)], {"c": constant})


def both(op: str, a: tuple[int, ...], b: tuple[int, ...], **attributes: Any) -> Net:
    """Two inputs."""
    return Net([node(op, "a b", "y", **attributes)], inputs={"a": a, "b": b})


def three(op: str, **attributes: Any) -> Net:
    return Net([node(op, "a b c", "y", **attributes)], inputs=dict.fromkeys("abc", (2, 3, 4)))


def with_ints(op: str, *lists: Array, opset: int = 17, **attributes: Any) -> Net:
    """The input and constant lists of integers."""
    constants = {f"c{i}": each for i, each in enumerate(lists)}
    inputs = " ".join(["x", *constants])
    return Net([node(op, inputs, "y", **attributes)], constants, opset=opset)


def linear(op: str, weight: Array, bias: Array | None = None, **attributes: Any) -> Net:
    constants = {"w": weight} | ({} if bias is None else {"b": bias})
    return Net([node(op, " ".join(["x", *constants]), "y", **attributes)], constants,
               {"x": (4, 5)})  # fmt: skip


def with_scales(op: str, opset: int, *scales: float) -> Net:
    """Resize has an input before its scales."""
    inputs = "x - s" if op == "Resize" else "x s"
    return Net([node(op, inputs, "y")], {"s": floats(*scales)}, opset=opset)


def batch_norm(**attributes: Any) -> Net:
    constants = {
        "s": numbers(3), "b": numbers(3, seed=5), "m": numbers(3, seed=6),
        "v": np.abs(numbers(3, seed=7)) + np.float32(0.1),
    }  # fmt: skip
    return Net([node("BatchNormalization", "x s b m v", "y", **attributes)], constants)


CHANNELS = numbers(3, 1, 1)
POSITIVE = [node("Relu", "x", "r"), node("Add", "r one", "p")]

NETS: dict[str, tuple[Net, str]] = {
    "relu": (unary("Relu"), "ReLU"),
    "leaky relu": (unary("LeakyRelu", alpha=0.25), "ReLU"),
    **{
        each.name: (
            unary(each.name, 18, **{
                each.names.get(name, name): 0.7 * n for name, n in each.attributes.items()
            }),
            row.layer,
        )
        for row in ROWS for each in row.onnx if each.name not in ("Sqrt", "Reciprocal", "Log")
    },
    "prelu, channels": (binary("PRelu", CHANNELS), "PReLU"),
    "prelu, one slope": (binary("PRelu", floats(0.3)), "PReLU"),
    "clip to a relu": (binary("Clip", one(0)), "ReLU"),
    "clip, attributes": (unary("Clip", 6, min=0.0, max=0.5), "ReLU6"),
    "clip, both": (
        Net([node("Clip", "x a b", "y")], {"a": one(-0.5), "b": one(0.75)}),
        "Clip",
    ),
    "clip from above": (Net([node("Clip", "x - b", "y")], {"b": one(0.5)}), "Clip"),
    "clip from below": (binary("Clip", one(0.25)), "Clip"),
    "max with a number": (binary("Max", one(0.5)), "Clip"),
    "min with a number": (binary("Min", floats(0.5)), "Clip"),
    "hard sigmoid": (unary("HardSigmoid", alpha=0.5, beta=0.4), "HSigmoid"),
    "gelu": (unary("Gelu", 20), "GELU"),
    "gelu by tanh": (unary("Gelu", 20, approximate="tanh"), "GELU"),
    "square root": (
        Net([*POSITIVE, node("Sqrt", "p", "y")], {"one": one(1)}), "ReLU Power Sqrt"
    ),
    "logarithm": (
        Net([*POSITIVE, node("Log", "p", "y")], {"one": one(1)}), "ReLU Power Log"
    ),
    "reciprocal": (
        Net([*POSITIVE, node("Reciprocal", "p", "y")], {"one": one(1)}), "ReLU Power Reciprocal"
    ),
    "pow": (binary("Pow", one(2)), "Power"),
    "batch norm": (batch_norm(epsilon=0.01), "BatchNorm Scale"),
    "add a number": (binary("Add", one(0.5)), "Power"),
    "add a number, first": (binary("Add", floats(0.5), swapped=True), "Power"),
    "add channels": (binary("Add", CHANNELS), "Bias"),
    "add to all": (binary("Add", numbers(3, 6, 7)), "Bias"),
    "add to the last axis": (binary("Add", numbers(7)), "Bias"),
    "add to axes 1 and 3": (binary("Add", numbers(3, 1, 7)), "Bias"),
    "sub a number": (binary("Sub", one(0.5)), "Power"),
    "sub from a number": (binary("Sub", one(0.5), swapped=True), "Power"),
    "sub channels": (binary("Sub", CHANNELS), "Bias"),
    "sub from channels": (binary("Sub", CHANNELS, swapped=True), "Scale"),
    "mul with a number": (binary("Mul", one(-2)), "Power"),
    "mul with channels": (binary("Mul", CHANNELS), "Scale"),
    "mul with channels, first": (binary("Mul", CHANNELS, swapped=True), "Scale"),
    "div by a number": (binary("Div", one(3)), "Power"),
    "div by channels": (binary("Div", CHANNELS), "Scale"),
    "div of a number": (
        Net([*POSITIVE, node("Div", "two p", "y")], {"one": one(1), "two": one(2)}),
        "ReLU Power Power Power",
    ),
    "add tensors": (both("Add", (2, 3, 4), (2, 3, 4)), "Eltwise"),
    "sub tensors": (both("Sub", (2, 3, 4), (2, 3, 4)), "Eltwise"),
    "mul tensors": (both("Mul", (2, 3, 4), (2, 3, 4)), "Eltwise"),
    "square": (Net([node("Mul", "x x", "y")]), "Eltwise"),
    "mul with a gate": (both("Mul", (2, 3, 4, 5), (2, 3, 1, 1)), "Flatten Scale"),
    "mul with a gate, first": (both("Mul", (2, 3, 1, 1), (2, 3, 4, 5)), "Flatten Scale"),
    "add one a channel": (both("Add", (2, 3, 4, 5), (3, 1, 1)), "Reshape Bias"),
    "add the last axis": (both("Add", (2, 3, 4), (4,)), "Bias"),
    "sub one a channel": (both("Sub", (2, 3, 4, 5), (2, 3, 1, 1)), "Power Flatten Bias"),
    "sub from one a channel": (both("Sub", (2, 3, 1, 1), (2, 3, 4, 5)), "Power Flatten Bias"),
    "add what repeats both": (both("Add", (2, 3, 1), (1, 3, 4)), "BroadcastBinary"),
    "sub what repeats both": (both("Sub", (2, 3, 1), (1, 3, 4)), "BroadcastBinary"),
    "mul what repeats both": (both("Mul", (2, 3, 1), (3, 4)), "BroadcastBinary"),
    "quotient": (both("Div", (2, 3, 4), (2, 1, 4)), "BroadcastBinary"),
    "constants by a tensor": (binary("Div", numbers(7), swapped=True), "ConstBinary"),
    "least": (three("Min"), "Eltwise"),
    "sum": (three("Sum"), "Eltwise"),
    "mean": (three("Mean"), "Eltwise"),
    "max": (three("Max"), "Eltwise"),
    "gemm": (linear("Gemm", numbers(5, 6), numbers(6), alpha=0.5, beta=2.0), "InnerProduct"),
    "gemm, transposed": (linear("Gemm", numbers(6, 5), numbers(1, 6), transB=1), "InnerProduct"),
    "gemm, one bias": (linear("Gemm", numbers(5, 6), one(0.5)), "InnerProduct"),
    "gemm, no bias": (linear("Gemm", numbers(5, 6)), "InnerProduct"),
    "matmul": (linear("MatMul", numbers(5, 6)), "InnerProduct"),
    "matmul of many": (binary("MatMul", numbers(7, 4)), "InnerProduct"),
    "conv": (
        Net([node("Conv", "x w b", "y", pads=[1, 0, 1, 0], strides=[2, 1], group=3)],
            {"w": numbers(6, 1, 3, 2), "b": numbers(6)}),
        "Convolution",
    ),
    "transposed conv": (
        Net([node("ConvTranspose", "x w b", "y", pads=[1, 0, 1, 0], strides=[2, 1])],
            {"w": numbers(3, 6, 3, 2), "b": numbers(6)}),
        "Deconvolution",
    ),
    "max pool": (unary("MaxPool", kernel_shape=[3, 2], pads=[1, 0, 1, 0], strides=[2, 2]),
                 "Pooling"),
    "average pool": (unary("AveragePool", kernel_shape=[2, 3], strides=[2, 2]), "Pooling"),
    "norms of windows": (unary("LpPool", kernel_shape=[2, 3]), "Power Pooling Power"),
    "sums of windows": (unary("LpPool", kernel_shape=[2, 3], p=1), "AbsVal Pooling Power"),
    "undone max pool": (
        Net([node("MaxPool", "x", "p i", kernel_shape=[2, 2], strides=[2, 2]),
             node("MaxUnpool", "p i", "y", kernel_shape=[2, 2], strides=[2, 2])],
            inputs={"x": (1, 2, 6, 8)}),
        "Pooling Unpooling",
    ),
    "lrn": (Net([node("LRN", "x", "y", size=3)], inputs={"x": (3, 3, 4, 5)}), "LRN"),
    "lrn of an even size": (
        Net([node("LRN", "x", "y", size=4)], inputs={"x": (4, 4, 2, 3)}),
        "Square Convolution Power Eltwise",
    ),
    "resize": (with_scales("Resize", 11, 1, 1, 2, 2), "ResizeNearestNeighbor"),
    "upsample": (with_scales("Upsample", 9, 1, 1, 2, 2), "ResizeNearestNeighbor"),
    "depth to space": (
        Net([node("DepthToSpace", "x", "y", blocksize=2)], inputs={"x": (2, 8, 3, 5)}),
        "DepthToSpace",
    ),
    "space to depth": (
        Net([node("SpaceToDepth", "x", "y", blocksize=2)], inputs={"x": (2, 3, 4, 6)}),
        "SpaceToDepth",
    ),
    "global average": (unary("GlobalAveragePool"), "Pooling"),
    "global max": (unary("GlobalMaxPool"), "Pooling"),
    "mean of maps": (unary("ReduceMean", axes=[2, 3]), "Pooling"),
    "mean of maps, flat": (unary("ReduceMean", axes=[-1, 2], keepdims=0), "Pooling Flatten"),
    "mean of rows": (unary("ReduceMean", axes=[3]), "Pooling"),
    "mean, new": (with_ints("ReduceMean", ints(2, 3), opset=18), "Pooling"),
    "max of columns": (unary("ReduceMax", axes=[2], keepdims=0), "Pooling Reshape"),
    "concat": (
        Net([node("Concat", "a b", "y", axis=-2)], inputs={"a": (2, 3, 4), "b": (2, 5, 4)}),
        "Concat",
    ),
    "split": (
        Net([node("Split", "x c", "y z", axis=2)], {"c": ints(2, 4)}, outputs=["y", "z"]), "Slice"
    ),
    "split of old": (
        Net([node("Split", "x", "y z", axis=1, split=[1, 2])], outputs=["y", "z"], opset=11),
        "Slice",
    ),
    "split evenly": (
        Net([node("Split", "x", "y z", axis=3, num_outputs=2)], outputs=["z", "y"], opset=18),
        "Slice",
    ),
    "split, one unread": (
        Net([node("Split", "x", "a b c", axis=1), node("Add", "a c", "y")]),
        "Slice Silence Eltwise",
    ),
    "slice": (with_ints("Slice", ints(1, -3), ints(2**63 - 1, -1), ints(1, 3)),
              "Slice Silence Slice Silence"),
    "slice of old": (unary("Slice", 9, starts=[0, 2], ends=[2, 99], axes=[0, 2]),
                     "Slice Silence"),
    "slice of all": (with_ints("Slice", ints(0), ints(9), ints(2)), "Split"),
    "gather one": (with_ints("Gather", np.array(-2), axis=2), "Slice Silence Reshape"),
    "gather some": (with_ints("Gather", ints(1, 2), axis=1), "Slice Silence"),
    "flatten": (unary("Flatten"), "Flatten"),
    "flatten all": (unary("Flatten", axis=0), "Reshape"),
    "flatten the last": (unary("Flatten", axis=-1), "Reshape"),
    "reshape": (with_ints("Reshape", ints(0, -1, 21)), "Reshape"),
    "reshape to two": (with_ints("Reshape", ints(2, -1)), "Flatten"),
    "squeeze": (
        Net([node("Squeeze", "x c", "y")], {"c": ints(1)}, {"x": (2, 1, 5)}), "Flatten"
    ),
    "squeeze of old": (
        Net([node("Squeeze", "x", "y", axes=[2])], inputs={"x": (2, 3, 1, 4)}, opset=11), "Reshape"
    ),
    "unsqueeze": (with_ints("Unsqueeze", ints(0, -1)), "Reshape"),
    "unsqueeze of old": (unary("Unsqueeze", 11, axes=[1]), "Reshape"),
    "transpose": (unary("Transpose", perm=[0, 2, 3, 1]), "Permute"),
    "transpose all": (unary("Transpose"), "Permute"),
    "transpose nothing": (unary("Transpose", perm=[0, 1, 2, 3]), "Split"),
    "softmax": (unary("Softmax", axis=1), "Softmax"),
    "softmax of the last": (unary("Softmax"), "Softmax"),
    "softmax of old, last": (unary("Softmax", 11, axis=3), "Softmax"),
    "dropout": (unary("Dropout"), "Dropout"),
    "dropout of old": (unary("Dropout", 11, ratio=0.3), "Dropout"),
    "identity": (unary("Identity"), "Split"),
    "cast": (unary("Cast", to=1), "Split"),
    "pad before a conv": (
        Net([node("Pad", "x p", "q"), node("Identity", "q", "r"), node("Conv", "r w", "y",
                                                                      pads=[1, 0, 0, 0])],
            {"p": ints(0, 0, 1, 2, 0, 0, 2, 1), "w": numbers(4, 3, 3, 3)}),
        "Convolution",
    ),
    "pad of old": (
        Net([node("Pad", "x", "q", pads=[0, 0, 1, 1, 0, 0, 1, 1]),
             node("AveragePool", "q", "y", kernel_shape=[3, 3])], opset=10),
        "Pooling",
    ),
    "pad of nothing": (Net([node("Pad", "x p", "y")], {"p": ints(*[0] * 8)}), "Split"),
    "pad, axes": (
        Net([node("Pad", "x p - a", "q"), node("Conv", "q w", "y")],
            {"p": ints(1, 1), "a": ints(-1), "w": numbers(4, 3, 2, 3)}, opset=18),
        "Convolution",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_an_operator(name: str, tmp_path: Path) -> None:
    net, expected = NETS[name]
    assert " ".join(kinds(check(tmp_path, net))) == expected


def test_a_softmax_of_old_goes_over_all_axes_from_one_on(tmp_path: Path) -> None:
    """Which the evaluator does not know."""
    net = unary("Softmax", 11, axis=2)
    network = load_network(net.write(tmp_path), None)
    inputs = inputs_of(net)
    raised = np.exp(inputs["x"])
    expected = raised / raised.sum(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(by_bmnetu(network, inputs)["y"], expected, rtol=1e-5)


def test_an_addition_of_old_says_its_axis(tmp_path: Path) -> None:
    """Which the evaluator does not know."""
    bias = numbers(3)
    net = Net([node("Add", "x c", "y", broadcast=1, axis=1)], {"c": bias}, opset=6)
    network = load_network(net.write(tmp_path), None)
    inputs = inputs_of(net)
    expected = inputs["x"] + bias.reshape(3, 1, 1)
    np.testing.assert_array_equal(by_bmnetu(network, inputs)["y"], expected)


def test_every_operator_is_in_a_test() -> None:
    """Those of several nodes are in test_rewrite.py, by the nodes."""
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    functions = {each.name for row in ROWS for each in row.onnx}
    named = functions | {word for text in texts for word in re.findall(r'"([A-Z]\w+)"', text)}
    own = {name for name in all_operators() if name.startswith("bmnetu.")}
    operators = {name.rpartition(".")[2] for name in (*all_operators(), *BODIES)} - named
    assert operators == {name.rpartition(".")[2] for name in own}
