"""Activations, and functions of one number."""

from __future__ import annotations

from math import inf

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.site import Conversion, Site
from dialects.constant import Array
from dialects.functions import Function, OnnxOperator
from dialects.ufw.shapes import show

FLOAT_MAX = float(np.finfo(np.float32).max)
"""Exporters write it for a bound that is none."""


def relu(site: Site) -> Blob:
    return site.layer("ReLU", site.blob(0))


def leaky_relu(site: Site) -> Blob:
    slope = site.node.number_of("alpha", 0.01)
    return site.layer("ReLU", site.blob(0), relu_param={"negative_slope": slope})


def prelu(site: Site) -> Blob:
    """One slope, or one a channel."""
    x, slope = site.blob(0), site.weights(1)
    rank = len(x.shape)
    shape = slope.shape
    if site.node.opset < 7 and len(shape) == 1:
        shape = (1, *shape, *(1,) * (rank - 2))
    shape = (1,) * (rank - len(shape)) + shape
    shared = slope.size == 1
    if not shared and (rank < 2 or shape != (1, x.shape[1], *(1,) * (rank - 2))):
        return _sloped(site, x, slope.reshape(shape))
    return site.layer("PReLU", x, slope.reshape(-1), prelu_param={"channel_shared": shared})


def _sloped(site: Site, x: Blob, slope: Array) -> Blob:
    """``max(x, 0) + slope min(x, 0)`` with slopes of any shape."""
    if len(slope.shape) > len(x.shape):
        raise Refusal(f"its slopes are {show(slope.shape)} for {show(x.shape)}")
    above = site.layer("ReLU", x, part="above")
    below = clamped(site, x, -inf, 0.0, "below")
    factors = site.parameter(slope, site.node.inputs[1])
    times = {"operation": "MUL"}
    steep = site.layer(
        "BroadcastBinary", [below, factors], part="steep", broadcast_binary_param=times
    )
    return site.layer("Eltwise", [above, steep], eltwise_param={"operation": "SUM"})


def composed(text: str) -> Conversion:
    """The conversion of an operator that is composed of functions (dialects/composed.py)."""

    def convert(site: Site) -> Blob:
        settings = {"function": text}
        return site.layer("ComposedFunction", site.blob(0), composed_function_param=settings)

    return convert


def pointwise(function: Function, operator: OnnxOperator) -> Conversion:
    """The conversion of an operator that is a pointwise function."""

    def convert(site: Site) -> Blob:
        given = {
            name: site.node.number_of(operator.names.get(name, name), n)
            for name, n in operator.attributes.items()
        }
        settings = {**operator.fixed, **given}
        message = {function.message: settings} if settings else {}
        return site.layer(function.layer, site.blob(0), part="", **message)

    return convert


def power_layer(site: Site, x: Blob, part: str = "", **settings: float) -> Blob:
    """``(shift + scale x) ** power``."""
    return site.layer("Power", x, part=part, power_param=settings)


def clip(site: Site) -> Blob:
    """Bounds are attributes in old files, inputs in new ones."""
    low = site.node.number_of("min", -inf) if site.constant(1) is None else _number(site, 1)
    high = site.node.number_of("max", inf) if site.constant(2) is None else _number(site, 2)
    return clamped(site, site.blob(0), low, high)


def _number(site: Site, index: int) -> float:
    array = site.constant(index)
    if array is None or array.size != 1:
        raise InputFileError(site.node.fault(f"input {index + 1} is no single number"))
    return float(array.ravel()[0])


def clamped(site: Site, x: Blob, low: float, high: float, part: str = "") -> Blob:
    """``min(max(x, low), high)``: a ReLU where the lower bound is 0, else a Clip."""
    if np.isnan(low) or np.isnan(high):
        raise InputFileError(site.node.fault("a bound is not a number"))
    if low > high:
        raise Refusal(f"it clips to {low:g} and {high:g}")
    low, high = max(low, -FLOAT_MAX), min(high, FLOAT_MAX)
    if low == -FLOAT_MAX and high == FLOAT_MAX:
        return x
    if low == 0 and high == FLOAT_MAX:
        return site.layer("ReLU", x, part=part)
    if low == 0 < high:
        return site.layer("ReLU6", x, part=part, relu6_param={"threshold": high})
    return site.layer("Clip", x, part=part, clip_param={"min": low, "max": high})


def gelu(site: Site) -> Blob:
    """By erf, or its approximation by tanh."""
    approximate = site.node.text("approximate", "none")
    return site.layer("GELU", site.blob(0), gelu_param={"tanh": approximate == "tanh"})
