"""Words, one after the other, and the head that every layer of a stream has."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from dialects.bm1684.record.base import WORD, RecordOp
from dialects.bm1684.record.ops import BY_NUMBER
from dialects.bm1684.record.windows import ConvOp
from dialects.c_struct import CStruct, Values

MAX_ID = 0xFFFF
FUSED = slice(92, 100)
"""Bytes of a convolution's block: the words for a normalisation and a scale within it. With these
more operands follow."""


class StreamError(ValueError):
    """Bytes that are no stream of records; the message says what is wrong."""


class Reader:
    """Reads words one after the other. Raises StreamError where there are too few."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """So many bytes."""
        if not 0 <= count <= len(self.data) - self.at:
            raise StreamError(f"the records end within {count} bytes at {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def words(self, count: int) -> tuple[int, ...]:
        """So many words."""
        return struct.unpack(f"<{count}I", self.take(count * WORD))

    def word(self) -> int:
        """One word."""
        return self.words(1)[0]

    def address(self) -> int:
        """One address."""
        return struct.unpack("<Q", self.take(8))[0]


def words(*numbers: int) -> bytes:
    """The bytes of words."""
    return struct.pack(f"<{len(numbers)}I", *numbers)


@dataclass(frozen=True)
class Head:
    """What a layer begins with: its type, the size of its data, the store modes of input and
    output, and the parameters."""

    kind: type[RecordOp]
    values: Values
    data_size: int
    input_mode: int
    output_mode: int

    def pack(self, parameters: CStruct | None = None) -> bytes:
        """The bytes; ``parameters`` is the struct where it is not the record's."""
        block = (parameters or self.kind.RECORD.struct).pack(self.values)
        number = self.kind.RECORD.number
        modes = (self.data_size, self.input_mode, self.output_mode)
        return words(number, *modes, len(block)) + block


NO_OTHERS: Mapping[int, CStruct] = {}


def read_head(reader: Reader, others: Mapping[int, CStruct] = NO_OTHERS) -> Head:
    """The head of a layer. ``others`` are structs by type where they are not the record's."""
    number, size, input_mode, output_mode, length = reader.words(5)
    kind = BY_NUMBER.get(number)
    if kind is None:
        raise StreamError(f"a record of type {number} at {reader.at}, which is not known")
    parameters = others.get(number, kind.RECORD.struct)
    if length != parameters.size:
        raise StreamError(f"{kind.name} has {parameters.size} bytes, not {length}")
    block = reader.take(length)
    if kind is ConvOp and any(block[FUSED]):
        raise StreamError(f"{kind.name} at {reader.at} holds another layer, which is not read here")
    return Head(kind, parameters.unpack(block), size, input_mode, output_mode)
