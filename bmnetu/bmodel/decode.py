"""Flatbuffer bytes to tables of ``schema``, with every byte distrusted.

An offset, length or string is checked against the buffer before it is followed or copied.
All that is decoded is counted, so that a small file whose offsets lead to one target many times
cannot grow without end. The schema has no cycle, which bounds the recursion.
"""

from __future__ import annotations

import struct
from typing import Any, TypeVar

from bmnetu.bmodel.schema import (
    BINARY,
    Binary,
    Column,
    FieldSlot,
    OtherType,
    Scalar,
    Table,
    columns,
)

_OFFSET = Scalar("I", 4)
_SIGNED_OFFSET = Scalar("i", 4)
_VTABLE_ENTRY = Scalar("H", 2)
_LENGTH = Scalar("Q", 8)
_BUDGET = 1 << 22
"""Bytes that may be decoded beyond the buffer's own, a table counted with :data:`_TABLE_COST`. A
large net has 100 kB; its names may have any length."""
_TABLE_COST = 64

TableT = TypeVar("TableT", bound=Table)


class FormatError(ValueError):
    """The bytes are not a flatbuffer of the schema."""


def decode(data: bytes, root: type[TableT]) -> TableT:
    """The root table of a flatbuffer. Raises :class:`FormatError` with one sentence."""
    decoder = _Decoder(data)
    return decoder.table(root, decoder.follow(0))


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.budget = _BUDGET + len(data)

    def number(self, position: int, scalar: Scalar) -> Any:
        """The scalar at a position, which must be inside the buffer and aligned."""
        if position < 0 or position + scalar.size > len(self.data) or position % scalar.size:
            raise FormatError(f"offset {position} of its flatbuffer is wrong")
        return struct.unpack_from("<" + scalar.format, self.data, position)[0]

    def follow(self, position: int) -> int:
        """The position that the offset at a position leads to."""
        return position + self.number(position, _OFFSET)

    def spend(self, position: int, size: int, extra: int = 0) -> None:
        """Check that ``size`` bytes are there and may still be decoded."""
        if position + size > len(self.data):
            raise FormatError(f"{size} bytes at offset {position} of its flatbuffer are missing")
        self.budget -= size + extra
        if self.budget < 0:
            raise FormatError("its flatbuffer has more parts than any real one")

    def table(self, cls: type[TableT], position: int) -> TableT:
        """The table at a position."""
        vtable = position - self.number(position, _SIGNED_OFFSET)
        vtable_size = self.number(vtable, _VTABLE_ENTRY)
        table_size = self.number(vtable + 2, _VTABLE_ENTRY)
        self.spend(position, table_size, _TABLE_COST)
        values: dict[str, Any] = {}
        for column in columns(cls):
            entry = 4 + 2 * column.slot.id
            there = entry + 2 <= vtable_size
            offset = self.number(vtable + entry, _VTABLE_ENTRY) if there else 0
            values[column.name] = self.column(cls, column, position, offset, table_size)
        return cls(**values)

    def column(self, cls: type[Table], column: Column, table: int, offset: int, size: int) -> Any:
        """The value of a field; an absent one has offset 0."""
        if offset == 0:
            if column.required:
                raise FormatError(f"a {cls.__name__} of its flatbuffer has no {column.name}")
            return column.default
        if offset + _inline_size(column.slot) > size:
            raise FormatError(f"{column.name} lies outside its {cls.__name__}")
        position = table + offset
        if column.slot.vector:
            return self.vector(column.slot.element, self.follow(position))
        return self.value(column.slot.element, position)

    def value(self, element: Scalar | OtherType | type[Table], position: int) -> Any:
        """The single value at a position."""
        if isinstance(element, Scalar):
            return self.number(position, element)
        if element is BINARY:
            return Binary(self.number(position, _LENGTH), self.number(position + 8, _LENGTH))
        target = self.follow(position)
        if isinstance(element, OtherType):
            return self.string(target)
        return self.table(element, target)

    def vector(self, element: Scalar | OtherType | type[Table], position: int) -> tuple[Any, ...]:
        """The vector at a position: a count, then the elements or their offsets."""
        count = self.number(position, _OFFSET)
        size = element.size if isinstance(element, Scalar) else _OFFSET.size
        first = position + _OFFSET.size
        self.spend(first, count * size)
        return tuple(self.value(element, first + size * i) for i in range(count))

    def string(self, position: int) -> str:
        """The string at a position: a count, UTF-8 bytes, a zero byte."""
        count = self.number(position, _OFFSET)
        first = position + _OFFSET.size
        self.spend(first, count + 1)
        if self.data[first + count]:
            raise FormatError(f"the string at offset {position} has no end")
        try:
            return self.data[first : first + count].decode()
        except UnicodeDecodeError:
            raise FormatError(f"the string at offset {position} is not UTF-8") from None


def _inline_size(slot: FieldSlot) -> int:
    if slot.element is BINARY:
        return 16
    if isinstance(slot.element, Scalar) and not slot.vector:
        return slot.element.size
    return _OFFSET.size
