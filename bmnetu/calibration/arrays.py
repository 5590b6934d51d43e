"""Arrays of .npy and .npz files as calibration data, read in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy

from bmnetu.calibration.faults import reading
from bmnetu.errors import InputFileError
from dialects.blob import Array
from dialects.ufw.shapes import Shape, show

Opener = Callable[[], IO[bytes]]

NUMBERS = "biuf"
"""The kinds of dtypes that are real numbers."""
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, samples x the input's shape without its batch."""

    path: Path
    name: str
    open: Opener
    shape: Shape
    dtype: np.dtype[Any]

    @property
    def count(self) -> int:
        return self.shape[0]

    def read(self, size: int) -> Iterator[Array]:
        sample = prod(self.shape[1:])
        with reading(self.path, "an array"), self.open() as file:
            _header(file)
            for start in range(0, self.count, size):
                count = min(size, self.count - start)
                data = file.read(count * sample * self.dtype.itemsize)
                yield self._checked(data, (count, *self.shape[1:]))

    def _checked(self, data: bytes, shape: Shape) -> Array:
        if len(data) != prod(shape) * self.dtype.itemsize:
            raise InputFileError(f'{self.path}: array "{self.name}" is cut short')
        with np.errstate(over="ignore"):
            values = np.frombuffer(data, self.dtype).astype(np.float32).reshape(shape)
        if not np.isfinite(values).all():
            raise InputFileError(
                f'{self.path}: array "{self.name}" has numbers that are not finite'
            )
        return values


def open_npy(path: Path, name: str, shape: Shape) -> StoredArray:
    """The array of an .npy file for the input ``name``. Raises :class:`InputFileError`."""
    return _open(path, name, lambda: path.open("rb"), shape)


def open_npz(path: Path, inputs: Mapping[str, Shape]) -> dict[str, StoredArray]:
    """The arrays of an .npz file by input name; one array alone fits a single input.

    Raises :class:`InputFileError`.
    """
    with reading(path, "an .npz"), ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".npy")]
    wanted = {name: f"{name}.npy" for name in inputs}
    if len(members) == 1 and len(inputs) == 1:
        wanted = dict(zip(inputs, members, strict=True))
    missing = [name for name, member in wanted.items() if member not in members]
    if missing:
        found = ", ".join(member.removesuffix(".npy") for member in members)
        raise InputFileError(
            f'{path}: has no array "{missing[0]}" for the net\'s input; it has {found or "none"}'
        )
    return {
        name: _open(path, name, _member(path, member), inputs[name])
        for name, member in wanted.items()
    }


def _member(path: Path, member: str) -> Opener:
    def opener() -> IO[bytes]:
        with ZipFile(path) as archive:
            return archive.open(member)

    return opener


def _open(path: Path, name: str, opener: Opener, wanted: Shape) -> StoredArray:
    with reading(path, "an array"), opener() as file:
        shape, fortran, dtype = _header(file)
    what = f'{path}: array "{name}"'
    if dtype.kind not in NUMBERS:
        raise InputFileError(f"{what} holds {dtype}, numbers are wanted")
    if len(shape) != len(wanted) or shape[1:] != wanted[1:]:
        sample = "x".join(["N", *map(str, wanted[1:])])
        raise InputFileError(f"{what} is {show(shape)}, the net's input wants {sample}")
    if shape[0] < 1:
        raise InputFileError(f"{what} has no samples")
    if fortran and len(shape) > 1:
        raise InputFileError(
            f"{what} is stored in Fortran order; save numpy.ascontiguousarray(array)"
        )
    return StoredArray(path, name, opener, shape, dtype)


def _header(file: IO[bytes]) -> tuple[Shape, bool, np.dtype[Any]]:
    """Shape, Fortran order and dtype; leaves the file at the array's data."""
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"its format version is {version}")
    return _HEADERS[version](file)
