"""Calibration data: what is read, and what is said of faulty data."""

from __future__ import annotations

import io
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bmnetu.calibration.data.dataset import open_data
from bmnetu.errors import InputFileError
from dialects.blob import Array

ONE = {"data": (2, 3, 4, 5)}
TWO = {"a": (2, 3), "b": (4, 5)}
GREY = {"data": (1, 1, 4, 5)}
SAMPLES = np.random.default_rng(0).normal(size=(5, 3, 4, 5)).astype(np.float32)


def batches(path: Path, inputs: dict[str, tuple[int, ...]], limit: int = 100) -> list[Array]:
    """The batches of the first input."""
    return [batch[next(iter(inputs))] for batch in open_data(path, inputs, limit).batches()]


def npz(path: Path, **arrays: Array) -> Path:
    np.savez(path, allow_pickle=False, **arrays)
    return path


def npy_bytes(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# -- arrays ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64", "bool"])
def test_an_npy_gives_batches_of_the_net(tmp_path: Path, dtype: str) -> None:
    array = np.abs(SAMPLES * 10).astype(dtype)
    np.save(tmp_path / "x.npy", array)
    found = batches(tmp_path / "x.npy", ONE)
    assert [batch.shape for batch in found] == [(2, 3, 4, 5)] * 3
    assert {str(batch.dtype) for batch in found} == {"float32"}
    assert np.array_equal(np.concatenate(found)[:5], array.astype(np.float32))


def test_a_last_batch_that_is_not_full_repeats_its_samples(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", SAMPLES)
    last = batches(tmp_path / "x.npy", ONE)[-1]
    assert np.array_equal(last, np.stack([SAMPLES[4], SAMPLES[4]]))


def test_the_limit_counts_batches(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", SAMPLES)
    assert len(batches(tmp_path / "x.npy", ONE, limit=2)) == 2


def test_data_can_be_walked_again(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", SAMPLES)
    data = open_data(tmp_path / "x.npy", ONE, 9)
    first, second = ([batch["data"] for batch in data.batches()] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_an_npz_gives_every_input_its_array(tmp_path: Path) -> None:
    a, b = np.arange(12.0).reshape(4, 3), np.arange(40.0).reshape(8, 5)
    path = npz(tmp_path / "x.npz", b=b, a=a, other=np.zeros(1))
    found = list(open_data(path, TWO, 100).batches())
    assert len(found) == 2
    assert np.array_equal(found[1]["a"], a[2:])
    assert np.array_equal(found[1]["b"], b[4:])


def test_one_array_alone_fits_a_single_input(tmp_path: Path) -> None:
    assert len(batches(npz(tmp_path / "x.npz", whatever=SAMPLES), ONE)) == 3


def test_a_compressed_npz_is_read_in_pieces(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", allow_pickle=False, data=SAMPLES)
    assert np.array_equal(batches(tmp_path / "x.npz", ONE)[0], SAMPLES[:2])


def test_samples_are_not_kept(tmp_path: Path) -> None:
    """Sixteen megabytes are read with one megabyte of memory."""
    np.save(tmp_path / "x.npy", np.zeros((200, 3, 80, 80), np.float32))
    data = open_data(tmp_path / "x.npy", {"data": (1, 3, 80, 80)}, 1000)
    tracemalloc.start()
    count = sum(1 for _ in data.batches())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 200
    assert peak < 1_000_000


def test_batches_can_be_read_in_any_order(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", allow_pickle=False, data=SAMPLES)
    data = open_data(tmp_path / "x.npz", ONE, 9)
    for index in (1, 0, 2, 0):
        expected = np.resize(SAMPLES[2 * index : 2 * index + 2], (2, 3, 4, 5))
        assert np.array_equal(data.batch(index)["data"], expected)


@pytest.mark.parametrize("name", ["label", "labels"])
def test_an_npz_can_hold_labels(tmp_path: Path, name: str) -> None:
    labels = np.array([3, 1, 4, 1, 5], np.uint8)
    path = npz(tmp_path / "x.npz", images=SAMPLES, **{name: labels})
    assert np.array_equal(batches(path, ONE)[0], SAMPLES[:2])
    for limit, count in ((9, 5), (2, 4)):
        found = open_data(path, ONE, limit).labels()
        assert found is not None
        assert found.tolist() == labels[:count].tolist()


@pytest.mark.parametrize("labels", [np.zeros(4, np.int64), np.zeros(5), np.zeros((5, 1), np.int64)])
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, labels: Array) -> None:
    data = open_data(npz(tmp_path / "x.npz", data=SAMPLES, labels=labels), ONE, 9)
    with pytest.raises(InputFileError, match=r'array "labels" is .*, 5 integers are expected'):
        data.labels()


def test_an_input_can_have_one_dimension(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(5.0))
    assert batches(tmp_path / "x.npy", {"a": (5,)})[0].tolist() == [0, 1, 2, 3, 4]


def test_an_input_may_be_called_label(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz", label=SAMPLES)
    data = open_data(path, {"label": ONE["data"]}, 9)
    assert np.array_equal(data.batch(0)["label"], SAMPLES[:2])
    assert data.labels() is None


def member(content: bytes) -> Callable[[Path], Path]:
    """Writes an .npz whose one member has that content."""

    def write(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "x.npz", "w") as archive:
            archive.writestr("data.npy", content)
        return folder / "x.npz"

    return write


def file(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def saved(array: Array) -> Callable[[Path], Path]:
    return file("x.npy", npy_bytes(array))


def with_nan() -> Array:
    array = SAMPLES.copy()
    array[4, 1, 2, 3] = np.nan
    return array


PICKLED = io.BytesIO()
np.save(PICKLED, np.array([{}], dtype=object))

FAULTY: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "none", "no such file or folder"),
    "text": (file("x.txt", b"hello"), "neither an image or a folder of images, nor an LMDB"),
    "empty npy": (file("x.npy", b""), "cannot be read as an array"),
    "no npy": (file("x.npy", b"hello, this is no array"), "cannot be read as an array"),
    "cut npy": (file("x.npy", npy_bytes(SAMPLES)[:-8]), 'array "data" is cut short'),
    "cut header": (file("x.npy", npy_bytes(SAMPLES)[:40]), "cannot be read as an array"),
    "new version": (file("x.npy", b"\x93NUMPY\x03\x00" + bytes(120)), "format version"),
    "odd header": (
        file("x.npy", b"\x93NUMPY\x01\x00\x10\x00" + b"((((((((((((((('"), "cannot be read"
    ),
    "objects": (file("x.npy", PICKLED.getvalue()), "holds object, numbers are expected"),
    "words": (saved(np.array(["a", "b"])), "numbers are expected"),
    "complex": (saved(SAMPLES.astype(complex)), "holds complex128, numbers are expected"),
    "other shape": (saved(SAMPLES[:, :2]), "is 5x2x4x5, the net's input requires Nx3x4x5"),
    "other rank": (saved(SAMPLES[0]), "is 3x4x5, the net's input requires Nx3x4x5"),
    "no samples": (saved(SAMPLES[:0]), "has no samples"),
    "fortran": (saved(np.asfortranarray(SAMPLES)), "Fortran order"),
    "nan": (saved(with_nan()), "not finite"),
    "too large": (saved(SAMPLES.astype(np.float64) * 1e300), "not finite"),
    "empty npz": (file("x.npz", b""), "cannot be read as an .npz"),
    "no npz": (file("x.npz", b"PK\x03\x04 hello"), "cannot be read as an .npz"),
    "npz without arrays": (
        file("x.npz", b"PK\x05\x06" + bytes(18)), 'has no array "data" for the net\'s input'
    ),
    "cut member": (member(npy_bytes(SAMPLES)[:-100]), 'array "data" is cut short'),
    "member without array": (member(b"hello"), "cannot be read as an array"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_faulty_arrays_give_one_sentence(tmp_path: Path, name: str) -> None:
    write, sentence = FAULTY[name]
    path = write(tmp_path)
    with pytest.raises(InputFileError, match=re.escape(sentence)) as caught:
        batches(path, ONE)
    assert caught.value.message.startswith(f"{path}: ")
    assert "\n" not in caught.value.message


def test_a_missing_array_is_named_with_those_there(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz", a=np.zeros((2, 3)), c=np.zeros(1))
    with pytest.raises(InputFileError, match='no array "b" for the net\'s input; it has a, c'):
        open_data(path, TWO, 1)


def test_inputs_must_have_equally_many_batches(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz", a=np.zeros((2, 3)), b=np.zeros((8, 5)))
    with pytest.raises(InputFileError, match='1 of "a", 2 of "b"'):
        open_data(path, TWO, 1)


@pytest.mark.parametrize("name", ["x.npy", "images"])
def test_several_inputs_want_an_npz(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix:
        np.save(path, SAMPLES)
    else:
        path.mkdir()
    with pytest.raises(InputFileError, match=r"the net has 2 \(a, b\); give an .npz"):
        open_data(path, TWO, 1)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_give_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    npz(folder / "good.npz", data=SAMPLES)
    np.save(folder / "good.npy", SAMPLES)
    kind = data.draw(st.sampled_from(["npy", "npz"]))
    content = bytearray((folder / f"good.{kind}").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(content) - 1, 300)))
        content[at] = data.draw(st.integers(0, 255))
    path = folder / f"bad.{kind}"
    path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    found: list[Array] = []
    with suppress(InputFileError):
        found = batches(path, ONE)
    assert all(batch.shape == (2, 3, 4, 5) and np.isfinite(batch).all() for batch in found)


# -- images ----------------------------------------------------------------------------------------


def save(folder: Path, name: str, pixels: Array) -> None:
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / name)


def test_images_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, level in (("b.png", 2), ("a.png", 1), ("c.bmp", 3)):
        save(tmp_path / "i", name, np.full((4, 5), level))
    (tmp_path / "i" / "notes.txt").write_text("no image")
    found = batches(tmp_path / "i", GREY)
    assert [batch.mean() for batch in found] == [1, 2, 3]
    assert found[0].shape == (1, 1, 4, 5)


def test_pixels_are_0_to_255_and_blue_comes_first(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3))
    save(tmp_path / "i", "a.png", pixels)
    found = batches(tmp_path / "i", {"data": (1, 3, 4, 5)})[0]
    assert np.array_equal(found[0], pixels[:, :, ::-1].transpose(2, 0, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_images_take_the_size_and_channels_of_the_input(tmp_path: Path, channels: int) -> None:
    save(tmp_path / "i", "grey.png", np.full((16, 20), 77))
    save(tmp_path / "i", "colour.png", np.full((3, 9, 3), 77))
    for batch in batches(tmp_path / "i", {"data": (1, channels, 4, 5)}):
        assert batch.shape == (1, channels, 4, 5)
        assert (batch == 77).all()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read as an image"),
        (b"hello", "cannot be read as an image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "cannot be read as an image"),
    ],
)
def test_a_faulty_image_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    save(tmp_path / "i", "a.png", np.zeros((4, 5)))
    (tmp_path / "i" / "b.png").write_bytes(content)
    with pytest.raises(InputFileError, match=f"b.png: {sentence}"):
        batches(tmp_path / "i", GREY)


def test_a_cut_image_is_named(tmp_path: Path) -> None:
    save(tmp_path / "i", "a.png", np.random.default_rng(0).integers(0, 256, (40, 50)))
    whole = (tmp_path / "i" / "a.png").read_bytes()
    (tmp_path / "i" / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputFileError, match=r"a\.png: cannot be read as an image"):
        batches(tmp_path / "i", GREY)


def test_an_absurdly_large_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    header = b"P5 60000 60000 255\n"
    (tmp_path / "i" / "a.pgm").write_bytes(header + bytes(100))
    with pytest.raises(InputFileError, match=r"a\.pgm: is too large for an image"):
        batches(tmp_path / "i", GREY)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputFileError, match="has no images"):
        open_data(tmp_path, GREY, 1)


@pytest.mark.parametrize("shape", [(1, 2, 4, 5), (1, 20)])
def test_images_fit_grey_and_colour_inputs_only(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save(tmp_path / "i", "a.png", np.zeros((4, 5)))
    with pytest.raises(InputFileError, match="images fit an input of 1 or 3 channels"):
        open_data(tmp_path / "i", {"data": shape}, 1)
