"""Python layers whose code is known, as the layers that compute the same."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from bmnetu.frontend.ufw_pb2 import BinaryParameter, LayerParameter, PadParameter

Settings = Mapping[str, Any]


def as_known(param: LayerParameter) -> LayerParameter:
    """The layer, as another type where its class is in CLASSES; else as it is.

    A class is known by its name, and only with settings that are plain values.
    """
    python = param.python_param
    convert = CLASSES.get(python.layer)
    if param.type != "Python" or convert is None:
        return param
    if MODULES.get(python.layer, python.module) != python.module:
        return param
    try:
        settings = _settings(python.param_str)
        layer = LayerParameter(name=param.name, bottom=param.bottom, top=param.top)
        convert(layer, settings)
    except (ValueError, TypeError, KeyError):
        return param
    layer.include.extend(param.include)
    layer.exclude.extend(param.exclude)
    return layer


def _settings(text: str) -> Settings:
    """``param_str`` as a dictionary: JSON, one of Python's, or YAML as far as it is lines of a name
    and a plain value; {} for none. Nothing in it is executed."""
    if not text.strip():
        return {}
    for read in (json.loads, ast.literal_eval, _braced, _lines):
        try:
            found = read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, dict):
            return cast(Settings, found)
    raise ValueError("no dictionary")


def _braced(text: str) -> object:
    """A dictionary of Python without its braces, as in ``'feat_stride': 16``."""
    return ast.literal_eval(f"{{{text}}}")


def _lines(text: str) -> dict[str, object]:
    """Lines as in ``feat_stride: 16``; braces around them are YAML, too."""
    inside = text.strip().removeprefix("{").removesuffix("}")
    lines = [line for line in inside.splitlines() if line.strip()]
    if len(lines) == 1:  # commas in brackets belong to a value
        lines = re.split(r",(?![^\[]*\])", lines[0])
    found: dict[str, object] = {}
    for line in lines:
        name, colon, value = line.strip().rstrip(",").partition(":")
        if not colon:
            raise ValueError("no dictionary")
        found[name.strip().strip("'\"")] = ast.literal_eval(value.strip())
    return found


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


def _proposal(layer: LayerParameter, settings: Settings) -> None:
    """Faster R-CNN's: ``feat_stride``, ``scales``, and of descendants ``ratios`` and others. The
    rest is that of its configuration for tests."""
    names = {
        "feat_stride": "feat_stride", "base_size": "base_size", "min_size": "min_size",
        "pre_nms_topN": "pre_nms_topn", "post_nms_topN": "post_nms_topn",
        "nms_thresh": "nms_thresh",
    }  # fmt: skip
    if not settings.keys() <= names.keys() | {"scales", "ratios"}:
        raise ValueError("unknown settings")
    layer.type = "Proposal"
    param = layer.proposal_param
    for name, own in names.items():
        if name in settings:
            setattr(param, own, settings[name])
    param.scale.extend(float(x) for x in settings.get("scales", ()))
    param.ratio.extend(float(x) for x in settings.get("ratios", ()))
    param.SetInParent()


CLASSES: dict[str, Callable[[LayerParameter, Settings], None]] = {
    "Eltwise": _eltwise,
    "PadTensor": _pad,
    "ProposalLayer": _proposal,
    "darknet_reorg": _reorg,
}
"""What is known, by the name of the class."""

MODULES = {"ProposalLayer": "rpn.proposal_layer"}
"""The module of a class whose name several have."""
