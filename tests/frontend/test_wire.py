"""Files of many empty messages, and tensors of many dimensions, are refused at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend import load_network
from bmnetu.frontend.prototxt.text import MAX_MESSAGES as MAX_TEXT_MESSAGES
from bmnetu.frontend.ufw_pb2 import NetParameter, WeightFile
from bmnetu.frontend.weights.wire import MAX_MESSAGES, check_messages
from tests.frontend.samples import SMALL, data, written
from tests.networks import random_weights


def field(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


LAYERS, OLD_LAYERS, BLOBS = 100, 2, 7
MANY = MAX_MESSAGES + 1
FULL = {
    "layers": field(LAYERS, b"") * MANY,
    "old layers": field(OLD_LAYERS, b"") * MANY,
    "blobs": field(LAYERS, field(BLOBS, b"") * MANY),
    "shapes": field(LAYERS, field(BLOBS, field(7, b"") * MANY)),
}


@pytest.mark.parametrize("content", FULL.values(), ids=FULL)
def test_weights_of_many_messages(content: bytes, tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    weight.write_bytes(content)
    with pytest.raises(InputFileError, match=rf"umodel: has more than {MAX_MESSAGES} messages"):
        load_network(model, weight)


def test_an_onnx_of_many_messages(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(field(7, field(1, b"") * MANY))
    with pytest.raises(InputFileError, match=rf"net\.onnx: has more than {MAX_MESSAGES} messages"):
        load_network(tmp_path / "net.onnx", None)


def test_a_prototxt_of_many_messages(tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    model.write_text("layer {}\n" * (MAX_TEXT_MESSAGES + 1))
    sentence = rf"prototxt:{MAX_TEXT_MESSAGES + 1}: more than {MAX_TEXT_MESSAGES} messages"
    with pytest.raises(InputFileError, match=sentence):
        load_network(model, weight)


def test_other_files_pass() -> None:
    sound = random_weights(SMALL, 1).SerializeToString()
    numbers = field(LAYERS, field(BLOBS, field(5, bytes(4 * MANY))))
    others = field(LAYERS, field(999, b"") * MANY)
    for content in (sound, numbers, others, b"", b"\xff" * 99, sound[:-5], field(LAYERS, b"\xff")):
        check_messages(Path("it"), content, WeightFile)
    assert NetParameter.FromString(sound).layer


@pytest.mark.parametrize("rank", [33, 65, 100, 1000])
def test_a_tensor_of_many_dimensions(rank: int, tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    model.write_text(data(*[1] * rank) + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }')
    with pytest.raises(UnsupportedError, match=f"a tensor has {rank} dimensions, more than 32"):
        load_network(model, weight)
