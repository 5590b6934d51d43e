"""LMDBs of Datum: what is read, and what is said of faulty ones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from bmnetu.calibration.data.accumulate import accumulate
from bmnetu.calibration.data.dataset import CalibrationData, open_data
from bmnetu.calibration.data.look import Look
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.errors import InputFileError
from bmnetu.frontend.ufw_pb2 import BlobProto, Datum
from dialects.blob import Array

COLOUR = {"data": (2, 3, 6, 8)}
GRAY = {"data": (1, 1, 6, 8)}
SHAPE = (3, 6, 8)
KEPT = Preprocess()


def write(path: Path, values: Iterable[Datum | bytes]) -> Path:
    env = lmdb.open(str(path), map_size=1 << 22)
    with env.begin(write=True) as transaction:
        for index, value in enumerate(values):
            data = value.SerializeToString() if isinstance(value, Datum) else value
            transaction.put(f"{index:08}_image".encode(), data)
    env.close()
    return path


def datum(planes: Array, label: int | None = None) -> Datum:
    channels, height, width = planes.shape
    found = Datum(channels=channels, height=height, width=width, label=label)
    if planes.dtype == np.uint8:
        found.data = planes.tobytes()
    else:
        found.float_data.extend(planes.ravel().tolist())
    return found


def encoded(pixels: Array, folder: Path) -> Datum:
    Image.fromarray(pixels).save(folder / "x.png")
    return Datum(encoded=True, data=(folder / "x.png").read_bytes())


def pixels(count: int, *shape: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, (count, *(shape or SHAPE))).astype(np.uint8)


def read(path: Path, inputs: dict[str, tuple[int, ...]] = COLOUR, wish: Preprocess = KEPT) -> Array:
    contract = wish.resolved(inputs["data"])
    return np.concatenate(list(samples(open_data(path, inputs, 100, contract))))


def samples(data: CalibrationData) -> Iterable[Array]:
    return (batch["data"] for batch in data.batches())


def test_pixels_are_bgr_and_in_the_order_of_the_keys(tmp_path: Path) -> None:
    planes = pixels(5)
    path = write(tmp_path / "l", map(datum, planes))
    assert np.array_equal(read(path)[:5], planes)
    assert np.array_equal(read(path / "data.mdb")[:5], planes)
    assert np.array_equal(read(path, COLOUR, Preprocess(color="rgb"))[:5], planes[:, ::-1])


def test_an_image_its_datum_and_its_encoded_datum_are_the_same_sample(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    rgb = pixels(1, 20, 30, 3)[0]
    Image.fromarray(rgb).save(tmp_path / "images" / "a.png")
    both = [datum(rgb[:, :, ::-1].transpose(2, 0, 1)), encoded(rgb, tmp_path)]
    path = write(tmp_path / "l", both)
    for color in ("bgr", "rgb", "gray"):
        wish = Preprocess((10,), (6, 8), color, (9, 8, 7))
        first, second = read(path, COLOUR, wish)
        image = read(tmp_path / "images", COLOUR, wish)[0]
        assert np.array_equal(first, image)
        assert np.array_equal(second, image)


def test_floats_are_read_as_they_are(tmp_path: Path) -> None:
    planes = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    path = write(tmp_path / "l", [datum(planes)])
    assert np.array_equal(read(path)[0], planes)
    assert np.array_equal(read(path, COLOUR, Preprocess(color="rgb"))[0], planes[::-1])


def test_ufw_shapes_and_types_are_read(tmp_path: Path) -> None:
    planes = np.random.default_rng(0).integers(-9, 9, SHAPE).astype("<i2")
    stored = Datum(data=planes.tobytes(), dtype=BlobProto.INT16)
    stored.shape.dim.extend([1, *SHAPE])
    assert np.array_equal(read(write(tmp_path / "l", [stored]))[0], planes)


def test_one_channel_fits_three_and_three_fit_one(tmp_path: Path) -> None:
    gray, colour = pixels(1, 1, 6, 8)[0], pixels(1)[0]
    found = read(write(tmp_path / "l", [datum(gray)]))[0]
    assert np.array_equal(found, np.repeat(gray, 3, axis=0))
    found = read(write(tmp_path / "m", [datum(colour)]), GRAY)[0]
    assert np.abs(found - np.tensordot([0.114, 0.587, 0.299], colour, 1)).max() < 1


def test_batches_can_be_read_in_any_order(tmp_path: Path) -> None:
    planes = pixels(7)
    data = open_data(write(tmp_path / "l", map(datum, planes)), COLOUR, 100)
    for index in (2, 0, 3, 1, 1):
        expected = np.resize(planes[2 * index : 2 * index + 2], (2, *SHAPE))
        assert np.array_equal(data.batch(index)["data"], expected)


def test_labels_are_those_of_the_samples_in_use(tmp_path: Path) -> None:
    path = write(tmp_path / "l", [datum(one, 3 * i) for i, one in enumerate(pixels(5))])
    labels = open_data(path, COLOUR, 100).labels()
    assert labels is not None
    assert labels.tolist() == [0, 3, 6, 9, 12]
    some = open_data(path, COLOUR, 2).labels()
    assert some is not None
    assert some.tolist() == [0, 3, 6, 9]
    assert open_data(write(tmp_path / "m", map(datum, pixels(2))), COLOUR, 9).labels() is None


def changed(**fields: object) -> Datum:
    found = datum(pixels(1)[0])
    for name, value in fields.items():
        setattr(found, name, value)
    return found


FAULTY = {
    "no datum": (b"\xff\xff hello", "cannot be read as a Datum"),
    "empty": (b"", "is no Datum with data"),
    "no data": (Datum(channels=3, height=6, width=8), "is no Datum with data"),
    "too little": (changed(data=b"123"), "has 3 bytes of data, 3x6x8 uint8 are expected"),
    "huge": (
        changed(channels=2**31 - 1, height=2**31 - 1, width=2**31 - 1), "bytes of data, 2147483647x"
    ),
    "negative": (changed(height=-6, width=-8), "has shape 3x-6x-8, channels x height x width"),
    "no image": (Datum(encoded=True, data=b"hello"), "cannot be read as a Datum: its format"),
    "channels": (datum(pixels(1, 2, 6, 8)[0]), "has 2 channels, the net's input has 3"),
    "nan": (datum(np.full(SHAPE, np.nan, np.float32)), "has numbers that are not finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_datum_is_named_by_its_key(tmp_path: Path, name: str) -> None:
    value, sentence = FAULTY[name]
    path = write(tmp_path / "l", [datum(pixels(1)[0]), value])
    with pytest.raises(InputFileError, match=re.escape(sentence)) as caught:
        read(path)
    assert f"{path}/data.mdb: datum 1 (key '00000001_image')" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_missing_label_among_others_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "l", [datum(pixels(1)[0], 1), datum(pixels(1)[0])])
    with pytest.raises(InputFileError, match="datum 1 has no label, others have one"):
        open_data(path, COLOUR, 9).labels()


def test_an_empty_lmdb_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="is an LMDB without entries"):
        open_data(write(tmp_path / "l", []), COLOUR, 9)


@pytest.mark.parametrize("size", [0, 100, 5000, 9000])
def test_an_lmdb_that_is_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    file = write(tmp_path / "l", map(datum, pixels(40))) / "data.mdb"
    os.truncate(file, size)
    with pytest.raises(InputFileError, match=f"^{tmp_path}"):
        open_data(tmp_path / "l", COLOUR, 9)


def test_a_damaged_lmdb_does_not_end_this_process(tmp_path: Path) -> None:
    """Pointers of a page lead far outside: the library reads there."""
    file = write(tmp_path / "l", map(datum, pixels(40))) / "data.mdb"
    content = bytearray(file.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 + 16 : page * 4096 + 26] = b"\xff" * 10
    file.write_bytes(content)
    with pytest.raises(InputFileError, match=f"^{tmp_path}"):
        accumulate(None, open_data(tmp_path / "l", COLOUR, 99), Look)
