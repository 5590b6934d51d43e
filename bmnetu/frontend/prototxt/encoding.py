"""The bytes of a prototxt as text, whatever its encoding; names in other encodings.

Protobuf's text format is made of bytes: only ASCII has a meaning, and what stands between quotes
may be any bytes. So a file in GBK, Latin-1 or Shift-JIS is read as it is, and only its names are
decoded.
"""

from __future__ import annotations

import re
from pathlib import Path

from bmnetu.errors import InputFileError

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
"""Characters that no text has, but nearly every binary file."""

_WIDE = {
    b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
}  # fmt: skip
"""How files in encodings of two and four bytes begin."""

_ENCODINGS = ("utf-8", "gb18030", "latin-1")
"""Tried in this order for names; the last one fits all bytes."""


def as_utf8(path: Path, data: bytes) -> str:
    """A prototxt as text in which bytes that are not UTF-8 have become octal escapes.

    Raises :class:`InputFileError` for a binary file and for UTF-16.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = re.sub(rb"[\x80-\xff]", lambda byte: b"\\%03o" % byte[0][0], data).decode("ascii")
    if not _CONTROL.search(text):
        return text
    wide = next((name for start, name in _WIDE.items() if data.startswith(start)), None)
    if wide or not (any(data[0:20:2]) and any(data[1:20:2])):
        raise InputFileError(
            f"{path}: is {wide or 'UTF-16'} text; save it as UTF-8, a text prototxt is expected"
        )
    swapped = " (are -model and -weight swapped?)" if _is_weights(data) else ""
    raise InputFileError(f"{path}: is a binary file; a text prototxt is expected{swapped}")


def _is_weights(data: bytes) -> bool:
    """Whether a binary file looks like a caffemodel: it begins with the net's name or a layer."""
    return data[:1] in (b"\x0a", b"\x12") or data[:2] == b"\xa2\x06"


def readable(name: bytes | str) -> str:
    """A name of a prototxt or a weight file as text, by the first encoding that fits its bytes."""
    if isinstance(name, str):
        return name
    for encoding in _ENCODINGS[:-1]:
        try:
            return name.decode(encoding)
        except UnicodeDecodeError:
            continue
    return name.decode(_ENCODINGS[-1])
