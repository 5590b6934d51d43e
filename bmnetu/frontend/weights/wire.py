"""A look at the bytes of a protobuf file before they are parsed: an empty message takes two bytes
there and hundreds in memory."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from bmnetu.errors import InputFileError

MAX_MESSAGES = 500_000
"""Messages in a file; a network of ten thousand layers has a tenth of it."""

_VARINT, _FIXED64, _BYTES, _GROUP, _GROUP_END, _FIXED32 = range(6)


class _End(Exception):
    """The bytes are no messages; the parser says so."""


def check_messages(path: Path, data: bytes, kind: type[Message]) -> None:
    """Raises :class:`InputFileError` when ``data``, a message of that kind, holds more messages
    than any network."""
    found = 0
    waiting: list[tuple[int, int, Any]] = [(0, len(data), kind.DESCRIPTOR)]
    try:
        while waiting:
            at, end, descriptor = waiting.pop()
            known = _messages(descriptor)
            while at < end:
                tag, at = _varint(data, at, end)
                wire = tag & 7
                if wire == _BYTES:
                    size, at = _varint(data, at, end)
                    inner = known.get(tag >> 3)
                    if inner is not None:
                        found += 1
                        if found > MAX_MESSAGES:
                            raise InputFileError(
                                f"{path}: has more than {MAX_MESSAGES} messages, no network has"
                                " so many"
                            )
                        if at + size <= end:
                            waiting.append((at, at + size, inner))
                    at += size
                elif wire == _VARINT:
                    _, at = _varint(data, at, end)
                elif wire in (_FIXED64, _FIXED32):
                    at += 8 if wire == _FIXED64 else 4
                elif wire > _FIXED32:
                    return
    except _End:
        return


@cache
def _messages(descriptor: Any) -> dict[int, Any]:
    """What kind of message stands in which field."""
    return {
        field.number: field.message_type
        for field in descriptor.fields
        if field.type == FieldDescriptor.TYPE_MESSAGE
    }


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise _End
