"""C structs: bytes, defaults, what an attribute leaves out, and what a field can hold."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, f32, i32, i64
from xdsl.utils.exceptions import VerifyException

from dialects.c_struct import (
    BOOL,
    FLOAT,
    I8,
    I16,
    INT,
    U8,
    U32,
    U64,
    CStruct,
    bytes_of,
    floats,
    ints,
)

PLAIN = CStruct(a=U8, b=INT, c=bytes_of(3), d=FLOAT, e=U64, f=BOOL)
SPARSE = CStruct(a=U8, b=ints(2), c=FLOAT, d=U64, e=I8).with_defaults(a=1, c=-1.0)
VALUES = {"a": 1, "b": -2, "c": (3, 4, 5), "d": 0.5, "e": 1 << 40, "f": True}


def test_the_layout_is_that_of_c() -> None:
    assert PLAIN.size == 32
    assert [PLAIN.offset(name) for name in "abcdef"] == [0, 4, 8, 12, 16, 24]
    assert PLAIN.text() == "0 u8 a, 4 i32 b, 8 u8 c[3], 12 f32 d, 16 u64 e, 24 bool f"
    expected = struct.pack("<B3xi3Bxf", 1, -2, 3, 4, 5, 0.5) + struct.pack("<Q?7x", 1 << 40, True)
    assert PLAIN.pack(VALUES) == expected
    assert PLAIN.unpack(expected) == VALUES


def test_missing_bytes_are_zero_and_more_are_refused() -> None:
    assert PLAIN.unpack(b"\x07") == {"a": 7, "b": 0, "c": (0, 0, 0), "d": 0.0, "e": 0, "f": False}
    with pytest.raises(ValueError, match="33 bytes of parameters, the struct has 32"):
        PLAIN.unpack(bytes(33))


def test_a_struct_without_fields() -> None:
    empty = CStruct()
    assert (empty.size, empty.pack({}), empty.unpack(b"")) == (0, b"", {})


def test_an_attribute_comes_back() -> None:
    attribute = PLAIN.attribute(VALUES)
    assert attribute.data["b"] == IntegerAttr(-2, i32)
    assert attribute.data["a"] == IntegerAttr(1, i64)
    assert PLAIN.values(attribute) == VALUES


def test_defaults_are_left_out() -> None:
    assert SPARSE.defaults == {"a": 1, "b": (0, 0), "c": -1.0, "d": 0, "e": 0}
    assert SPARSE.attribute({}).data == {}
    given = {"a": 1, "b": [0, 0], "c": 2.5, "e": -1}
    attribute = SPARSE.attribute(given)
    assert list(attribute.data) == ["c", "e"]
    assert SPARSE.values(attribute) == {"a": 1, "b": (0, 0), "c": 2.5, "d": 0, "e": -1}
    assert SPARSE.pack(given) == SPARSE.pack(SPARSE.values(attribute))
    assert SPARSE.types == CStruct(**SPARSE.types).types
    assert not CStruct(**SPARSE.types).defaults


def test_without_defaults_every_field_is_needed() -> None:
    with pytest.raises(VerifyException, match="its parameters are a, b, c, d, e; look at a"):
        CStruct(**SPARSE.types).attribute({})
    with pytest.raises(VerifyException, match="its parameters are a, b, c, d, e, f; look at a"):
        PLAIN.values(DictionaryAttr({}))


RANGES: list[tuple[Any, int, int]] = [
    (U8, 0, 255), (I8, -128, 127), (I16, -(1 << 15), (1 << 15) - 1), (U32, 0, (1 << 32) - 1),
    (INT, -(1 << 31), (1 << 31) - 1), (U64, 0, (1 << 64) - 1),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "low", "high"), RANGES, ids=lambda x: getattr(x, "__name__", ""))
def test_integers_have_their_bits(kind: Any, low: int, high: int) -> None:
    one, three = CStruct(x=kind), CStruct(x=kind * 3)
    for value in (low, high):
        assert one.unpack(one.pack({"x": value})) == {"x": value}
        assert three.unpack(three.pack({"x": (0, value, 1)})) == {"x": (0, value, 1)}
    for value in (low - 1, high + 1):
        for item, given in ((one, value), (three, (0, value, 1))):
            with pytest.raises(VerifyException, match=f"x is {value}, which has more than"):
                item.pack({"x": given})
            with pytest.raises(VerifyException, match=f"x is {value}, which has more than"):
                item.attribute({"x": given})


@pytest.mark.parametrize("value", [0, (1 << 63) - 1, (1 << 64) - 1])
def test_addresses_of_64_bits_as_attributes(value: int) -> None:
    item = CStruct(x=U64, y=U64 * 2)
    given = {"x": value, "y": (value, 1)}
    assert item.values(item.attribute(given)) == given
    assert item.unpack(item.pack(given)) == given


def test_arrays_have_their_length() -> None:
    with pytest.raises(VerifyException, match="b holds 3 numbers, not 2"):
        SPARSE.pack({"b": (1, 2, 3)})
    with pytest.raises(VerifyException, match="b holds 1 numbers, not 2"):
        SPARSE.attribute({"b": (1,)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", IntegerAttr(1, i32)),
        ("b", IntegerAttr(1, i32)),
        ("c", IntegerAttr(1, i64)),
        ("d", CStruct(d=FLOAT).attribute({"d": 1.0}).data["d"]),
        ("b", CStruct(b=floats(2)).attribute({"b": (1.0, 2.0)}).data["b"]),
    ],
)
def test_attributes_of_another_type(name: str, value: Any) -> None:
    with pytest.raises(VerifyException, match=f"{name} does not have the type that the struct has"):
        SPARSE.values(DictionaryAttr({name: value}))


def test_unknown_fields() -> None:
    with pytest.raises(VerifyException, match="look at z"):
        SPARSE.pack({"z": 1})
    with pytest.raises(VerifyException, match="look at z"):
        SPARSE.values(DictionaryAttr({"z": IntegerAttr(1, i64)}))


def test_floats_are_float32() -> None:
    assert SPARSE.attribute({"c": 0.1}).data["c"] != SPARSE.attribute({"c": 0.25}).data["c"]
    item = CStruct(x=FLOAT)
    found = item.unpack(item.pack({"x": 0.1}))["x"]
    assert item.attribute({"x": found}).data["x"].type == f32  # pyright: ignore
    assert item.pack({"x": found}) == item.pack({"x": 0.1})
