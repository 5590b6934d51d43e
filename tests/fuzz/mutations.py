"""Damages files: as bytes, as text of tokens and lines, and as protobuf messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

NUMBERS = ["0", "-1", "1", "2", "3", "7", "64", "65", "255", "4096", "65536", "1000000",
           "80000000", "2147483647", "2147483648", "4294967295", "-2147483648",
           "9223372036854775807", "9223372036854775808", "1e9", "1e38", "1e-45", "0.5", "nan",
           "inf", "-inf", "0x7fffffff"]  # fmt: skip
WORDS = ["", "data", "245", "%", "a b", "é中", "'", "\\", "\\x00", "\x07", "x" * 5000, "true",
         "MAX", "layer", "{", "}", "<", ">", "[", "]", "(", ")", ":", ",", "#", "//", "/*",
         '"']  # fmt: skip
INTS = [0, 1, -1, 2, 3, 65, 255, 256, 1 << 15, 1 << 16, 80_000_000, (1 << 31) - 1, 1 << 31,
        (1 << 32) - 1, 1 << 33, (1 << 63) - 1, -(1 << 31), -(1 << 63)]  # fmt: skip


def damaged_bytes(rng: Random, data: bytes) -> bytes:
    """One to four changes somewhere."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(found) + 1)
        end = min(len(found), at + rng.choice([1, 2, 4, 8, 64, 1000]))
        match rng.randrange(8):
            case 0:
                found[at:end] = rng.randbytes(end - at)
            case 1:
                found[at : at + 1] = bytes([rng.choice([0, 1, 127, 128, 255, 10, 34, 92])])
            case 2:
                del found[at:end]
            case 3:
                found[at:at] = found[at:end] * rng.choice([1, 2, 50])
            case 4:
                found[at:at] = rng.randbytes(rng.choice([1, 3, 100]))
            case 5:
                del found[at:]
            case 6:
                value = rng.choice(INTS) & (1 << 64) - 1
                size = rng.choice([2, 4, 8])
                found[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
            case _:
                if at < len(found):
                    found[at] ^= 1 << rng.randrange(8)
    return bytes(found)


_TOKEN = re.compile(r'"[^"\n]*"|[\w.+-]+|\s+|.', re.DOTALL)


def damaged_text(rng: Random, data: bytes) -> bytes:
    """One to four changes of tokens or lines."""
    text = data.decode(errors="replace")
    for _ in range(rng.choice([1, 1, 2, 4])):
        text = _changed_lines(rng, text) if rng.random() < 0.4 else _changed_tokens(rng, text)
    return text.encode()


def _changed_lines(rng: Random, text: str) -> str:
    lines = text.split("\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines[at:at] = [lines[other]] * rng.choice([1, 1, 2, 300])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            del lines[at:]
        case _:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
    return "\n".join(lines)


def _changed_tokens(rng: Random, text: str) -> str:
    tokens = _TOKEN.findall(text)
    places = [i for i, token in enumerate(tokens) if not token.isspace()]
    if not places:
        return rng.choice(WORDS)
    at, other = rng.choice(places), rng.choice(places)
    token = tokens[at]
    match rng.randrange(6):
        case 0:
            tokens[at] = ""
        case 1:
            tokens[at] = tokens[other]
        case 2:
            tokens[at] = token * rng.choice([2, 3, 2000])
        case 3:
            tokens[at] = rng.choice(WORDS)
        case 4 if token.startswith('"'):
            tokens[at] = '"' + rng.choice([*WORDS, tokens[other].strip('"')]) + '"'
        case _:
            numbers = [i for i in places if re.fullmatch(r"-?[\d.]+", tokens[i])]
            if numbers:
                tokens[rng.choice(numbers)] = rng.choice(NUMBERS)
    return "".join(tokens)


def damaged_message(kind: Callable[[], Message]) -> Callable[[Random, bytes], bytes]:
    """Changes fields of a message of that kind; bytes where it cannot be read."""

    def damage(rng: Random, data: bytes) -> bytes:
        message = kind()
        try:
            message.ParseFromString(data)
        except DecodeError:
            return damaged_bytes(rng, data)
        for _ in range(rng.choice([1, 1, 2, 3])):
            _change(rng, message)
        try:
            return message.SerializePartialToString()
        except ValueError:
            return damaged_bytes(rng, data)

    return damage


def _change(rng: Random, message: Any) -> None:
    fields = list(message.DESCRIPTOR.fields) if rng.random() < 0.1 else []
    fields = fields or [field for field, _ in message.ListFields()]
    if not fields:
        return
    field = rng.choice(fields)
    if field.is_repeated:
        _change_many(rng, message, field)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        if rng.random() < 0.1:
            message.ClearField(field.name)
        else:
            _change(rng, getattr(message, field.name))
    elif rng.random() < 0.2:
        message.ClearField(field.name)
    else:
        _set(lambda value: setattr(message, field.name, value), rng, field)


def _change_many(rng: Random, message: Any, field: Any) -> None:
    values = getattr(message, field.name)
    deeper = field.type == FieldDescriptor.TYPE_MESSAGE
    if len(values) and deeper and rng.random() < 0.75:
        _change(rng, rng.choice(values))
        return
    at = rng.randrange(len(values)) if len(values) else 0
    match rng.randrange(4):
        case 0 if len(values):
            del values[at]
        case 1 if len(values):
            values.extend([values[at]] * rng.choice([1, 1, 2, 300]))
        case 2:
            del values[at:]
        case _ if not deeper and len(values):
            _set(lambda value: values.__setitem__(at, value), rng, field)
        case _ if not deeper:
            _set(values.append, rng, field)
        case _:
            values.add()


def _set(put: Callable[[Any], None], rng: Random, field: Any) -> None:
    """A value of the field's type; one that protobuf refuses is left."""
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            value: Any = rng.randbytes(rng.choice([0, 1, 7, 100]))
        case FieldDescriptor.CPPTYPE_STRING:
            value = rng.choice(WORDS)
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            value = float(rng.choice([n for n in NUMBERS if "x" not in n]))
        case FieldDescriptor.CPPTYPE_BOOL:
            value = rng.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            value = rng.choice([v.number for v in field.enum_type.values])
        case _:
            value = rng.choice(INTS)
    try:
        put(value)
    except (ValueError, TypeError):
        return
