"""Damaged and hostile .onnx files: one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto

from bmnetu.errors import BmnetuError, InputFileError, UnsupportedError, UsageError
from bmnetu.frontend import load_network
from bmnetu.supported.check import check_network
from tests.frontend.onnx.graphs import Net, node, numbers

SMALL = Net(
    [
        node("Conv", "x w b", "c", pads=[0, 0, 1, 1]),
        node("MaxPool", "c", "m", kernel_shape=[2, 2]),
        node("Shape", "m", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axes", "batch"),
        node("Concat", "batch rest", "shape", axis=0),
        node("Reshape", "m shape", "flat"),
        node("Gemm", "flat v", "g", transB=1),
        node("Clip", "g low high", "y"),
    ],
    {
        "w": numbers(4, 3, 3, 3), "b": numbers(4), "v": numbers(2, 80),
        "zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1]),
        "low": np.array(0, np.float32), "high": np.array(6, np.float32),
    },
)  # fmt: skip
FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FLIPS = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4)


@FUZZ
@given(flips=FLIPS, cut=st.none() | st.integers(0, 1 << 20))
def test_byte_flips_and_cuts(
    tmp_path: Path, flips: list[tuple[int, int]], cut: int | None
) -> None:
    found = bytearray(SMALL.model().SerializeToString())
    for place, byte in flips:
        found[place % len(found)] = byte
    path = tmp_path / "net.onnx"
    path.write_bytes(bytes(found if cut is None else found[: cut % len(found)]))
    with suppress(BmnetuError):
        load_network(path, None).module.verify()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty; an ONNX net is expected"),
        (b"layer { name: 'x' }", "is damaged or cut short, or is no ONNX net"),
        (np.random.default_rng(0).bytes(999), "is damaged or cut short, or is no ONNX net"),
        (b"\x08\x07", "has no nodes"),
    ],
)
def test_files_that_are_no_nets(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    with pytest.raises(InputFileError, match=sentence):
        load_network(path, None)


def shaped(*dims: int) -> Callable[[TensorProto], None]:
    def change(tensor: TensorProto) -> None:
        tensor.ClearField("dims")
        tensor.dims.extend(dims)

    return change


def kind(value: int) -> Callable[[TensorProto], None]:
    def change(tensor: TensorProto) -> None:
        tensor.data_type = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (shaped(4, 3, 3), r'tensor "w" is damaged: its numbers do not fill 4x3x3'),
        (shaped(-4, -3, 3, 3), r'tensor "w" has the shape \[-4, -3, 3, 3\]'),
        (shaped(1 << 40), r'tensor "w" has the shape \[1099511627776\]'),
        (kind(8), r'tensor "w" holds no numbers'),
        (kind(99), r'tensor "w" holds no numbers'),
    ],
)
def test_hostile_tensors(
    tmp_path: Path, change: Callable[[TensorProto], None], sentence: str
) -> None:
    model = SMALL.model()
    change(model.graph.initializer[0])
    with pytest.raises(InputFileError, match=sentence):
        load_network(saved(tmp_path, model), None)


def saved(folder: Path, model: ModelProto) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    "nodes",
    [
        [node("ConstantOfShape", "large", "c")],
        [node("Expand", "one large", "c")],
        [node("Range", "zero end one64", "r"), node("Cast", "r", "c", to=1)],
        [node("Reshape", "many column", "m"), node("Add", "many m", "c")],
        [node("Gather", "many places", "c", axis=0), node("Gather", "c places", "d", axis=0)],
    ],
    ids=lambda nodes: nodes[0].op_type,
)
def test_what_is_computed_has_a_size(tmp_path: Path, nodes: list[NodeProto]) -> None:
    constants = {
        "large": np.array([1 << 20, 1 << 20]), "one": np.ones(1, np.float32),
        "zero": np.array(0), "end": np.array(1 << 50), "one64": np.array(1),
        "many": np.ones((1, 1 << 15), np.float32), "column": np.array([1 << 15, 1]),
        "places": np.zeros(1 << 15, np.int64),
    }  # fmt: skip
    net = Net([*nodes, node("Add", f"x {nodes[-1].output[0]}", "y")], constants)
    with pytest.raises(UnsupportedError, match=r"numbers, more than the file's size allows"):
        load_network(net.write(tmp_path), None)


FAULTS: dict[str, tuple[Net, str]] = {
    "no maker": (Net([node("Relu", "z", "y")]), 'reads "z", which no node makes before'),
    "order": (
        Net([node("Relu", "a", "y"), node("Relu", "x", "a")]), 'reads "a", which no node makes'
    ),
    "twice": (Net([node("Relu", "x", "y"), node("Tanh", "x", "y")]), 'makes "y", which is already'),
    "no output": (Net([node("Relu", "x", "a")]), 'output "y" is made by no node'),
    "inputs": (Net([node("Relu", "x x", "y")]), r"has 2 input\(s\)"),
    "left out": (Net([node("Conv", "x -", "y")]), "has no input 2"),
    "type": (Net([node("LeakyRelu", "x", "y", alpha="a")]), "attribute alpha has a wrong type"),
    "kernel": (Net([node("MaxPool", "x", "y")]), "has no kernel_shape"),
    "strides": (
        Net([node("MaxPool", "x", "y", kernel_shape=[1, 1], strides=[1])]), r"strides is \[1\]"
    ),
    "axis": (Net([node("Softmax", "x", "y", axis=4)]), "axis 4 is outside a tensor of 4"),
    "perm": (Net([node("Transpose", "x", "y", perm=[0, 0])]), r"perm is \[0, 0\]"),
    "infinite": (
        Net([node("Mul", "x c", "y")], {"c": np.full(3, np.inf, np.float32).reshape(3, 1, 1)}),
        '"c" has numbers that are not finite',
    ),
    "no list": (Net([node("Reshape", "x c", "y")], {"c": np.ones(2)}), "shape is no list"),
    "computed": (
        Net([node("Gather", "c i", "s", axis=7), node("Reshape", "x s", "y")],
            {"c": np.array([1, 2]), "i": np.array(0)}),
        "cannot be computed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_graphs(tmp_path: Path, name: str) -> None:
    net, sentence = FAULTS[name]
    with pytest.raises(InputFileError, match=sentence) as caught:
        load_network(net.write(tmp_path), None)
    assert "net.onnx" in caught.value.message
    assert "\n" not in caught.value.message


def test_names_that_are_no_text(tmp_path: Path) -> None:
    model = SMALL.model().SerializeToString().replace(b"Conv_c", b"Conv_\xff")
    path = tmp_path / "net.onnx"
    path.write_bytes(model)
    with pytest.raises(InputFileError, match="a name is not UTF-8"):
        load_network(path, None)


@pytest.mark.parametrize("opset", [5, 999])
def test_operator_sets_that_are_not_known(tmp_path: Path, opset: int) -> None:
    path = Net([node("Relu", "x", "y")], opset=opset).write(tmp_path)
    with pytest.raises(UnsupportedError, match=rf"operator set {opset} cannot be compiled"):
        load_network(path, None)


def _loaded(path: Path) -> object:
    return load_network(path, None)


@pytest.mark.parametrize("read", [_loaded, check_network])
def test_without_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    path = SMALL.write(tmp_path)
    for name in list(sys.modules):
        if name == "onnx" or name.startswith(("onnx.", "bmnetu.frontend.onnx")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"requires pip install 'bmnetu\[onnx\]'"):
        read(path)


def test_a_rule_of_the_layer_has_no_advice_about_the_export(tmp_path: Path) -> None:
    """The weights are constants: that they have to be is no help."""
    net = Net([node("Conv", "x w", "y", group=3)], {"w": numbers(6, 1, 3, 3)}, {"x": (1, 4, 9, 9)})
    with pytest.raises(UnsupportedError, match="group 3 does not divide 4 input") as caught:
        load_network(net.write(tmp_path), None)
    assert "constants" not in str(caught.value)


def test_weights_beside_a_net_that_has_its_own(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave it out"):
        load_network(SMALL.write(tmp_path), tmp_path / "w.caffemodel")
    with pytest.raises(UsageError, match="-weight must be given"):
        load_network(tmp_path / "net.prototxt", None)
