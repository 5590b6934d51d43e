"""Tensors in files beside an .onnx, as PyTorch writes them: only below the model's own folder."""

from __future__ import annotations

from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from onnx import TensorProto, helper

from bmnetu.errors import InputFileError
from dialects.constant import Array

DIGITS = 19
"""Longer numbers are no place in a file."""

Place = tuple[Path, int, int, str, tuple[int, ...]]
"""File, offset, bytes, dtype, shape."""


class Outside:
    """Reads the tensors that an .onnx keeps in other files; one that stands for two is read once.

    All of them together are no larger than the files: no memory is taken before a file is known to
    have the bytes.
    """

    def __init__(self, model: Path) -> None:
        self._model = model
        self._left: dict[Path, int] = {}
        self._found: dict[Place, Array] = {}

    @property
    def size(self) -> int:
        """How many bytes were read."""
        return sum(array.nbytes for array in self._found.values())

    def array(self, tensor: TensorProto) -> Array:
        """The numbers of a tensor with ``data_location`` EXTERNAL, whose dtype and shape are looked
        at already. Raises :class:`InputFileError`.
        """
        where = f'{self._model}: tensor "{tensor.name}"'
        said: dict[str, str] = {}
        for entry in tensor.external_data:
            if not (_is_text(entry.key) and _is_text(entry.value)):
                raise InputFileError(f"{where} is damaged: its place is not UTF-8")
            said[entry.key] = entry.value
        path = self._path(said.get("location", ""), where)
        shape = tuple(tensor.dims)
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        required = prod(shape) * dtype.itemsize
        offset = _number(said.get("offset", "0"), "offset", where)
        length = _number(said.get("length", str(required)), "length", where)
        if length != required:
            raise InputFileError(f"{where} has {required} bytes, {length} are in {path}")
        place = (path, offset, length, dtype.str, shape)
        if place not in self._found:
            data = self._read(path, offset, length, where)
            array = np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False)
            self._found[place] = array.reshape(shape)
        return self._found[place]

    def _path(self, location: str, where: str) -> Path:
        """The file, which lies below the model's folder, links followed."""
        parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
        absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor
        if not parts or absolute or ".." in parts or "\0" in location:
            raise InputFileError(
                f"{where} lies in {location!r}, and only files below the model's folder are read"
            )
        folder, path = self._model.parent, self._model.parent / location
        try:
            if not path.exists():
                raise InputFileError(f"{where} lies in {path}, which is missing; put it there")
            real = path.resolve(strict=True)
            if not real.is_relative_to(folder.resolve(strict=True)):
                raise InputFileError(
                    f"{where} lies in {path}, a link that leads out of the model's folder; put the"
                    " file itself there"
                )
            if not real.is_file():
                raise InputFileError(f"{where} lies in {path}, which is no file")
        except (OSError, RuntimeError) as error:
            raise InputFileError(f"{where}: {path} cannot be read: {error}") from error
        return path

    def _read(self, path: Path, offset: int, length: int, where: str) -> bytes:
        try:
            size = path.stat().st_size
            if offset + length > size:
                raise InputFileError(
                    f"{where} lies at bytes {offset} to {offset + length} of {path}, which has"
                    f" {size}: it is cut short or another model's"
                )
            self._left[path] = self._left.get(path, size) - length
            if self._left[path] < 0:
                raise InputFileError(f"{where} overlaps other tensors in {path}")
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(length)
        except OSError as error:
            raise InputFileError(f"{where}: {path} cannot be read: {error}") from error
        if len(data) != length:
            raise InputFileError(f"{where}: {path} is cut short")
        return data


def _is_text(value: object) -> bool:
    """Protobuf gives bytes for a text that is not UTF-8."""
    return isinstance(value, str)


def _number(text: str, what: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise InputFileError(f"{where} is damaged: its {what} is {text[:DIGITS]!r}")
    return int(text)
