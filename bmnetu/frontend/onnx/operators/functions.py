"""Activations, normalisation and functions of one number."""

from __future__ import annotations

from math import inf, prod

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob, Conversion, Site
from bmnetu.frontend.onnx.node import Refusal
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
        raise Refusal(f"its slopes are {show(slope.shape)}; one a channel can be compiled")
    return site.layer("PReLU", x, slope.reshape(-1), prelu_param={"channel_shared": shared})


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


def batch_normalization(site: Site) -> Blob:
    """BatchNorm has no factors, so a Scale follows."""
    node, x = site.node, site.blob(0)
    if node.integer("training_mode", 0):
        raise Refusal("training_mode")
    factor, bias, mean, variance = (site.weights(i) for i in (1, 2, 3, 4))
    for array in (factor, bias, mean, variance):
        if array.shape != x.shape[1:2]:
            raise InputFileError(
                node.fault(f"has {show(array.shape)} numbers for a tensor of {show(x.shape)}")
            )
    eps = node.number_of("epsilon", 1e-5)
    one = np.ones(1, np.float32)
    param = {"eps": eps, "use_global_stats": True}
    x = site.layer("BatchNorm", x, mean, variance, one, part="norm", batch_norm_param=param)
    return site.layer("Scale", x, factor, bias, scale_param={"bias_term": True})


def softmax(site: Site) -> Blob:
    """Along one axis; before operator set 13 over all axes from it on."""
    node, x = site.node, site.blob(0)
    shape = x.shape
    axis = site.axis(node.integer("axis", -1 if node.opset >= 13 else 1), len(shape))
    if node.opset >= 13 or prod(shape[axis + 1 :]) == 1:
        return site.layer("Softmax", x, softmax_param={"axis": axis})
    flat = site.reshaped(x, (*shape[:axis], prod(shape[axis:])), "flat")
    soft = site.layer("Softmax", flat, part="soft", softmax_param={"axis": axis})
    return site.reshaped(soft, shape)
