"""Images as calibration data."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from bmnetu.calibration.data.faults import MisfitError, check_room, reading
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.errors import InputFileError
from dialects.constant import Array

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Images:
    """Image files for an input of that many channels."""

    paths: Sequence[Path]
    contract: Preprocess
    channels: int

    labels = None

    @property
    def count(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return str(self.paths[index])

    def read(self, start: int, stop: int) -> Array:
        return np.stack([self._image(path) for path in self.paths[start:stop]])

    def _image(self, path: Path) -> Array:
        with reading(path, "an image"), decoded(path) as picture:
            return self.contract.of_picture(picture, self.channels)


MAX_SIDE = 65535
"""Pixels: what a JPEG can have."""
PIXEL_BYTES = 4
"""What a pixel takes in Pillow, whatever its colours."""

logging.getLogger("PIL").addHandler(logging.NullHandler())


@contextmanager
def decoded(file: Path | io.BytesIO) -> Generator[Image.Image]:
    """An image file, opened; one of absurd size is an error, found before its pixels are read.
    Whatever else Pillow has to say of a damaged file goes unsaid."""
    size = file.getbuffer().nbytes if isinstance(file, io.BytesIO) else file.stat().st_size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = Image.open(file)
        except UnidentifiedImageError as error:
            raise ValueError("its format is none that Pillow knows") from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise MisfitError("is too large for an image") from error
        with picture:
            copies = 1 if picture.mode in ("L", "RGB") else 2
            if max(picture.size) > MAX_SIDE:
                raise MisfitError(f"is {picture.width}x{picture.height}, too large for an image")
            check_room(picture.width * picture.height * PIXEL_BYTES * copies, size)
            yield picture


def open_images(folder: Path, contract: Preprocess, channels: int) -> Images:
    """The images of a folder, sorted by name, or one image. Raises :class:`InputFileError`."""
    if folder.is_file():
        return Images([folder], contract, channels)
    with reading(folder, "a folder"):
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputFileError(f"{folder}: has no images ({', '.join(SUFFIXES)})")
    return Images(paths, contract, channels)
