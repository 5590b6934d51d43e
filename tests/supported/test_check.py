"""``bmnetu -check``: every layer's status, the exit code, and that no weights are read."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import helper

from bmnetu.cli import main
from bmnetu.errors import InputFileError
from bmnetu.supported.check import Status, check_network

HEAD = 'input: "x" input_shape { dim: 1 dim: 4 dim: 8 dim: 8 }\n'


def layer(kind: str, bottom: str, top: str, param: str = "") -> str:
    return f'layer {{ name: "{top}" type: "{kind}" bottom: "{bottom}" top: "{top}" {param} }}\n'


CONV = "convolution_param { num_output: 6 kernel_size: 3 pad: 1 }"


def model(folder: Path, *layers: str) -> Path:
    path = folder / "net.prototxt"
    path.write_text(HEAD + "".join(layers))
    return path


def statuses(path: Path) -> list[Status]:
    return [each.status for each in check_network(path).layers]


def test_a_net_that_can_be_compiled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = model(tmp_path, layer("Convolution", "x", "c", CONV), layer("Softmax", "c", "s"))
    assert statuses(path) == [Status.INT8, Status.FP32]
    assert main(["-check", f"-model={path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [f"{path}:2", "c", "Convolution", "INT8"]
    assert lines[2:] == [
        "in all:", "  1  Convolution  INT8", "  1  Softmax      FP32",
        f"{path}: all 2 layers can be compiled",
    ]  # fmt: skip


def test_every_kind_of_refusal_is_named_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = model(
        tmp_path,
        layer("Convolution", "x", "a", CONV.replace("3", "30")),  # larger than the input
        layer("Whiten", "x", "b"),
        layer("ReLU", "b", "c"),
        layer("Sort", "x", "d"),
        layer("Convolution", "x", "e", CONV.replace("pad", "pods")),
        layer("Convolution", "x", "f", CONV.replace("pad", "stride: 17 pad")),
        layer("Sigmoid", "x", "g"),
    )
    found = check_network(path)
    bad = Status.UNSUPPORTED
    assert [each.status for each in found.layers] == [
        bad, bad, Status.UNKNOWN, bad, bad, bad, Status.INT8
    ]  # fmt: skip
    reasons = [each.reason for each in found.layers]
    assert "30" in reasons[0]
    assert "-list_ops" in reasons[1]
    assert reasons[2] == 'the shape of its bottom "b" is not known'
    assert "output_whitelist" in reasons[3]
    assert reasons[4] == "unknown field pods"
    assert "17" in reasons[5]
    assert main(["-check", f"-model={path}"]) == 4
    assert f"{path}: 6 of 7 layers cannot be compiled" in capsys.readouterr().err


def test_weights_that_no_chip_could_hold_are_not_made(tmp_path: Path) -> None:
    param = "inner_product_param { num_output: 2000000000 }"
    path = model(tmp_path, layer("InnerProduct", "x", "a", param))
    (found,) = check_network(path).layers
    assert found.status is Status.UNSUPPORTED
    assert "weights; at most" in found.reason


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = model(tmp_path, layer("Sigmoid", "x", "g"), layer("Whiten", "g", "h"))
    assert main(["-check", "--json", f"-model={path}"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert [(each["name"], each["status"]) for each in found["layers"]] == [
        ("g", "INT8"), ("h", "unsupported")
    ]  # fmt: skip


def test_an_onnx(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "first"),
        helper.make_node("NonZero", ["a"], ["b"], "second"),
    ]
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 4, 4])
    y = helper.make_tensor_value_info("b", onnx.TensorProto.INT64, [4, None])
    path = tmp_path / "net.onnx"
    opset = helper.make_opsetid("", 17)
    net = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[opset])
    path.write_bytes(net.SerializeToString())
    found = check_network(path)
    assert [(each.name, each.status) for each in found.layers] == [
        ("first", Status.INT8), ("second", Status.UNSUPPORTED)
    ]  # fmt: skip


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text("layer { bottom")
    with pytest.raises(InputFileError):
        check_network(path)
    assert main(["-check"]) == 2
