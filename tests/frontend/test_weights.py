"""Weight files: matching by name, old shapes, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bmnetu.errors import InputFileError
from bmnetu.frontend import load_network, write_umodel
from bmnetu.frontend.ufw_pb2 import (
    BlobProto,
    BlobShape,
    LayerParameter,
    NetParameter,
    V1LayerParameter,
)
from bmnetu.frontend.weights.blobs import float_blob
from dialects.ufw import ops
from tests.frontend.samples import CONV, SMALL, data, layer, layers_of, loaded, run, written
from tests.networks import random_weights

TEXT = data(1, 3, 5, 5) + layer("Convolution", CONV)


def weights() -> NetParameter:
    return random_weights(TEXT, 3)


def conv(net: NetParameter) -> LayerParameter:
    return next(each for each in net.layer if each.blobs)


def weight_of(folder: Path, net: NetParameter) -> np.ndarray:
    (op,) = layers_of(loaded(folder, TEXT, net))
    assert isinstance(op, ops.ConvolutionOp)
    return op.weight.array


def test_extra_layers_and_unknown_fields_are_ignored(tmp_path: Path) -> None:
    net = weights()
    expected = weight_of(tmp_path, net)
    net.layer.add(name="classifier", type="InnerProduct").blobs.append(float_blob(np.ones(3)))
    raw = net.SerializeToString() + b"\xd2\x0f\x02hi"
    model, weight = written(tmp_path, TEXT)
    weight.write_bytes(raw)
    (op,) = layers_of(load_network(model, weight))
    assert isinstance(op, ops.ConvolutionOp)
    assert (op.weight.array == expected).all()


def test_old_layers_and_old_shapes(tmp_path: Path) -> None:
    net = weights()
    expected = weight_of(tmp_path, net)
    old = NetParameter()
    target = old.layers.add(name="l", type=V1LayerParameter.CONVOLUTION)
    kernel, bias = (target.blobs.add(), target.blobs.add())
    kernel.data.extend(conv(net).blobs[0].data)
    kernel.num, kernel.channels, kernel.height, kernel.width = 4, 3, 3, 3
    bias.data.extend(conv(net).blobs[1].data)
    bias.num, bias.channels, bias.height, bias.width = 1, 1, 1, 4
    assert (weight_of(tmp_path, old) == expected).all()


def test_doubles(tmp_path: Path) -> None:
    net = weights()
    expected = weight_of(tmp_path, net)
    blob = conv(net).blobs[0]
    blob.double_data.extend(blob.data)
    blob.ClearField("data")
    assert (weight_of(tmp_path, net) == expected).all()


def shape(*dims: int) -> BlobShape:
    return BlobShape(dim=dims)


def change_blob(index: int, **fields: object) -> NetParameter:
    net = weights()
    blob = conv(net).blobs[index]
    for name, value in fields.items():
        blob.ClearField(name)
        if isinstance(value, BlobShape):
            blob.shape.CopyFrom(value)
        elif isinstance(value, list):
            getattr(blob, name).extend(value)
    return net


def without_layer() -> NetParameter:
    net = weights()
    conv(net).name = "other"
    return net


def without_bias() -> NetParameter:
    net = weights()
    del conv(net).blobs[1]
    return net


def twice() -> NetParameter:
    net = weights()
    net.layer.append(conv(net))
    return net


FAULTS = [
    (change_blob(0, shape=shape(4, 3, 1, 9)),
     "its weights are 4x3x1x9 in the weight file, the prototxt requires 4x3x3x3"),
    (change_blob(0, shape=shape(4, 3, 3)),
     "its weights are declared as 4x3x3 but have 108 numbers"),
    (change_blob(0, shape=shape(-4, -3, 3, 3)), "declared as -4x-3x3x3 but have 108 numbers"),
    (change_blob(0, shape=shape(2**62, 2**62)), "but have 108 numbers"),
    (change_blob(1, data=[float("nan")] * 4), "its bias have numbers that are not finite"),
    (change_blob(1, data=[]), "its bias are declared as 4 but have 0 numbers"),
    (without_layer(), "has no weights of this layer"),
    (without_bias(), "has 1 blob(s) in"),
    (twice(), 'has weights of layer "l" twice'),
]  # fmt: skip


@pytest.mark.parametrize(("net", "sentence"), FAULTS)
def test_blobs_that_do_not_fit(tmp_path: Path, net: NetParameter, sentence: str) -> None:
    with pytest.raises(InputFileError) as caught:
        loaded(tmp_path, TEXT, net)
    message = str(caught.value)
    assert sentence in message
    assert "net.fp32umodel" in message
    assert "\n" not in message


def test_two_layers_of_one_name(tmp_path: Path) -> None:
    model, weight = written(tmp_path, TEXT)
    model.write_text(TEXT + layer("Convolution", CONV, bottom="data", top="m"))
    with pytest.raises(InputFileError, match=r":3: layer \"l\".*same name; rename one"):
        load_network(model, weight)


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    raw = weight.read_bytes()
    cases = [
        (b"", "is empty; a caffemodel or umodel is expected"),
        (raw[: len(raw) // 2], "is damaged or cut short, or is no weight file"),
        (model.read_bytes(), "is text; .*are -model and -weight swapped"),
        (b"\n\x03net", "has no layers"),
    ]
    for content, sentence in cases:
        weight.write_bytes(content)
        with pytest.raises(InputFileError, match=sentence):
            load_network(model, weight)
    with pytest.raises(InputFileError, match="swapped"):
        load_network(weight, model)
    weight.unlink()
    with pytest.raises(InputFileError, match="no such file"):
        load_network(model, weight)


def test_random_weights_are_seeded(tmp_path: Path) -> None:
    one, same, other = (random_weights(SMALL, seed).SerializeToString() for seed in (1, 1, 2))
    assert one == same != other
    assert 0 < run(loaded(tmp_path, SMALL))["prob"].max() < 1


def test_writing_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.fp32umodel"
    for name in ("one", "two"):
        write_umodel(path, NetParameter(name=name))
        assert NetParameter.FromString(path.read_bytes()).name == name
    assert [each.name for each in path.parent.iterdir()] == ["a.fp32umodel"]
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputFileError, match="taken: cannot be written"):
        write_umodel(tmp_path / "taken", NetParameter())
    assert not list(tmp_path.glob("*.part"))


def test_bytes_of_the_public_blob_fields() -> None:
    """The tags are UFW's public ones: 14 zig-zag packed, 16, 17, 22."""
    blob = BlobProto(
        int32_data=[-1, 1], right_shift_num=3, dtype=BlobProto.INT8, bit_width=BlobProto.BITS_8
    )
    assert blob.SerializeToString() == bytes([0x72, 2, 1, 2, 0x80, 1, 6, 0x88, 1, 8, 0xB0, 1, 2])


@pytest.mark.parametrize(("kind", "dtype"), [(0, "<f8"), (1, "<f4"), (2, "<f2"), (None, "<f8")])
def test_raw_data_of_nvidia(tmp_path: Path, kind: int | None, dtype: str) -> None:
    """Field 10 is its type there, DOUBLE unless it is given."""
    net = weights()
    expected = weight_of(tmp_path, net)
    for blob in conv(net).blobs:
        raw = np.array(blob.data, dtype).tobytes()
        dims = list(blob.shape.dim)
        blob.Clear()
        blob.MergeFromString(b"" if kind is None else bytes([10 << 3, kind]))
        blob.MergeFromString(BlobProto(raw_data=raw, shape=BlobShape(dim=dims)).SerializeToString())
    found = weight_of(tmp_path, net)
    assert (found == (expected.astype("f2") if kind == 2 else expected)).all()


@pytest.mark.parametrize(
    ("kind", "raw", "sentence"),
    [
        (3, b"abcd", "has raw_data of type 3; DOUBLE, FLOAT and FLOAT16 can be read"),
        (1, b"abc", "its raw_data of 3 bytes is cut short"),
    ],
)
def test_raw_data_that_cannot_be_read(
    tmp_path: Path, kind: int, raw: bytes, sentence: str
) -> None:
    net = weights()
    blob = conv(net).blobs[0]
    blob.Clear()
    blob.MergeFromString(bytes([10 << 3, kind]) + BlobProto(raw_data=raw).SerializeToString())
    with pytest.raises(InputFileError, match=sentence):
        weight_of(tmp_path, net)


def test_hdf5_is_named(tmp_path: Path) -> None:
    model, weight = written(tmp_path, TEXT)
    weight.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(InputFileError, match="is an HDF5 file"):
        load_network(model, weight)


@pytest.mark.parametrize(("text", "swapped"), [(SMALL, True), ("some words\n", False)])
def test_text_instead_of_weights(tmp_path: Path, text: str, swapped: bool) -> None:
    model, weight = written(tmp_path, TEXT)
    weight.write_text(text)
    with pytest.raises(InputFileError, match="is text; a caffemodel or umodel") as caught:
        load_network(model, weight)
    assert ("swapped" in str(caught.value)) is swapped


def test_names_in_another_encoding(tmp_path: Path) -> None:
    """A prototxt and its caffemodel, both in GBK."""
    model, weight = written(tmp_path, data(1, 3, 5, 5) + layer("Convolution", CONV, name="NAME"))
    expected = layers_of(load_network(model, weight))[0]
    for path in (model, weight):
        path.write_bytes(path.read_bytes().replace(b"NAME", "卷积".encode("gbk")))
    (found,) = layers_of(load_network(model, weight))
    assert isinstance(found, ops.ConvolutionOp)
    assert isinstance(expected, ops.ConvolutionOp)
    assert (found.weight.array == expected.weight.array).all()


SHARED = data(1, 3, 5, 5) + "".join(
    layer("Convolution", f'param {{ name: "w" }} param {{ name: "b" }} {CONV}', name=name, top=name)
    for name in ("one", "two", "three")
)


def convolutions(folder: Path, net: NetParameter) -> tuple[list[np.ndarray], tuple[str, ...]]:
    network = loaded(folder, SHARED, net)
    found = [op for op in layers_of(network) if isinstance(op, ops.ConvolutionOp)]
    return [op.weight.array for op in found], network.notes


def test_shared_weights_come_from_any_of_their_layers(tmp_path: Path) -> None:
    net = random_weights(SHARED, 3)
    for each in net.layer[1:]:
        if each.name != "two":
            each.ClearField("blobs")
    arrays, notes = convolutions(tmp_path, net)
    assert notes == ()
    assert len(arrays) == 3
    assert all((array.ravel() == net.layer[2].blobs[0].data).all() for array in arrays)


def test_the_last_of_different_shared_weights_is_taken(tmp_path: Path) -> None:
    net = random_weights(SHARED, 3)
    one, two, three = (net.layer[i] for i in (1, 2, 3))
    assert one.blobs[0] != two.blobs[0]
    arrays, notes = convolutions(tmp_path, net)
    assert all((array.ravel() == three.blobs[0].data).all() for array in arrays)
    assert len(notes) == 2
    assert 'layers "one", "two", "three" share the weights "w", but the file has dif' in notes[0]


def test_old_shared_weights(tmp_path: Path) -> None:
    old = 'input: "data" input_dim: [1, 3, 5, 5]\n' + "".join(
        f'layers {{ name: "{name}" type: CONVOLUTION bottom: "data" top: "{name}" param: "w" '
        f'param: "b" {CONV} }}\n'
        for name in ("one", "two")
    )
    net = random_weights(old, 3)
    net.layer[1].ClearField("blobs")
    one, two = layers_of(loaded(tmp_path, old, net))
    assert isinstance(one, ops.ConvolutionOp)
    assert isinstance(two, ops.ConvolutionOp)
    assert (one.weight.array == two.weight.array).all()
