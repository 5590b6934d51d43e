"""Tensors in files beside an .onnx: read below its folder, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, numpy_helper

from bmnetu.errors import InputFileError
from bmnetu.frontend import load_network
from tests.frontend.onnx.graphs import (
    Net,
    by_bmnetu,
    by_onnx,
    inputs_of,
    node,
    numbers,
)


def small_net() -> Net:
    constants = {"w": numbers(4, 3, 3, 3), "b": numbers(4), "v": numbers(80, 5)}
    nodes = [
        node("Conv", "x w b", "c"), node("Constant", "", "s", value_ints=[2, 80]),
        node("Reshape", "c s", "f"), node("Gemm", "f v", "y"),
    ]  # fmt: skip
    return Net(nodes, constants)


def written(folder: Path, net: Net, location: str = "net.onnx.data") -> ModelProto:
    """net.onnx with all its numbers in another file; the model as it was."""
    whole = net.model()
    (folder / location).parent.mkdir(parents=True, exist_ok=True)
    model = ModelProto()
    model.CopyFrom(whole)
    onnx.save(  # pyright: ignore[reportUnknownMemberType]
        model, folder / "net.onnx", save_as_external_data=True, all_tensors_to_one_file=True,
        location=location, size_threshold=0, convert_attribute=True,
    )  # fmt: skip
    return whole


@pytest.mark.parametrize("location", ["net.onnx.data", "weights/all.bin"])
def test_weights_beside_the_file(location: str, tmp_path: Path) -> None:
    net = small_net()
    whole = written(tmp_path, net, location)
    assert len((tmp_path / "net.onnx").read_bytes()) < 1500
    inputs = inputs_of(net)
    found = by_bmnetu(load_network(tmp_path / "net.onnx", None), inputs)
    np.testing.assert_allclose(found["y"], by_onnx(whole, inputs)["y"], rtol=1e-4, atol=1e-4)


def test_weights_beside_the_file_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, small_net())
    monkeypatch.chdir(tmp_path)
    load_network(Path("net.onnx"), None)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    load_network(Path("../net.onnx"), None)


def test_a_constant_node_may_have_its_numbers_there(tmp_path: Path) -> None:
    value = numpy_helper.from_array(numbers(1, 3, 1, 1), "value")
    net = Net([node("Constant", "", "c", value=value), node("Mul", "x c", "y")])
    whole = written(tmp_path, net)
    inputs = inputs_of(net)
    found = by_bmnetu(load_network(tmp_path / "net.onnx", None), inputs)
    np.testing.assert_array_equal(found["y"], by_onnx(whole, inputs)["y"])


def test_other_attributes_may_not(tmp_path: Path) -> None:
    value = TensorProto(name="v", data_type=TensorProto.FLOAT, dims=[1])
    external(value, location="net.onnx.data")
    (tmp_path / "net.onnx.data").write_bytes(bytes(4))
    net = Net(
        [node("ConstantOfShape", "s", "c", value=value), node("Add", "x c", "y")],
        {"s": np.array([3, 1, 1])},
    )
    with pytest.raises(InputFileError, match="its attribute value lies in another file"):
        load_network(net.write(tmp_path), None)


def external(tensor: TensorProto, **entries: str) -> None:
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)


def hostile(folder: Path, **entries: str) -> Path:
    """A net whose one weight of 12 bytes lies where the entries say; there are data.bin of 12
    bytes, a folder, and files and links outside of ``folder``."""
    home = folder / "home"
    home.mkdir()
    (home / "data.bin").write_bytes(np.arange(3, dtype="<f4").tobytes())
    (home / "folder").mkdir()
    (folder / "secret.bin").write_bytes(bytes(12))
    (home / "link.bin").symlink_to(folder / "secret.bin")
    (home / "up").symlink_to(folder)
    (home / "inside.bin").symlink_to(home / "data.bin")
    os.mkfifo(home / "pipe")
    model = Net([node("Mul", "x c", "y")], {"c": numbers(3, 1, 1)}).model()
    external(model.graph.initializer[0], **entries)
    path = home / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({}, "lies in '', and only files below"),
        ({"location": "/etc/passwd"}, "only files below the model's folder are read"),
        ({"location": "../secret.bin"}, "only files below the model's folder are read"),
        ({"location": "folder/../../secret.bin"}, "only files below"),
        ({"location": "..\\secret.bin"}, "only files below"),
        ({"location": "C:\\secret.bin"}, "only files below"),
        ({"location": "."}, "only files below"),
        ({"location": "data.bin\0"}, "only files below"),
        ({"location": "link.bin"}, "a link that leads out of the model's folder"),
        ({"location": "up/secret.bin"}, "a link that leads out of the model's folder"),
        ({"location": "gone.bin"}, "gone.bin, which is missing; put it there"),
        ({"location": "x" * 5000}, "cannot be read|is missing"),
        ({"location": "folder"}, "which is no file"),
        ({"location": "pipe"}, "which is no file"),
        ({"location": "data.bin", "offset": "4"}, "bytes 4 to 16 of .*, which has 12"),
        ({"location": "data.bin", "offset": "-4"}, "its offset is '-4'"),
        ({"location": "data.bin", "offset": "9" * 5000}, "its offset is '9999999999999999999'"),
        ({"location": "data.bin", "offset": "9" * 18}, "which has 12"),
        ({"location": "data.bin", "length": "4"}, "has 12 bytes, 4 are in"),
        ({"location": "data.bin", "length": "1e9"}, "its length is '1e9'"),
    ],
)
def test_places_that_are_not_read(
    entries: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(InputFileError, match=sentence) as caught:
        load_network(hostile(tmp_path, **entries), None)
    assert 'tensor "c"' in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("location", ["data.bin", "inside.bin", ".//data.bin"])
def test_places_that_are_read(location: str, tmp_path: Path) -> None:
    network = load_network(hostile(tmp_path, location=location, length="12"), None)
    (found,) = by_bmnetu(network, {"x": np.ones((2, 3, 6, 7), np.float32)}).values()
    np.testing.assert_array_equal(found[0, :, 0, 0], [0, 1, 2])


def test_a_place_that_is_no_text(tmp_path: Path) -> None:
    path = hostile(tmp_path, location="data.bin")
    path.write_bytes(path.read_bytes().replace(b"data.bin", b"data\xff\xfein"))
    with pytest.raises(InputFileError, match='tensor "c" is damaged: its place is not UTF-8'):
        load_network(path, None)


def sizes(*dims: int) -> Callable[[TensorProto], None]:
    def change(tensor: TensorProto) -> None:
        tensor.ClearField("dims")
        tensor.dims.extend(dims)

    return change


def test_a_tensor_that_is_larger_than_its_file_takes_no_memory(tmp_path: Path) -> None:
    model = Net([node("Mul", "x c", "y")], {"c": numbers(1, 1, 1)}).model()
    tensor = model.graph.initializer[0]
    sizes(1 << 28)(tensor)
    external(tensor, location="data.bin")
    (tmp_path / "data.bin").write_bytes(bytes(12))
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputFileError, match=r"bytes 0 to 1073741824 of .*, which has 12"):
        load_network(path, None)


def test_tensors_share_their_numbers_or_lie_apart(tmp_path: Path) -> None:
    constants = {name: np.arange(3, dtype=np.float32).reshape(3, 1, 1) for name in "ab"}
    nodes = [node("Mul", "x a", "c"), node("Add", "c b", "y")]
    model = Net(nodes, constants).model()
    for tensor in model.graph.initializer:
        external(tensor, location="data.bin", offset="0")
    (tmp_path / "data.bin").write_bytes(np.arange(4, dtype="<f4").tobytes())
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    network = load_network(path, None)
    (found,) = by_bmnetu(network, {"x": np.ones((2, 3, 6, 7), np.float32)}).values()
    np.testing.assert_array_equal(found[0, :, 0, 0], [0, 2, 4])
    model.graph.initializer[1].external_data[1].value = "4"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputFileError, match='tensor "b" overlaps other tensors in'):
        load_network(path, None)


def test_numbers_of_other_types(tmp_path: Path) -> None:
    arrays = {
        "f16": numbers(3, 1, 1).astype(np.float16), "f64": numbers(3, 1, 1).astype(np.float64),
        "i8": np.array([[[-3]], [[0]], [[5]]], np.int8),
    }  # fmt: skip
    for name, array in arrays.items():
        net = Net([node("Cast", f"{name}", "c", to=1), node("Mul", "x c", "y")], {name: array})
        written(tmp_path, net)
        network = load_network(tmp_path / "net.onnx", None)
        (found,) = by_bmnetu(network, {"x": np.ones((2, 3, 6, 7), np.float32)}).values()
        np.testing.assert_array_equal(found[0, :, 0, 0], array.astype(np.float32).ravel())
