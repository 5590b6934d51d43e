"""Arrays of .npy and .npz files as calibration data, read in pieces."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy

from bmnetu.calibration.data.faults import MisfitError, check_room, reading
from bmnetu.calibration.data.preprocess import MAX_PIXELS, Preprocess
from bmnetu.errors import InputFileError
from bmnetu.files.weights_file import HEADERS
from dialects.constant import Array
from dialects.ufw.shapes import Shape, show

NUMBERS = "biuf"
"""The kinds of dtypes that are real numbers."""
LABELS = ("label.npy", "labels.npy")
"""The members of an .npz that can hold the class of every sample."""
FLOAT_BYTES = 4
"""What a number takes that is read."""


@dataclass
class ArrayFile:
    """An .npy, or a member of an .npz; opened when it is first read, in every process anew.

    A compressed member is cheap to read forwards only, so that it stays open.
    """

    path: Path
    member: str = ""
    _file: IO[bytes] | None = field(default=None, init=False)

    def open(self) -> IO[bytes]:
        """The file at its beginning."""
        if self._file is None:
            self._file = self._opened()
            weakref.finalize(self, self._file.close)
        self._file.seek(0)
        return self._file

    def read(self, start: int, size: int) -> bytes:
        """Bytes from a place on."""
        file = self._file or self.open()
        file.seek(start)
        return file.read(size)

    @property
    def size(self) -> int:
        """Bytes of all of it, unpacked."""
        if not self.member:
            return self.path.stat().st_size
        with ZipFile(self.path) as archive:
            return archive.getinfo(self.member).file_size

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}

    def _opened(self) -> IO[bytes]:
        if not self.member:
            return self.path.open("rb")
        with ZipFile(self.path) as archive:
            return archive.open(self.member)


@dataclass(frozen=True)
class StoredArray:
    """An array in a file: samples x what the input's shape is without its batch.

    With a contract the samples are channels x height x width, in the net's order of channels;
    without one they are the input as they are. ``start`` is where the numbers begin in the file,
    ``classes`` the array of the labels.
    """

    file: ArrayFile
    what: str
    shape: Shape
    dtype: np.dtype[Any]
    start: int
    contract: Preprocess | None = None
    channels: int = 0
    classes: ArrayFile | None = None

    @property
    def count(self) -> int:
        return self.shape[0]

    def name(self, index: int) -> str:
        return f"{self.what}: sample {index}"

    def read(self, start: int, stop: int) -> Array:
        if self.contract is None:
            return self._values(start, stop)
        return np.stack([self._image(index) for index in range(start, min(stop, self.count))])

    def _image(self, index: int) -> Array:
        assert self.contract is not None
        (sample,) = self._values(index, index + 1)
        with reading(self.what, "images"):
            return self.contract.of_planes(sample, self.channels)

    @property
    def labels(self) -> Array | None:
        """The label of every sample; None when the .npz has none. Raises InputFileError."""
        if self.classes is None:
            return None
        what = f'{self.file.path}: array "{self.classes.member.removesuffix(".npy")}"'
        found = described(self.classes, what)
        if found.dtype.kind not in "iu" or found.shape != (self.count,):
            raise InputFileError(
                f"{what} is {show(found.shape)} {found.dtype}, {self.count} integers are expected"
            )
        return found.numbers(0, self.count).astype(np.int64)

    def numbers(self, start: int, stop: int) -> Array:
        """The samples as they are stored."""
        stop = min(stop, self.count)
        shape = (stop - start, *self.shape[1:])
        sample = prod(self.shape[1:]) * self.dtype.itemsize
        with reading(self.what, "an array"):
            taken = prod(shape) * (self.dtype.itemsize + FLOAT_BYTES)
            check_room(taken, self.file.path.stat().st_size)
        with reading(self.file.path, "an array"):
            data = self.file.read(self.start + start * sample, (stop - start) * sample)
        if len(data) != prod(shape) * self.dtype.itemsize:
            raise InputFileError(f"{self.what} is cut short")
        return np.frombuffer(data, self.dtype).reshape(shape)

    def _values(self, start: int, stop: int) -> Array:
        with np.errstate(over="ignore"):
            values = self.numbers(start, stop).astype(np.float32)
        bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if bad.any():
            at = start + int(bad.argmax())
            raise InputFileError(f"{self.name(at)} has numbers that are not finite")
        return values


def open_npy(path: Path, name: str, shape: Shape, contract: Preprocess | None) -> StoredArray:
    """The array of an .npy file for the input ``name``. Raises :class:`InputFileError`."""
    return _array(ArrayFile(path), name, shape, contract, None)


def members_of(path: Path) -> list[str]:
    """The members of an .npz that are arrays, as in "data.npy". Raises :class:`InputFileError`."""
    with reading(path, "an .npz"), ZipFile(path) as archive:
        return [name for name in archive.namelist() if name.endswith(".npy")]


def open_npz(
    path: Path, inputs: Mapping[str, Shape], contract: Preprocess | None
) -> dict[str, StoredArray]:
    """The arrays of an .npz file by input name; one array alone fits a single input.

    An array ``label`` or ``labels`` that is no input holds the labels. Raises
    :class:`InputFileError`.
    """
    members = members_of(path)
    expected = {name: f"{name}.npy" for name in inputs}
    labels = [name for name in LABELS if name in members and name not in expected.values()]
    others = [name for name in members if name not in labels]
    if len(others) == 1 and len(inputs) == 1:
        expected = dict(zip(inputs, others, strict=True))
    missing = [name for name, member in expected.items() if member not in members]
    if missing:
        found = ", ".join(member.removesuffix(".npy") for member in members)
        raise InputFileError(
            f'{path}: has no array "{missing[0]}" for the net\'s input; it has {found or "none"}'
        )
    classes = ArrayFile(path, labels[0]) if labels else None
    return {
        name: _array(ArrayFile(path, member), name, inputs[name], contract, classes)
        for name, member in expected.items()
    }


def _array(
    file: ArrayFile,
    name: str,
    expected: Shape,
    contract: Preprocess | None,
    classes: ArrayFile | None,
) -> StoredArray:
    what = f'{file.path}: array "{name}"'
    found = described(file, what)
    if len(found.shape) != len(expected) or (contract is None and found.shape[1:] != expected[1:]):
        sample = "x".join(["N", *map(str, expected[1:])])
        raise InputFileError(f"{what} is {show(found.shape)}, the net's input requires {sample}")
    if min(found.shape) < 1:
        raise InputFileError(f"{what} has no samples")
    if found.start + prod(found.shape) * found.dtype.itemsize > file.size:
        raise InputFileError(f"{what} is cut short")
    if contract is not None and prod(found.shape[1:]) > expected[1] * MAX_PIXELS:
        raise InputFileError(f"{what} is {show(found.shape)}: its images are too large")
    channels = 0 if contract is None else expected[1]
    return replace(found, contract=contract, channels=channels, classes=classes)


def described(file: ArrayFile, what: str) -> StoredArray:
    """The array as its header describes it, without a contract. Raises :class:`InputFileError`."""
    with reading(file.path, "an array"):
        opened = file.open()
        version = npy.read_magic(opened)
        if version not in HEADERS:
            raise MisfitError(f"cannot be read as an array: its format version is {version}")
        shape, fortran, dtype = HEADERS[version](opened)
        start = opened.tell()
    if dtype.kind not in NUMBERS:
        raise InputFileError(f"{what} holds {dtype}, numbers are expected")
    if fortran and len(shape) > 1:
        raise InputFileError(
            f"{what} is stored in Fortran order; save numpy.ascontiguousarray(array)"
        )
    return StoredArray(file, what, shape, dtype, start)
