"""Fashion-MNIST as Debian's package dataset-fashion-mnist brings it."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FOLDER = Path("/usr/share/datasets/fashion-mnist")
SIDE = 28
CLASSES = 10
PARTS = {"train": 60_000, "t10k": 10_000}
"""How many images each part has at most."""
_BYTES = 8
"""Unsigned bytes: the type of the elements in an idx file's magic number."""


class DataError(Exception):
    """The data are missing or damaged; the message is one sentence that names the file."""


def load(folder: Path, part: str) -> tuple[Array, Array]:
    """Pixels, N x 1 x 28 x 28 uint8, and labels, N uint8, of a part: ``train`` or ``t10k``.

    Raises DataError.
    """
    most = PARTS[part]
    pixels = read_idx(folder / f"{part}-images-idx3-ubyte.gz", (most, SIDE, SIDE))
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", (most,))
    if len(pixels) != len(labels):
        raise DataError(f"{folder}: {len(pixels)} images of {part} have {len(labels)} labels")
    if not len(labels) or labels.max() >= CLASSES:
        raise DataError(f"{folder}: the labels of {part} are not 0 to {CLASSES - 1}")
    return pixels[:, None], labels


def read_idx(path: Path, largest: tuple[int, ...]) -> Array:
    """The unsigned bytes of a gzipped idx file, of the shape ``largest`` but perhaps fewer images.

    Reads no more than that shape can have. Raises DataError.
    """
    try:
        with gzip.open(path) as file:
            header = file.read(4 + 4 * len(largest))
            magic, shape = header[:4], np.frombuffer(header[4:], ">u4").tolist()
            if magic != bytes([0, 0, _BYTES, len(largest)]) or not _fits(shape, largest):
                raise DataError(f"{path}: is not an idx file of at most "
                                f"{' x '.join(map(str, largest))} bytes")  # fmt: skip
            count = prod(shape)
            data = file.read(count + 1)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; install Debian's package dataset-fashion-mnist, or"
                        " give the folder that has its four files with --data") from None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if len(data) != count:
        raise DataError(f"{path}: holds not the {count} bytes that its header declares")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _fits(shape: list[int], largest: tuple[int, ...]) -> bool:
    return len(shape) == len(largest) and shape[0] <= largest[0] and shape[1:] == [*largest[1:]]
