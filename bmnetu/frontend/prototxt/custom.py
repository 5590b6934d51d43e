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


def is_text(message: str, field: str) -> bool:
    """Whether a field of a custom message holds texts; else it holds numbers."""
    default = CUSTOM_MESSAGES[message][field]
    return isinstance(default[0] if isinstance(default, tuple) and default else default, str)


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
    """The values in the type of the default; the last one where only one can be."""
    if given.name not in CUSTOM_MESSAGES[message]:
        raise VerifyException(f"{message} has no field {given.name}")
    values = given.text if is_text(message, given.name) else given.number
    if not values:
        raise VerifyException(f"{message} gives {given.name} no value of its type")
    default = CUSTOM_MESSAGES[message][given.name]
    if isinstance(default, tuple):
        return tuple(map(type(default[0]) if default else float, values))
    return type(default)(values[-1])
