"""Images as calibration data."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from bmnetu.calibration.faults import reading
from bmnetu.calibration.preprocess import Preprocess
from bmnetu.errors import InputFileError
from dialects.blob import Array

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


@contextmanager
def decoded(file: Path | IO[bytes]) -> Generator[Image.Image]:
    """An image file, opened; one of absurd size is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = Image.open(file)
        except UnidentifiedImageError as error:
            raise ValueError("its format is none that Pillow knows") from error
        with picture:
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
