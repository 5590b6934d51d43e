"""weights.npz of a dump: the blobs by digest, read where they are used and never beyond bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bmnetu.errors import InputFileError

SPACE = 1 << 26
RATIO = 8
"""The arrays may take SPACE bytes and RATIO times the file's size: dumps are not compressed."""
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""Readers of an .npy header by its format version."""


class WeightsFile(Mapping[str, NDArray[Any]]):
    """The arrays of an .npz. Raises :class:`InputFileError` when the file is damaged or absurd."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, NDArray[Any]] = {}
        try:
            with ZipFile(path) as archive:
                self._members = {info.filename: info for info in archive.infolist()}
            size = sum(info.file_size for info in self._members.values())
            if size > SPACE + RATIO * path.stat().st_size:
                raise ValueError(f"unpacked it has {size} bytes, too many for a file of its size")
        except Exception as error:  # zipfile raises errors of any type on damaged files
            raise self._error(error) from error

    def __getitem__(self, digest: str) -> NDArray[Any]:
        if digest not in self._found:
            info = self._members[f"{digest}.npy"]
            try:
                self._found[digest] = self._read(info)
            except Exception as error:
                raise self._error(error) from error
        return self._found[digest]

    def __iter__(self) -> Iterator[str]:
        return (name.removesuffix(".npy") for name in self._members)

    def __len__(self) -> int:
        return len(self._members)

    def _read(self, info: ZipInfo) -> NDArray[Any]:
        with ZipFile(self.path) as archive, archive.open(info) as file:
            version = npy.read_magic(file)
            if version not in HEADERS:
                raise ValueError(f"array {info.filename} has format version {version}")
            shape, _, dtype = HEADERS[version](file)
            size = prod(shape) * dtype.itemsize
            if dtype.kind not in "biuf" or file.tell() + size != info.file_size:
                raise ValueError(f"array {info.filename} is not what its header says")
            return np.frombuffer(file.read(size), dtype).reshape(shape)

    def _error(self, error: Exception) -> InputFileError:
        return InputFileError(f"{self.path}: not a weights.npz of a dump ({error})")
