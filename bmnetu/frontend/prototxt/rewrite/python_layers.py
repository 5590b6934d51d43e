"""Python layers whose code is known, as the layers that compute the same."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from bmnetu.frontend.ufw_pb2 import BinaryParameter, LayerParameter, PadParameter

Settings = Mapping[str, Any]


def as_known(param: LayerParameter) -> LayerParameter:
    """The layer, as another type where its class is in CLASSES; else as it is.

    A class is known by its name, and only with settings that are plain values.
    """
    python = param.python_param
    if param.type != "Python" or python.layer not in CLASSES:
        return param
    try:
        settings = _settings(python.param_str)
        layer = LayerParameter(name=param.name, bottom=param.bottom, top=param.top)
        CLASSES[python.layer](layer, settings)
    except (ValueError, TypeError, KeyError):
        return param
    layer.include.extend(param.include)
    layer.exclude.extend(param.exclude)
    return layer


def _settings(text: str) -> Settings:
    """``param_str`` as a dictionary: JSON, or one of Python's; {} for none."""
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = ast.literal_eval(text)
        except (SyntaxError, MemoryError, RecursionError) as error:
            raise ValueError("no dictionary") from error
    if not isinstance(found, dict):
        raise ValueError("no dictionary")
    return cast(Settings, found)


def _pad(layer: LayerParameter, settings: Settings) -> None:
    known = {"pad_t", "pad_b", "pad_l", "pad_r", "pad_mode", "pad_value"}
    if not settings.keys() <= known:
        raise ValueError("unknown settings")
    layer.type = "Pad"
    pad = layer.pad_param
    word = str(settings.get("pad_mode", "constant")).upper()
    values = {"mode": PadParameter.Mode.Value(word), "value": settings.get("pad_value", 0)}
    values |= {side: settings.get(side, 0) for side in ("pad_t", "pad_b", "pad_l", "pad_r")}
    for name, value in values.items():
        setattr(pad, name, value)


def _eltwise(layer: LayerParameter, settings: Settings) -> None:
    """``operation`` has the numbers of Caffe's Eltwise; the bottoms may differ in shape."""
    if any(factor != 1 for factor in settings.get("coeff", ())) or len(layer.bottom) != 2:
        raise ValueError("coefficients")
    words = {0: BinaryParameter.MUL, 1: BinaryParameter.ADD, 2: BinaryParameter.MAX}
    layer.type = "BroadcastBinary"
    layer.broadcast_binary_param.operation = words[int(settings.get("operation", 1))]


def _reorg(layer: LayerParameter, settings: Settings) -> None:
    layer.type = "Reorg"
    layer.reorg_param.stride = int(settings.get("stride", 2))


CLASSES: dict[str, Callable[[LayerParameter, Settings], None]] = {
    "Eltwise": _eltwise,
    "PadTensor": _pad,
    "darknet_reorg": _reorg,
}
"""What is known, by the name of the class."""
