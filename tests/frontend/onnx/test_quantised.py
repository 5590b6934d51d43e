"""Nets with integers: what they stand for is computed, and their scales are thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper

import bmnetu
from bmnetu.errors import UnsupportedError
from bmnetu.frontend import Network, load_network
from tests.frontend.onnx.graphs import Array, Net, by_bmnetu, kinds, node, numbers

UINT8, INT8 = np.uint8, np.int8


def pair(x: str, y: str, scale: str = "s", zero: str = "z") -> list[NodeProto]:
    """A tensor to integers and back."""
    return [node("QuantizeLinear", f"{x} {scale} {zero}", f"{y}_q"),
            node("DequantizeLinear", f"{y}_q {scale} {zero}", y)]  # fmt: skip


def scales(scale: float, zero: int, kind: Any, prefix: str = "") -> dict[str, Array]:
    return {f"{prefix}s": np.array(scale, np.float32), f"{prefix}z": np.array(zero, kind)}


def load(net: Net, folder: Path) -> tuple[Network, list[str]]:
    network = load_network(net.write(folder), None)
    return network, [note.split(": ", 1)[1] for note in network.notes]


def thresholds(network: Network) -> dict[str, float]:
    return {
        layer.top[0]: round(layer.threshold, 6) for layer in network.net.layer
        if layer.HasField("threshold")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("zero", "kind", "expected", "layers"),
    [
        (0, INT8, 12.7, []), (0, UINT8, 25.5, ["ReLU6"]), (128, UINT8, 12.7, []),
        (100, UINT8, 15.5, []), (10, INT8, 13.7, []), (-128, INT8, 25.5, ["ReLU6"]),
    ],
)  # fmt: skip
def test_a_scale_becomes_the_threshold(
    zero: int, kind: Any, expected: float, layers: list[str], tmp_path: Path
) -> None:
    net = Net([node("Abs", "x", "a"), *pair("a", "b"), node("Exp", "b", "y")],
              scales(0.1, zero, kind))  # fmt: skip
    network, notes = load(net, tmp_path)
    assert kinds(network) == ["AbsVal", *layers, "Exp"]
    assert list(thresholds(network).values()) == [pytest.approx(expected, rel=1e-5)]
    assert notes[0].startswith("1 tensor(s) have scales of their own: bmnetu-calibrate takes")
    assert len(notes) == 1 + (zero in (100, 10))


def test_the_input_has_one_too(tmp_path: Path) -> None:
    net = Net([*pair("x", "a"), node("Exp", "a", "y")], scales(0.1, 0, INT8))
    assert thresholds(load(net, tmp_path)[0]) == {"x": 12.7}


def test_weights_are_what_their_integers_stand_for(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3)).astype(INT8)
    constants = {"w": weights, "ws": np.array([0.1, 0.2, 0.3, 0.01], np.float32),
                 "wz": np.zeros(4, INT8)}  # fmt: skip
    net = Net([node("DequantizeLinear", "w ws wz", "v", axis=0), node("Conv", "x v", "y")],
              constants)  # fmt: skip
    network, notes = load(net, tmp_path)
    x = numbers(2, 3, 6, 7)
    real = weights * constants["ws"].reshape(4, 1, 1, 1)
    expected = by_bmnetu(load(Net([node("Conv", "x v", "y")], {"v": real}), tmp_path)[0], {"x": x})
    np.testing.assert_allclose(by_bmnetu(network, {"x": x})["y"], expected["y"], rtol=1e-6)
    assert notes[0].startswith("the weights of 1 layer(s) have a scale a channel, or a zero point;")


def test_integers_that_are_moved(tmp_path: Path) -> None:
    nodes = [
        node("Exp", "x", "e"), node("QuantizeLinear", "e s z", "q"),
        node("MaxPool", "q", "p", kernel_shape=[2, 2]),
        node("Transpose", "p", "t", perm=[0, 2, 3, 1]), node("DequantizeLinear", "t s z", "y"),
    ]  # fmt: skip
    network, _ = load(Net(nodes, scales(0.1, 0, INT8)), tmp_path)
    assert [kind for kind in kinds(network) if kind != "Split"] == ["Exp", "Pooling", "Permute"]


def test_integers_that_are_computed_with_are_refused(tmp_path: Path) -> None:
    nodes = [node("QuantizeLinear", "x s z", "q"), node("Add", "q q", "a"),
             node("DequantizeLinear", "a s z", "y")]  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"\(Add\): it reads integers that a QuantizeLinear"):
        load(Net(nodes, scales(0.1, 0, INT8)), tmp_path)


MISMATCHES = {
    "another scale": ([node("DequantizeLinear", "q r z", "y")], "another scale or zero point"),
    "another zero point": ([node("DequantizeLinear", "q s w", "y")], "another scale or zero point"),
    "joined with a constant": (
        [node("Concat", "q c", "j", axis=1), node("DequantizeLinear", "j s z", "y")],
        "integers of different scales"),
    "joined with another scale": (
        [node("QuantizeLinear", "x r z", "p"), node("Concat", "q p", "j", axis=1),
         node("DequantizeLinear", "j s z", "y")], "integers of different scales"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISMATCHES)
def test_integers_that_do_not_meet(name: str, tmp_path: Path) -> None:
    nodes, sentence = MISMATCHES[name]
    constants = {**scales(0.1, 0, INT8), "r": np.array(0.2, np.float32), "w": np.array(3, INT8),
                 "c": np.ones((2, 1, 6, 7), INT8)}  # fmt: skip
    with pytest.raises(UnsupportedError, match=sentence):
        load(Net([node("QuantizeLinear", "x s z", "q"), *nodes], constants), tmp_path)


def test_an_input_of_integers(tmp_path: Path) -> None:
    model = Net([node("DequantizeLinear", "x s z", "y")], scales(0.5, 128, UINT8),
                {"x": (2, 3)}).model()  # fmt: skip
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    x = np.array([[0, 128, 255], [1, 2, 3]], np.float32)
    found = by_bmnetu(load_network(path, None), {"x": x})["y"]
    np.testing.assert_array_equal(found, (x - 128) * 0.5)


def operators() -> dict[str, tuple[list[NodeProto], dict[str, Array], Sequence[str]]]:
    """Nodes from a to r, integers with the scales a and r; their constants; their layers."""
    random = np.random.default_rng(1)
    w = {"w": random.integers(-127, 128, (4, 3, 1, 1)).astype(INT8)}
    m = {"w": random.integers(-127, 128, (7, 5)).astype(INT8)}
    each = {"ws": np.array([0.01, 0.02, 0.01, 0.015], np.float32), "wz": np.zeros(4, INT8)}
    bias = {"b": np.array([100, -200, 300, 0], np.int32)}
    ms = "com.microsoft"
    return {
        "conv": ([node("QLinearConv", "a s z w ws wz rs rz b", "r")], {**w, **each, **bias},
                 ["Convolution"]),
        "matmul": ([node("QLinearMatMul", "a s z w ws wz rs rz", "r")],
                   {**m, **scales(0.01, 0, INT8, "w")}, ["InnerProduct"]),
        "sum": ([node("QLinearAdd", "a s z a s z rs rz", "r", domain=ms)], {}, ["Eltwise"]),
        "product": ([node("QLinearMul", "a s z a s z rs rz", "r", domain=ms)], {}, ["Eltwise"]),
        "sigmoid": ([node("QLinearSigmoid", "a s z rs rz", "r", domain=ms)], {}, ["Sigmoid"]),
        "slope": ([node("QLinearLeakyRelu", "a s z rs rz", "r", domain=ms, alpha=0.1)], {},
                  ["ReLU"]),
        "windows": ([node("QLinearAveragePool", "a s z rs rz", "r", domain=ms,
                          kernel_shape=[2, 2])], {}, ["Pooling"]),
        "fully connected": (
            [node("Transpose", "a", "t", perm=[0, 2, 3, 1]),
             node("Flatten", "t", "f", axis=3),
             node("QGemm", "f s z w ws wz b rs rz", "g", domain=ms, transB=1),
             node("Unsqueeze", "g i", "r")],
            {**{"w": random.integers(-127, 128, (4, 3)).astype(INT8)}, **each, **bias,
             "i": np.array([2], np.int64)}, ["Permute", "Reshape", "InnerProduct", "Reshape"]),
        "mean": ([node("QLinearGlobalAveragePool", "a s z rs rz", "r", domain=ms)], {},
                 ["Pooling"]),
        "joined": ([node("QLinearConcat", "rs rz a s z a s z", "r", domain=ms, axis=1)], {},
                   ["Concat"]),
    }  # fmt: skip


def _quantised_model(name: str) -> ModelProto:
    nodes, constants, _ = operators()[name]
    given = {**scales(0.05, 0, INT8), **scales(0.2, 0, INT8, "r"), **constants}
    last = node("DequantizeLinear", "r rs rz", "y")
    net = Net([node("QuantizeLinear", "x s z", "a"), *nodes, last], given)
    model = net.model()
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model.ir_version = 8
    return model


@pytest.mark.parametrize("name", operators())
def test_an_operator_of_integers(name: str, tmp_path: Path) -> None:
    """onnxruntime rounds its inputs and its result: half a step each."""
    model = _quantised_model(name)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    network, x = load_network(path, None), numbers(2, 3, 6, 7)
    session: Any = onnxruntime.InferenceSession(model.SerializeToString())
    expected = session.run(None, {"x": x})[0]
    found = by_bmnetu(network, {"x": np.round(x / 0.05) * np.float32(0.05)})["y"]
    assert [kind for kind in kinds(network) if kind != "Split"] == operators()[name][2]
    clipped = np.clip(found, -25.6, 25.4)
    assert np.abs(clipped - expected).max() <= 0.1001


def test_a_calibration_keeps_the_scales(tmp_path: Path) -> None:
    constants = {"w": numbers(4, 3, 3, 3), **scales(0.02, 0, INT8), **scales(0.3, 0, UINT8, "r")}
    nodes = [*pair("x", "a"), node("Conv", "a w", "c"), *pair("c", "y", "rs", "rz")]
    path = Net(nodes, constants).write(tmp_path)
    np.save(tmp_path / "data.npy", numbers(4, 3, 6, 7))
    found = bmnetu.calibrate(path, None, tmp_path / "data.npy", tmp_path / "int8")
    assert found.thresholds["x"] == pytest.approx(2.54, rel=1e-5)
    assert found.thresholds["y"] == pytest.approx(76.5, rel=1e-5)


def test_a_mask_stays_float(tmp_path: Path) -> None:
    """Of its numbers 8 bits would hold nothing but the largest."""
    mask = np.where(np.tri(4), 0, -np.inf).astype(np.float32)
    nodes = [node("MatMul", "x x", "a"), node("Add", "a m", "b"), node("Softmax", "b", "c"),
             node("MatMul", "c x", "y")]  # fmt: skip
    path = Net(nodes, {"m": mask}, {"x": (1, 2, 4, 4)}).write(tmp_path)
    np.save(tmp_path / "data.npy", numbers(4, 2, 4, 4))
    made = bmnetu.calibrate(path, None, tmp_path / "data.npy", tmp_path / "int8")
    x = numbers(1, 2, 4, 4)
    exact = by_bmnetu(load_network(path, None), {"x": x})["y"]
    found = bmnetu.compile(made.prototxt, made.umodel, tmp_path / "out", prec="INT8",
                           cmp_data={"x": x})  # fmt: skip
    assert found.findings is not None
    np.testing.assert_allclose(found.findings.outputs["y"], exact, atol=0.1)
