"""The 64 bytes before the flatbuffer: magic and the sizes of what follows."""

from __future__ import annotations

import struct

MAGIC = 0xFF55AAEE
HEADER_BYTES = 64
_LAYOUT = struct.Struct("<IIIQ44x")


def pack_header(flatbuffer_size: int, binary_size: int) -> bytes:
    """The header of a file with these two sections, sizes in bytes."""
    return _LAYOUT.pack(MAGIC, HEADER_BYTES, flatbuffer_size, binary_size)


def unpack_header(data: bytes) -> tuple[int, int]:
    """Bytes of the flatbuffer and of the binary section; ValueError says what is wrong."""
    if len(data) < HEADER_BYTES:
        raise ValueError(f"it has {len(data)} bytes, less than a bmodel's header")
    magic, header_size, flatbuffer_size, binary_size = _LAYOUT.unpack_from(data)
    if (magic, header_size) != (MAGIC, HEADER_BYTES):
        raise ValueError(f"it starts with {magic:#010x}, not with a bmodel's header")
    missing = HEADER_BYTES + flatbuffer_size + binary_size - len(data)
    if missing > 0:
        raise ValueError(f"its last {missing} bytes are missing")
    return flatbuffer_size, binary_size
