"""Nodes whose inputs are constants are computed, whatever their operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend import load_network
from tests.frontend.onnx.graphs import Array, Net, check, node, numbers

C = {"c": numbers(2, 3, 6, 7)}


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


FOLDED: dict[str, tuple[list[Any], dict[str, Array]]] = {
    "clip": ([node("Clip", "c low high", "k")], {
        **C, "low": np.array(0, np.float32), "high": np.array(0.5, np.float32)}),
    "tile": ([node("Tile", "t r", "k")], {"t": numbers(1, 3, 1, 7), "r": ints(2, 1, 6, 1)}),
    "gemm": ([node("Gemm", "a b", "g"), node("Reshape", "g s", "k")], {
        "a": numbers(6, 4), "b": numbers(4, 7), "s": ints(1, 1, 6, 7)}),
    "resize": ([node("Resize", "t - - s", "k", mode="cubic")], {
        "t": numbers(1, 3, 3, 4), "s": ints(1, 3, 6, 7)}),
    "scatter": ([node("ScatterND", "c i u", "k")], {
        **C, "i": ints(0, 1).reshape(2, 1), "u": numbers(2, 3, 6, 7)}),
    "sums": ([node("CumSum", "c a", "k")], {**C, "a": np.array(3)}),
    "norm": ([node("BatchNormalization", "c f f f g", "k")], {
        **C, "f": numbers(3), "g": np.ones(3, np.float32)}),
    "layer norm": ([node("LayerNormalization", "c f", "k")], {**C, "f": numbers(7)}),
    "erf": ([node("Erf", "c", "k")], C),
    "conv": ([node("Conv", "c w", "k", pads=[1] * 4)], {**C, "w": numbers(3, 3, 3, 3)}),
    "transposed": ([node("ConvTranspose", "d w", "k", strides=[2, 1])], {
        "d": numbers(1, 2, 3, 7), "w": numbers(2, 3, 2, 1)}),
    "pool": ([node("MaxPool", "c", "k", kernel_shape=[3, 3], pads=[1] * 4)], C),
    "pad": ([node("Pad", "d p v", "k")], {
        "d": numbers(1, 3, 4, 5), "p": ints(0, 0, 1, 1, 0, 0, 1, 1),
        "v": np.array(2, np.float32)}),
    "einsum": ([node("Einsum", "c w", "k", equation="nchw,dc->ndhw")], {**C, "w": numbers(3, 3)}),
    "softplus": ([node("Softplus", "c", "k")], C),
    "one hot": ([node("OneHot", "i d v", "o", axis=0), node("Reshape", "o s", "k")], {
        "i": ints(0, 2, 1), "d": np.array(14), "v": np.array([0, 2], np.float32),
        "s": ints(1, 1, 6, 7)}),
    "non zero": ([node("NonZero", "m", "n"), node("Cast", "n", "f", to=1),
                  node("ReduceSum", "f", "k", keepdims=0)], {"m": ints(0, 1, 1)}),
    "several": ([node("TopK", "t k3", "v i", axis=0), node("Cast", "i", "j", to=1),
                 node("Mul", "v j", "k")], {"t": numbers(9, 6, 7), "k3": ints(3)}),
    "trilu": ([node("Trilu", "t", "k")], {"t": numbers(6, 7)}),
    "range": ([node("Range", "z n o", "r"), node("Cast", "r", "k", to=1)], {
        "z": np.array(0), "n": np.array(7), "o": np.array(1)}),
    "of float16": ([node("Abs", "h", "a"), node("Cast", "a", "k", to=1)], {
        "h": numbers(3, 1, 1).astype(np.float16)}),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDED)
def test_an_operator_of_constants(name: str, tmp_path: Path) -> None:
    nodes, constants = FOLDED[name]
    net = Net([*nodes, node("Add", "x k", "y")], constants)
    network = check(tmp_path, net)
    kinds = {layer.type for layer in network.net.layer}
    assert kinds <= {"Input", "Bias", "Power"}, "nothing but the addition is left"


def branch(value: float) -> Any:
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [1], [value])
    made = helper.make_tensor_value_info("b", TensorProto.FLOAT, [1])
    constant = helper.make_node("Constant", [], ["b"], value=tensor)
    return helper.make_graph([constant], "g", [], [made])


@pytest.mark.parametrize(
    ("nodes", "constants", "sentence"),
    [
        ([node("RandomNormal", "", "k", shape=[3, 1, 1])], {}, "gives other numbers at every run"),
        ([node("RandomUniformLike", "c", "k")], C, "gives other numbers at every run"),
        ([node("Bernoulli", "c", "k")], C, "gives other numbers at every run"),
        ([node("Dropout", "c r t", "k")], {
            **C, "r": np.array(0.5, np.float32), "t": np.array(True)}, "gives other numbers"),
        ([node("If", "q", "k", then_branch=branch(1), else_branch=branch(2))], {
            "q": np.array(True)}, "it has a graph of its own"),
        ([node("Resize", "c - s", "k")], {
            **C, "s": np.array([1, 1, 512, 512], np.float32)}, "makes more than 1048576 numbers"),
        ([node("Conv", "c w", "k", pads=[200] * 4)], {
            **C, "w": numbers(3, 3, 60, 60)}, "makes more than 65536 numbers"),
        ([node("MaxPool", "c", "k", kernel_shape=[1000, 1000], pads=[500] * 4)], C,
         "computes more than 67108864 products"),
        ([node("Einsum", "a a a", "k", equation="a,b,c->")], {"a": numbers(500)},
         "computes more than 67108864 products"),
        ([node("MatMul", "a b", "k")], {"a": numbers(5000, 1), "b": numbers(1, 5000)},
         "makes more than 16777216 numbers"),
        ([node("SequenceConstruct", "c c", "q"), node("ConcatFromSequence", "q", "k", axis=1)], C,
         "SequenceConstruct"),
        ([node("FusedNorm", "c", "k", domain="com.microsoft")], C, "this operator cannot be"),
        ([node("Normalizer", "c", "k", domain="ai.onnx.ml")], C, "this operator cannot be"),
        ([node("LRN", "c", "k", size=3)], C, "the onnx package computes it wrongly"),
        ([node("AveragePool", "c", "k", kernel_shape=[1, 1], ceil_mode=1)], C, "wrongly"),
        ([node("ConvTranspose", "c w", "k", group=3)], {**C, "w": numbers(3, 1, 1, 1)}, "wrongly"),
        ([node("Det", "c", "k")], {"c": numbers(3, 3, 0)}, "cannot be computed"),
    ],
)  # fmt: skip
def test_what_is_not_computed(
    nodes: list[Any], constants: dict[str, Array], sentence: str, tmp_path: Path
) -> None:
    net = Net([*nodes, node("Add", "x k", "y")], constants)
    with pytest.raises((UnsupportedError, InputFileError), match=sentence) as caught:
        load_network(net.write(tmp_path), None)
    assert f'node "{nodes[0].name}" (' in str(caught.value)
