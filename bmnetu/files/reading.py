"""Files in and files out: what is wrong with a file is said in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

from bmnetu.errors import InputFileError
from bmnetu.files.outputs import OutputFolder

MAX_FILE = 2**31 - 1
"""Protobuf and flatbuffers both count bytes in 31 bits."""


def read_bytes(path: Path, what: str, limit: int = MAX_FILE) -> bytes:
    """The whole file. ``what`` says what it should be, such as "a prototxt".

    Raises :class:`InputFileError` when it is missing, no file, unreadable, empty or too large.
    """
    try:
        if not path.exists():
            raise InputFileError(f"{path}: no such file; {what} is expected")
        if not path.is_file():
            raise InputFileError(f"{path}: is not a file; {what} is expected")
        size = path.stat().st_size
        if size > limit:
            raise InputFileError(f"{path}: has {size} bytes, more than {what} can have ({limit})")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}: cannot be read: {error}") from error
    if not data:
        raise InputFileError(f"{path}: is empty; {what} is expected")
    return data


def write_atomically(path: Path, data: bytes) -> None:
    """Writes the file beside its place and renames it, so that no half file is ever seen.

    Makes the folder if it is missing. Raises :class:`InputFileError` when it cannot be written.
    """
    OutputFolder(path.parent).store({path.name: data})


MAX_STEM = 150
"""Bytes of a net's name in a file name; most file systems take 255 in all."""


def file_stem(name: str) -> str:
    """A net's name as the beginning of a file name: other characters become underscores."""
    stem = re.sub(r"[^\w.-]", "_", name[:MAX_STEM]).lstrip(".")
    return stem.encode()[:MAX_STEM].decode(errors="ignore") or "network"
