"""Reads a text prototxt into messages, remembering the line of every one of them.

Protobuf's own reader forgets lines and stops at the first unknown field; this one walks the
descriptors itself. Unknown fields and values are skipped and reported, wrong syntax is an error.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.text_format import ParseError, Tokenizer

from bmnetu.errors import InputFileError
from bmnetu.files.reading import read_bytes
from bmnetu.frontend.prototxt.custom import CUSTOM_MESSAGES, is_repeated, type_of
from bmnetu.frontend.prototxt.encoding import as_utf8, readable
from bmnetu.frontend.ufw_pb2 import CustomParameter, LayerParameter, V1LayerParameter
from bmnetu.nearest import nearest

MAX_TEXT = 32 * 2**20
"""The largest prototxt, in bytes."""
MAX_MESSAGES = 100_000
"""How many messages a prototxt may have; a network of ten thousand layers has half of it."""
MAX_DEPTH = 32
"""How deep messages may stand in messages."""
MAX_UNKNOWN = 100_000
"""How many unknown fields a prototxt may have."""

_CLOSING = {"{": "}", "<": ">"}

FieldPath = tuple[str | int, ...]
"""Where a message stands: ``("layer", 3, "convolution_param")``; () is the whole file."""


@dataclass(frozen=True)
class Unknown:
    """A field that its message does not have, or with ``value`` a word that its field does not.

    ``where`` is the message's path; ``near`` is what was perhaps meant; ``words`` are those that
    the field can have.
    """

    where: FieldPath
    line: int
    name: str
    near: str | None
    value: str | None = None
    words: str = ""

    def __str__(self) -> str:
        what = self.name if self.value is None else f"{self.name}: {self.value}"
        if self.near:
            return f"{what} (did you mean {self.near}?)"
        return f"{what} (it can be {self.words})" if self.words else what


@dataclass
class TextFile:
    """A parsed prototxt: its messages' lines, and what of it is not known."""

    path: Path
    lines: dict[FieldPath, int] = field(default_factory=dict[FieldPath, int])
    unknown: list[Unknown] = field(default_factory=list[Unknown])

    def line(self, *where: str | int) -> int:
        """The line where that message begins; 1 when the file does not have it."""
        return self.lines.get(where, 1)


def read_text(path: Path, message: Message) -> TextFile:
    """Fills ``message`` from the file. Raises :class:`InputFileError` with file and line."""
    text = as_utf8(path, read_bytes(path, "a text prototxt", MAX_TEXT))
    parsed = TextFile(path)
    lines = (found[1] for found in re.finditer(r"([^\r\n]*)(?:\r\n?|\n|$)", text))
    reader = _Reader(parsed, Tokenizer(lines))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            reader.fields(message, (), "")
    except DeprecationWarning as error:
        raise reader.fail(f"string {reader.token()} has an unknown escape") from error
    except ParseError as error:
        sentence = str(error).split(" : ", 1)[-1].rsplit("': ", 1)[-1]
        raise InputFileError(f"{path}:{error.GetLine() or 1}: {_short(sentence)}") from error
    return parsed


def _short(text: str) -> str:
    """What a message can quote of the file."""
    return text if len(text) <= 100 else f"{text[:100]}..."


class _Reader:
    """One pass over the tokens; every method consumes exactly what its name says."""

    def __init__(self, parsed: TextFile, tokens: Tokenizer) -> None:
        self.parsed = parsed
        self.tokens = tokens

    def line(self) -> int:
        """The line of the next token."""
        return self.tokens.ParseError("").GetLine() or 1  # pyright: ignore[reportArgumentType]

    def token(self) -> str:
        """The next token, short enough for a message."""
        return _short(self.tokens.token)

    def fail(self, message: str, line: int | None = None) -> InputFileError:
        return InputFileError(f"{self.parsed.path}:{line or self.line()}: {message}")

    def fields(self, message: Message, where: FieldPath, closing: str) -> None:
        """The fields of a message up to and including ``closing``; "" stands for the end."""
        tokens = self.tokens
        self.check_depth(len(where))
        while not (closing and tokens.TryConsume(closing)):
            if tokens.AtEnd():
                if not closing:
                    return
                raise self.fail(f"the file ends where {closing!r} is required")
            self.one_field(message, where)
            if not tokens.TryConsume(","):
                tokens.TryConsume(";")

    def check_depth(self, depth: int) -> None:
        if depth > 2 * MAX_DEPTH:
            raise self.fail(f"messages are nested more than {MAX_DEPTH} deep")

    def one_field(self, message: Message, where: FieldPath) -> None:
        line, name = self.line(), self.tokens.ConsumeIdentifier()
        fields = message.DESCRIPTOR.fields_by_name
        found = fields.get(name)
        if found is None and isinstance(message, LayerParameter) and name in CUSTOM_MESSAGES:
            self.custom_message(message, name, (*where, name), line)
            return
        if found is None:
            self.note(Unknown(where, line, _short(name), nearest(name, fields)))
            self.skip_value(len(where))
            return
        descriptor = cast(FieldDescriptor, found)
        if not descriptor.is_repeated and message.HasField(name):
            raise self.fail(f"{name} is given twice", line)
        if descriptor.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            self.tokens.TryConsume(":")
            self.listed(descriptor, lambda: self.sub_message(message, descriptor, where, line))
            return
        self.tokens.Consume(":")
        self.listed(descriptor, lambda: self.scalar(message, descriptor, where))

    def custom_message(
        self, layer: LayerParameter, name: str, where: FieldPath, line: int
    ) -> None:
        """A message of a plug-in, with the fields that it declares."""
        if any(each.name == name for each in layer.custom_param):
            raise self.fail(f"{name} is given twice", line)
        tokens, fields = self.tokens, CUSTOM_MESSAGES[name]
        tokens.TryConsume(":")
        closing = self.opening()
        record = layer.custom_param.add(name=name)
        while not tokens.TryConsume(closing):
            if tokens.AtEnd():
                raise self.fail(f"the file ends where {closing!r} is required")
            line, field_name = self.line(), tokens.ConsumeIdentifier()
            if field_name in fields:
                given = {each.name: each for each in record.setting}
                many = is_repeated(name, field_name)
                if field_name in given and not many:
                    raise self.fail(f"{field_name} is given twice", line)
                tokens.Consume(":")
                setting = given.get(field_name) or record.setting.add(name=field_name)
                self.custom_values(setting, type_of(name, field_name), many)
            else:
                self.note(Unknown(where, line, _short(field_name), nearest(field_name, fields)))
                self.skip_value(len(where))
            if not tokens.TryConsume(","):
                tokens.TryConsume(";")

    def custom_values(
        self, setting: CustomParameter.Setting, kind: type[bool | int | float | str], many: bool
    ) -> None:
        """One value of a plug-in's field, or for a repeated one a list ``[a, b]``."""
        tokens = self.tokens
        if not (many and tokens.TryConsume("[")):
            self.custom_value(setting, kind)
            return
        while not tokens.TryConsume("]"):
            self.custom_value(setting, kind)
            if not tokens.LookingAt("]"):
                tokens.Consume(",")

    def custom_value(
        self, setting: CustomParameter.Setting, kind: type[bool | int | float | str]
    ) -> None:
        tokens = self.tokens
        if kind is str:
            setting.text.append(readable(tokens.ConsumeByteString()))
        elif kind is bool:
            setting.number.append(tokens.ConsumeBool())
        else:
            setting.number.append(tokens.ConsumeInteger() if kind is int else tokens.ConsumeFloat())

    def note(self, unknown: Unknown) -> None:
        """Remembers what is not known."""
        if len(self.parsed.unknown) == MAX_UNKNOWN:
            raise self.fail(f"more than {MAX_UNKNOWN} fields are unknown: is this a prototxt?")
        self.parsed.unknown.append(unknown)

    def listed(self, descriptor: FieldDescriptor, one: Callable[[], None]) -> None:
        """One value, or for a repeated field a list ``[a, b]``."""
        if not (descriptor.is_repeated and self.tokens.TryConsume("[")):
            one()
            return
        while not self.tokens.TryConsume("]"):
            one()
            if not self.tokens.LookingAt("]"):
                self.tokens.Consume(",")

    def opening(self) -> str:
        for opening, closing in _CLOSING.items():
            if self.tokens.TryConsume(opening):
                return closing
        raise self.fail(f"'{{' is required, not {self.token()!r}")

    def sub_message(
        self, message: Message, descriptor: FieldDescriptor, where: FieldPath, line: int
    ) -> None:
        name = descriptor.name
        closing = self.opening()
        child: Any = getattr(message, name)
        if descriptor.is_repeated:
            where = (*where, name, len(child))
            child = child.add()
        else:
            where = (*where, name)
            child.SetInParent()
        self.parsed.lines[where] = line
        if len(self.parsed.lines) > MAX_MESSAGES:
            raise self.fail(f"more than {MAX_MESSAGES} messages, no network has so many")
        self.fields(child, where, closing)

    def scalar(self, message: Message, descriptor: FieldDescriptor, where: FieldPath) -> None:
        line, token = self.line(), self.token()
        if descriptor.enum_type is not None and self.is_unknown_word(descriptor):
            words = list(descriptor.enum_type.values_by_name)
            near, listed = nearest(token, words), _short(", ".join(words))
            self.note(Unknown(where, line, descriptor.name, near, token, listed))
            self.tokens.NextToken()
            return
        value = self.value(descriptor)
        try:
            if descriptor.is_repeated:
                getattr(message, descriptor.name).append(value)
            else:
                setattr(message, descriptor.name, value)
        except (TypeError, ValueError) as error:
            raise self.fail(f"{token} does not fit {descriptor.name}", line) from error

    def value(self, descriptor: FieldDescriptor) -> str | bytes | bool | int | float:
        tokens = self.tokens
        match descriptor.cpp_type:
            case FieldDescriptor.CPPTYPE_BOOL:
                return tokens.ConsumeBool()
            case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
                return tokens.ConsumeFloat()
            case FieldDescriptor.CPPTYPE_ENUM:
                return tokens.ConsumeEnum(descriptor)
            case FieldDescriptor.CPPTYPE_STRING:
                if descriptor.type == FieldDescriptor.TYPE_BYTES:
                    return tokens.ConsumeByteString()
                if tokens.token[:1] in ("'", '"'):
                    return readable(tokens.ConsumeByteString())
                return tokens.ConsumeIdentifier()
            case _:
                return tokens.ConsumeInteger()

    def is_unknown_word(self, descriptor: FieldDescriptor) -> bool:
        """Whether the next token is a word or a number, but none of the field's."""
        token, kind = self.tokens.token, descriptor.enum_type
        assert kind is not None
        if token.removeprefix("-").isdecimal():
            return int(token) not in kind.values_by_number
        if token[:1] in ("'", '"'):
            if descriptor.full_name == V1LayerParameter.DESCRIPTOR.full_name + ".type":
                raise self.fail(
                    f"type: {self.token()} has quotes, which belongs to a 'layer': write"
                    " 'layer {' in place of 'layers {'"
                )
            raise self.fail(f"{descriptor.name} takes a word without quotes, not {self.token()}")
        return token.isidentifier() and token not in kind.values_by_name

    def skip_value(self, depth: int) -> None:
        """Whatever stands after the name of an unknown field."""
        self.check_depth(depth)
        tokens = self.tokens
        colon = tokens.TryConsume(":")
        if colon and tokens.TryConsume("["):
            self.skip_until("]", depth)
        elif tokens.LookingAt("{") or tokens.LookingAt("<"):
            self.skip_until(self.opening(), depth)
        elif colon:
            self.skip_scalar()
        else:
            raise self.fail(f"':' or '{{' is required, not {self.token()!r}")

    def skip_scalar(self) -> None:
        tokens = self.tokens
        if tokens.TryConsumeByteString():
            while tokens.TryConsumeByteString():
                pass
            return
        tokens.TryConsume("-")
        if not (tokens.TryConsumeIdentifier() or tokens.TryConsumeFloat()):
            raise self.fail(f"a value is required, not {self.token()!r}")

    def skip_until(self, closing: str, depth: int) -> None:
        """The rest of an unknown message or list, whatever it holds, to its own end."""
        tokens = self.tokens
        self.check_depth(depth)
        while not tokens.TryConsume(closing):
            if tokens.AtEnd():
                raise self.fail(f"the file ends where {closing!r} is required")
            if tokens.LookingAt("{") or tokens.LookingAt("<"):
                self.skip_until(self.opening(), depth + 2)
            else:
                tokens.NextToken()
