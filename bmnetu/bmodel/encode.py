"""Tables of ``schema`` to flatbuffer bytes."""

from __future__ import annotations

from typing import Any, Protocol, cast

import flatbuffers  # pyright: ignore[reportMissingTypeStubs]

from bmnetu.bmodel.schema import BINARY, STRING, Binary, FieldSlot, Scalar, Table, columns


class _Builder(Protocol):
    """The part of ``flatbuffers.Builder`` used here; the package has no types of its own."""

    def StartObject(self, numfields: int, /) -> None: ...
    def EndObject(self) -> int: ...
    def StartVector(self, size: int, count: int, alignment: int, /) -> object: ...
    def EndVector(self) -> int: ...
    def CreateString(self, text: str, /) -> int: ...
    def Finish(self, root: int, /) -> object: ...
    def Output(self) -> bytearray: ...
    def Offset(self) -> int: ...
    def Prep(self, size: int, extra: int, /) -> None: ...
    def Slot(self, number: int, /) -> None: ...
    def PrependUOffsetTRelative(self, offset: int, /) -> None: ...
    def PrependUint8(self, value: int, /) -> None: ...
    def PrependInt32(self, value: int, /) -> None: ...
    def PrependUint32(self, value: int, /) -> None: ...
    def PrependUint64(self, value: int, /) -> None: ...
    def PrependFloat32(self, value: float, /) -> None: ...


_PREPEND = {"B": "PrependUint8", "i": "PrependInt32", "I": "PrependUint32",
            "Q": "PrependUint64", "f": "PrependFloat32"}


def encode(root: Table) -> bytes:
    """The flatbuffer with ``root`` as its root table. The same table gives the same bytes."""
    builder = cast(_Builder, flatbuffers.Builder(4096))
    builder.Finish(_table(builder, root))
    return bytes(builder.Output())


def _table(builder: _Builder, table: Table) -> int:
    """Write what the table points at, then the table; the offset of the table."""
    values: list[tuple[FieldSlot, Any]] = []
    for column in columns(type(table)):
        value = getattr(table, column.name)
        if column.required or value != column.default:
            values.append((column.slot, _outside(builder, column.slot, value)))
    builder.StartObject(1 + max((column.slot.id for column in columns(type(table))), default=-1))
    for slot, value in values:
        _inside(builder, slot, value)
        builder.Slot(slot.id)
    return builder.EndObject()


def _outside(builder: _Builder, slot: FieldSlot, value: Any) -> Any:
    """A value that cannot stand inside a table becomes the offset of where it was written."""
    if slot.vector:
        return _vector(builder, slot.element, value)
    if slot.element is STRING:
        return builder.CreateString(value)
    return _table(builder, value) if isinstance(value, Table) else value


def _vector(builder: _Builder, element: object, values: tuple[Any, ...]) -> int:
    scalar = isinstance(element, Scalar)
    items = values if scalar else [_table(builder, value) for value in values]
    size = element.size if scalar else 4
    builder.StartVector(size, len(items), size)
    for item in reversed(items):
        _number(builder, element, item)
    return builder.EndVector()


def _inside(builder: _Builder, slot: FieldSlot, value: Any) -> None:
    if slot.element is BINARY:
        _binary(builder, value)
    else:
        _number(builder, None if slot.vector else slot.element, value)


def _number(builder: _Builder, element: object, value: Any) -> None:
    """A scalar as such, everything else as an offset."""
    if isinstance(element, Scalar):
        getattr(builder, _PREPEND[element.format])(value)
    else:
        builder.PrependUOffsetTRelative(value)


def _binary(builder: _Builder, binary: Binary) -> None:
    builder.Prep(8, 16)
    builder.PrependUint64(binary.size)
    builder.PrependUint64(binary.start)
