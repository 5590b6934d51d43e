"""A C struct, declared once: its bytes, and its values as an attribute.

Host layers and the records of dynamic networks have their parameters in such structs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

from xdsl.dialects.builtin import (
    BoolAttr,
    DenseArrayBase,
    DictionaryAttr,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    f32,
    i1,
    i32,
    i64,
)
from xdsl.ir import Attribute
from xdsl.utils.exceptions import VerifyException

Value = bool | int | float | Sequence[int] | Sequence[float]
"""What a field holds; an array of a C struct is a sequence of its length."""
Values = Mapping[str, Any]
"""The values of a struct by field."""

INT, FLOAT, BOOL = ctypes.c_int32, ctypes.c_float, ctypes.c_bool
U8, I8, U16, I16, U32, U64 = (
    ctypes.c_uint8, ctypes.c_int8, ctypes.c_uint16, ctypes.c_int16, ctypes.c_uint32,
    ctypes.c_uint64,
)  # fmt: skip
_NAMES = {
    INT: "i32", FLOAT: "f32", BOOL: "bool", U8: "u8", I8: "i8", U16: "u16", I16: "i16", U32: "u32",
    U64: "u64",
}  # fmt: skip


def ints(count: int) -> Any:
    """An array of so many 32-bit integers."""
    return INT * count


def bytes_of(count: int) -> Any:
    """An array of so many unsigned bytes."""
    return U8 * count


def floats(count: int) -> Any:
    """An array of so many float32 numbers."""
    return FLOAT * count


class CStruct:
    """A C struct of integers, float32 numbers and bools of one byte, and arrays of these.

    Little endian, with C's natural alignment; padding bytes are 0. ``fields`` are the names and
    types in their order. Fields have no defaults, but see :meth:`with_defaults`.
    """

    def __init__(self, **fields: Any) -> None:
        self.types: dict[str, Any] = fields
        self.defaults: dict[str, Any] = {}
        members = {"_fields_": list(fields.items())}
        self._layout: Any = type("Layout", (ctypes.LittleEndianStructure,), members)

    def with_defaults(self, **values: Any) -> CStruct:
        """The same struct, where every field has a default: these values, and 0 for others. An
        attribute leaves out what has its default."""
        found = CStruct(**self.types)
        found.defaults = {name: _zero(kind) for name, kind in self.types.items()} | values
        return found

    @property
    def size(self) -> int:
        """Bytes."""
        return ctypes.sizeof(self._layout) if self.types else 0

    def offset(self, name: str) -> int:
        """Where a field begins, in bytes."""
        return getattr(self._layout, name).offset

    def text(self) -> str:
        """The struct for the documentation: offset, type and name of every field."""
        return ", ".join(
            f"{self.offset(name)} {_NAMES[_element(kind)]} {name}"
            + (f"[{kind._length_}]" if _is_array(kind) else "")
            for name, kind in self.types.items()
        )

    def pack(self, values: Values) -> bytes:
        """The bytes of the struct. Raises :class:`VerifyException` for a wrong field or value."""
        values = {**self.defaults, **values}
        self.check(values)
        layout = self._layout()
        for name, kind in self.types.items():
            given = values[name]
            setattr(layout, name, kind(*given) if _is_array(kind) else given)
        return bytes(layout) if self.types else b""

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The values of the struct; what bytes are too few for is 0, as in the runtime.

        Raises ValueError for more bytes than the struct has: the runtime writes these over what
        lies behind it.
        """
        if len(data) > self.size:
            raise ValueError(f"{len(data)} bytes of parameters, the struct has {self.size}")
        padded = data.ljust(self.size, b"\0")
        found: dict[str, Any] = {}
        layout: Any = self._layout.from_buffer_copy(padded) if self.types else None
        for name, kind in self.types.items():
            value = getattr(layout, name)
            found[name] = tuple(value) if _is_array(kind) else value
        return found

    def check(self, values: Values) -> None:
        """Raises :class:`VerifyException` unless every field has a value of its type."""
        if set(values) != set(self.types):
            odd = sorted(set(values) ^ set(self.types))
            raise VerifyException(f"its parameters are {', '.join(self.types)}; look at {odd[0]}")
        for name, kind in self.types.items():
            value = values[name]
            if _is_array(kind) and len(value) != kind._length_:
                raise VerifyException(f"{name} holds {len(value)} numbers, not {kind._length_}")
            for each in value if _is_array(kind) else [value]:
                if _element(kind) is not FLOAT and int(_element(kind)(each).value) != int(each):
                    bits = 8 * ctypes.sizeof(_element(kind))
                    raise VerifyException(f"{name} is {each}, which has more than {bits} bits")

    # -- as an attribute ---------------------------------------------------------------------------

    def attribute(self, values: Values) -> DictionaryAttr:
        """The values as ``{top_k = 400 : i32, nms_threshold = 0.45 : f32, ...}``."""
        values = {**self.defaults, **values}
        self.check(values)
        kept = {
            k: t for k, t in self.types.items()
            if k not in self.defaults or not _same(values[k], self.defaults[k])
        }
        return DictionaryAttr({k: _attribute(t, values[k]) for k, t in kept.items()})

    def values(self, attribute: DictionaryAttr) -> dict[str, Any]:
        """The values of an attribute. Raises :class:`VerifyException` where it is not of this
        struct."""
        if set(attribute.data) | set(self.defaults) != set(self.types):
            odd = sorted((set(attribute.data) | set(self.defaults)) ^ set(self.types))
            raise VerifyException(f"its parameters are {', '.join(self.types)}; look at {odd[0]}")
        given = {k: _value(k, t, attribute.data[k]) for k, t in self.types.items()
                 if k in attribute.data}  # fmt: skip
        found = {k: given.get(k, self.defaults.get(k)) for k in self.types}
        self.check(found)
        return found


def _is_array(kind: Any) -> bool:
    return issubclass(kind, ctypes.Array)


def _element(kind: Any) -> Any:
    return kind._type_ if _is_array(kind) else kind


def _zero(kind: Any) -> Any:
    if _is_array(kind):
        return (_zero(kind._type_),) * kind._length_
    return {FLOAT: 0.0, BOOL: False}.get(kind, 0)


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return tuple(one) == tuple(other)
    return one == other


def _int_type(kind: Any) -> IntegerType:
    return i32 if _element(kind) is INT else i64


@cache
def _is_float(kind: Any) -> bool:
    return _element(kind) is FLOAT


def _attribute(kind: Any, value: Any) -> Attribute:
    if _is_array(kind):
        if _is_float(kind):
            return DenseArrayBase.from_list(f32, [float(x) for x in value])
        return DenseArrayBase.from_list(_int_type(kind), [_wrapped(kind, x) for x in value])
    if kind is BOOL:
        return BoolAttr.from_bool(bool(value))
    if kind is FLOAT:
        return FloatAttr(float(value), f32)
    return IntegerAttr(_wrapped(kind, value), _int_type(kind))


def _wrapped(kind: Any, value: Any) -> int:
    """The integer that an attribute has: i64 has the bits of a u64 above 2^63 as a negative one."""
    return ctypes.c_int64(int(value)).value if _element(kind) is U64 else int(value)


def _unwrapped(kind: Any, value: int) -> int:
    return U64(value).value if _element(kind) is U64 else value


def _value(name: str, kind: Any, found: Any) -> Any:
    element = f32 if _is_float(kind) else _int_type(kind)
    if _is_array(kind) and isinstance(found, DenseArrayBase) and _type(found, "elt_type", element):
        values = cast(DenseArrayBase[Any], found).get_values()
        return tuple(_unwrapped(kind, x) for x in values)
    if kind is BOOL and isinstance(found, IntegerAttr) and _type(found, "type", i1):
        return bool(found.value.data)
    is_integer = kind not in (BOOL, FLOAT) and not _is_array(kind)
    if is_integer and isinstance(found, IntegerAttr) and _type(found, "type", element):
        return _unwrapped(kind, found.value.data)
    if kind is FLOAT and isinstance(found, FloatAttr) and _type(found, "type", f32):
        return found.value.data
    raise VerifyException(f"{name} does not have the type that the struct has")


def _type(found: Any, name: str, expected: Attribute) -> bool:
    return getattr(found, name) == expected
