"""Images as calibration data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bmnetu.calibration.faults import reading
from bmnetu.errors import InputFileError
from dialects.blob import Array
from dialects.ufw.shapes import Shape, show

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MODES = {1: "L", 3: "RGB"}
"""Pillow's colour mode by the input's channels."""


@dataclass(frozen=True)
class Images:
    """Image files for an input of N x C x H x W: grey for one channel, BGR for three as in Caffe.

    Every image is resized to H x W (bilinear); values are 0 to 255.
    """

    paths: Sequence[Path]
    shape: Shape

    @property
    def count(self) -> int:
        return len(self.paths)

    def read(self, size: int) -> Iterator[Array]:
        for start in range(0, len(self.paths), size):
            yield np.stack([self._image(path) for path in self.paths[start : start + size]])

    def _image(self, path: Path) -> Array:
        _, channels, height, width = self.shape
        with reading(path, "an image"), warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                fitted = image.convert(MODES[channels]).resize(
                    (width, height), Image.Resampling.BILINEAR
                )
            pixels = np.asarray(fitted, np.float32).reshape(height, width, channels)
        return np.ascontiguousarray(pixels[:, :, ::-1].transpose(2, 0, 1))


def open_images(folder: Path, shape: Shape) -> Images:
    """The images of a folder, sorted by name. Raises :class:`InputFileError`."""
    if len(shape) != 4 or shape[1] not in MODES:
        raise InputFileError(
            f"{folder}: images fit an input of 1 or 3 channels, the net's is {show(shape)}; "
            "give an .npy or .npz"
        )
    with reading(folder, "a folder"):
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputFileError(f"{folder}: has no images ({', '.join(SUFFIXES)})")
    return Images(paths, shape)
