"""Small data files that claim to be large are refused before anything of that size is made."""

from __future__ import annotations

import logging
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bmnetu.calibration.data.dataset import CalibrationData, open_data
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.errors import InputFileError
from bmnetu.frontend.ufw_pb2 import Datum
from tests.fuzz.seeds import database

INPUT = (1, 3, 8, 8)
FIT = Preprocess(resize=(8, 8)).resolved(INPUT)


def opened(path: Path, contract: Preprocess | None = FIT) -> CalibrationData:
    return open_data(path, {"data": INPUT}, 100, contract)


def header(shape: str, kind: str = "<f4") -> bytes:
    """The head of an .npy file."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def zeros(path: Path, shape: str, count: int, kind: str = "<f4", name: str = "data") -> Path:
    """Adds an array of that many zero bytes, packed, to an .npz."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(f"{name}.npy", "w") as file:
            file.write(header(shape, kind))
            for _ in range(0, count, 1 << 20):
                file.write(bytes(min(count, 1 << 20)))
    return path


def png(width: int, height: int, kind: int = 0) -> bytes:
    """A gray or colour PNG of that size; its pixels are missing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")


IMAGES = {
    "high": (1, 80_000_000, "is 1x80000000, too large for an image"),
    "wide": (80_000_000, 1, "is 80000000x1, too large for an image"),
    "square": (9000, 9000, "requires 324000000 bytes of memory, too many for a file of"),
    "bomb": (20_000, 20_000, "is too large for an image"),
}


@pytest.mark.parametrize(("width", "height", "reason"), IMAGES.values(), ids=IMAGES)
def test_images(width: int, height: int, reason: str, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.png").write_bytes(png(width, height))
    with pytest.raises(InputFileError, match=rf"a\.png: {reason}"):
        opened(tmp_path / "d").batch(0)
    database(tmp_path / "l", [Datum(data=png(width, height), encoded=True).SerializeToString()])
    with pytest.raises(InputFileError, match=rf"datum 0 .*: {reason}"):
        opened(tmp_path / "l").batch(0)


def test_a_large_image_may_be_read_from_a_large_file(tmp_path: Path) -> None:
    """8000 x 7000 pixels would be refused in a file of few bytes."""
    picture = Image.effect_noise((8000, 7000), 90)
    picture.save(tmp_path / "a.bmp")
    assert opened(tmp_path).batch(0)["data"].shape == INPUT


def test_what_pillow_has_to_say_goes_unsaid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    real = Image.open

    def complaining(file: Any) -> Image.Image:
        warnings.warn("corrupt", UserWarning, stacklevel=2)
        logging.getLogger("PIL.PngImagePlugin").warning("corrupt")
        return real(file)

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "open", complaining)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as without pytest
    opened(tmp_path).batch(0)
    assert capfd.readouterr() == ("", "")


def test_arrays_whose_header_claims_more_than_there_is(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(header("(700000, 3, 8, 8)") + bytes(1000))
    zeros(tmp_path / "a.npz", "(700000, 3, 8, 8)", 1000)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputFileError, match=f'{name}: array "data" is cut short'):
            opened(tmp_path / name, None)


def test_an_array_that_unpacks_to_very_much_is_read_in_pieces(tmp_path: Path) -> None:
    """200 MB of zeros in 200 kB are fine as long as a batch is small."""
    path = zeros(tmp_path / "a.npz", "(262144, 3, 8, 8)", 262_144 * 768)
    assert opened(path, None).batch(3)["data"].shape == INPUT


@pytest.mark.parametrize("kind", ["|u1", "<f4", "<f8"])
def test_one_sample_that_unpacks_to_very_much_is_refused(kind: str, tmp_path: Path) -> None:
    side, size = 6000, np.dtype(kind).itemsize
    path = zeros(tmp_path / "a.npz", f"(1, 3, {side}, {side})", 3 * side * side * size, kind)
    taken = 3 * side * side * (size + 4)
    with pytest.raises(InputFileError, match=f"requires {taken} bytes of memory, too many"):
        opened(path).batch(0)


def test_labels_that_unpack_to_very_much_are_refused(tmp_path: Path) -> None:
    count = 20_000_000
    path = zeros(tmp_path / "a.npz", f"({count}, 1)", count, "|u1")
    zeros(path, f"({count},)", 8 * count, "<i8", "label")
    data = open_data(path, {"data": (1, 1)}, 3)
    with pytest.raises(InputFileError, match='"label": requires 240000000 bytes of memory'):
        data.labels()
