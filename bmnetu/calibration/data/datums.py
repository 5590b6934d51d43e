"""LMDBs of Caffe's or UFW's Datum as calibration data.

A damaged LMDB can kill the process that reads it: the database is mapped into memory, and its
library trusts it, see :attr:`CalibrationData.fragile`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import lmdb
import numpy as np
from PIL import Image

from bmnetu.calibration.data.faults import MisfitError, reading
from bmnetu.calibration.data.images import decoded
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.errors import InputFileError
from bmnetu.frontend.ufw_pb2 import BlobProto, Datum
from dialects.blob import Array
from dialects.ufw.shapes import Shape, show

DATA_FILE = "data.mdb"
MAX_VALUE = 1 << 28
"""The largest value that is read, in bytes."""
PICTURES = (1, 3)
"""Pixels of so many channels are an image, gray or blue, green, red."""


@dataclass
class Datums:
    """The values of an LMDB, in the order of their keys, for an input of that many channels.

    Pixels of three channels are taken in the order of blue, green, red, as Caffe stores them.
    """

    path: Path
    contract: Preprocess
    channels: int
    count: int
    _last: tuple[int, bytes] = field(default=(0, b""), init=False)

    def name(self, index: int) -> str:
        return f"{self.path}: datum {index}"

    def read(self, start: int, stop: int) -> Array:
        samples: list[Array] = []
        stop = min(stop, self.count)
        for index, (key, value) in enumerate(self._values(start, stop), start):
            with reading(self._place(index, key), "a Datum"):
                samples.append(self._sample(Datum.FromString(value)))
        return np.stack(samples)

    @property
    def labels(self) -> Array | None:
        """The label of every datum; None when none has one."""
        found: list[int | None] = []
        for index, (key, value) in enumerate(self._values(0, self.count)):
            with reading(self._place(index, key), "a Datum"):
                datum = Datum.FromString(value)
            found.append(datum.label if datum.HasField("label") else None)
        if set(found) == {None}:
            return None
        if None in found:
            raise InputFileError(f"{self.name(found.index(None))} has no label, others have one")
        return np.array(found, np.int64)

    def _place(self, index: int, key: bytes) -> str:
        return f"{self.name(index)} (key {key.decode(errors='backslashreplace')!r})"

    def _values(self, start: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values. Reading on from where the last reading ended is quick."""
        at, key = self._last if self._last[0] <= start else (0, b"")
        with reading(self.path, "an LMDB"), _opened(self.path) as env:
            with env.begin(buffers=True) as transaction, transaction.cursor() as cursor:
                found = cursor.set_range(key) if key else cursor.first()
                while found and at < start:
                    found, at = cursor.next(), at + 1
                while found and at < stop:
                    key, value = bytes(cursor.key()), cursor.value()
                    if len(value) > MAX_VALUE:
                        raise InputFileError(
                            f"{self._place(at, key)} has {len(value)} bytes, more than {MAX_VALUE}"
                        )
                    self._last = at, key
                    yield key, bytes(value)
                    found, at = cursor.next(), at + 1
        if at < stop:
            raise InputFileError(f"{self.path}: ends after {at} of {self.count} entries")

    def _sample(self, datum: Datum) -> Array:
        if datum.encoded:
            with decoded(io.BytesIO(datum.data)) as picture:
                return self.contract.of_picture(picture, self.channels)
        planes = _planes(datum)
        if planes.dtype == np.uint8 and len(planes) in PICTURES:
            pixels = np.ascontiguousarray(planes[::-1].transpose(1, 2, 0))
            picture = Image.fromarray(pixels if len(planes) == 3 else pixels[:, :, 0])
            return self.contract.of_picture(picture, self.channels)
        if self.contract.color == "gray" and len(planes) != 1:
            raise MisfitError(f"has {len(planes)} channels that are no pixels, gray requires one")
        with np.errstate(over="ignore"):
            planes = planes.astype(np.float32)
        if not np.isfinite(planes).all():
            raise MisfitError("has numbers that are not finite")
        return self.contract.of_planes(
            planes[::-1] if self.contract.color == "rgb" else planes, self.channels
        )


def _planes(datum: Datum) -> Array:
    """The numbers of a datum, channels x height x width."""
    if not (datum.data or datum.float_data):
        raise MisfitError("is no Datum with data")
    shape: Shape = (datum.channels, datum.height, datum.width)
    if datum.HasField("shape"):
        dims = tuple(datum.shape.dim)
        shape = dims[1:] if len(dims) == 4 and dims[0] == 1 else dims
    if len(shape) != 3 or min(shape) < 1:
        raise MisfitError(f"has shape {show(shape)}, channels x height x width are expected")
    dtype = _dtype(datum) if datum.data else np.dtype(np.float32)
    size = len(datum.data) if datum.data else 4 * len(datum.float_data)
    if size != prod(shape) * dtype.itemsize:
        raise MisfitError(f"has {size} bytes of data, {show(shape)} {dtype} are expected")
    if datum.data:
        return np.frombuffer(datum.data, dtype).reshape(shape)
    return np.array(datum.float_data, np.float32).reshape(shape)


def _dtype(datum: Datum) -> np.dtype[np.generic]:
    """FP32 is numpy's float32, and so on; the bytes are little endian."""
    name = BlobProto.DataType.Name(datum.dtype).replace("FP", "FLOAT").lower()
    return np.dtype(name).newbyteorder("<")


def is_lmdb(path: Path) -> bool:
    """A folder with data.mdb, or that file."""
    return path.name == DATA_FILE if path.is_file() else (path / DATA_FILE).is_file()


def open_datums(path: Path, contract: Preprocess, channels: int) -> Datums:
    """The datums of an LMDB. Raises :class:`InputFileError`."""
    file = path if path.is_file() else path / DATA_FILE
    with reading(path, "an LMDB"):
        with _opened(file) as env:
            pages, page = env.info()["last_pgno"] + 1, env.stat()["psize"]
            if pages * page > file.stat().st_size:
                raise MisfitError("is an LMDB that is cut short")
            count = env.stat()["entries"]
    if count < 1:
        raise InputFileError(f"{path}: is an LMDB without entries")
    return Datums(file, contract, channels, count)


def _opened(file: Path) -> lmdb.Environment:
    return lmdb.open(str(file), subdir=False, readonly=True, lock=False, readahead=False)
