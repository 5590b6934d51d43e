"""Parameters of layers that plug-ins bring: messages that the network format does not have.

A prototxt gives them like any other, ``max_feature_map_param { pieces: 3 }``; the layer then holds
them as a ``custom_param``, in files that are written, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.ufw_pb2 import CustomParameter, LayerParameter

Setting: TypeAlias = bool | int | float | str | tuple[bool | int | float | str, ...]

CUSTOM_MESSAGES: dict[str, Mapping[str, Setting]] = {}
"""The fields of each message with their defaults, by the message's name in a layer. The type of a
default is that of the field; a field whose default is a tuple can be given several times."""


def type_of(message: str, field: str) -> type[bool | int | float | str]:
    """The type of a field's values."""
    default = CUSTOM_MESSAGES[message][field]
    if isinstance(default, tuple):
        return type(default[0]) if default else float
    return type(default)


def is_repeated(message: str, field: str) -> bool:
    """Whether a field can be given several times."""
    return isinstance(CUSTOM_MESSAGES[message][field], tuple)


def custom_message(message: str, fields: Mapping[str, Setting]) -> CustomParameter:
    """A custom message with these fields."""
    record = CustomParameter(name=message)
    for name, value in fields.items():
        setting = record.setting.add(name=name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, str):
                setting.text.append(each)
            else:
                setting.number.append(each)
    return record


def settings_of(param: LayerParameter, message: str) -> dict[str, Setting]:
    """The fields of a layer's custom message: what is given, or the default.

    Raises VerifyException for a field that the message does not have, or a value of another type.
    """
    found = dict(CUSTOM_MESSAGES[message])
    for record in param.custom_param:
        if record.name == message:
            for given in record.setting:
                found[given.name] = _value(message, given)
    return found


def _value(message: str, given: CustomParameter.Setting) -> Setting:
    """The values of one field, in its type."""
    if given.name not in CUSTOM_MESSAGES[message]:
        raise VerifyException(f"{message} has no field {given.name}")
    kind, many = type_of(message, given.name), is_repeated(message, given.name)
    numbers = [float(value) for value in given.number]
    whole = all(value.is_integer() for value in numbers)
    values = list(given.text) if kind is str else numbers
    fits = kind in (str, float) or (whole and (kind is int or set(numbers) <= {0.0, 1.0}))
    if not values or not fits or not (many or len(values) == 1):
        what = f"{'one or more' if many else 'one'} {kind.__name__}"
        raise VerifyException(f"{message} has another value for {given.name} than {what}")
    typed = tuple(kind(value) for value in values)
    return typed if many else typed[0]
