"""Normalisation by stored statistics, or by those of the tensor itself."""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob, Conversion, Site
from bmnetu.frontend.onnx.node import Refusal
from dialects.constant import Array
from dialects.ufw.shapes import Shape, show

NO_NORM = 1e-30
"""Added to a sum of squares, so that zeros stay zeros; it changes no other float32."""


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


def softmax(layer: str) -> Conversion:
    """The conversion of Softmax or LogSoftmax: along one axis; before operator set 13 over all
    axes from it on."""

    def convert(site: Site) -> Blob:
        node, x = site.node, site.blob(0)
        shape = x.shape
        axis = site.axis(node.integer("axis", -1 if node.opset >= 13 else 1), len(shape))
        if node.opset >= 13 or prod(shape[axis + 1 :]) == 1:
            return site.layer(layer, x, softmax_param={"axis": axis})
        flat = site.reshaped(x, (*shape[:axis], prod(shape[axis:])), "flat")
        soft = site.layer(layer, flat, part="soft", softmax_param={"axis": axis})
        return site.reshaped(soft, shape)

    return convert


def layer_normalization(site: Site) -> Blob:
    """Over the axes from ``axis`` on."""
    node, x = site.node, site.blob(0)
    axis = site.axis(node.integer("axis", -1), len(x.shape))
    shape = x.shape[axis:]
    factor, bias = _spread(site, 1, shape), _spread(site, 2, shape)
    settings = {"axis": axis, "eps": node.number_of("epsilon", 1e-5)}
    return site.layer("LayerNorm", x, factor, bias, layer_norm_param=settings)


def _spread(site: Site, index: int, shape: Shape) -> Array:
    """Coefficients repeated to a shape: factors, or addends, which may be left out."""
    array = site.coefficients(index)
    if array is None:
        array = np.float32(0 if index == 2 else 1)
    try:
        found = np.broadcast_to(array, shape)
    except ValueError as error:
        what = f"has {show(array.shape)} numbers for {show(shape)}"
        raise InputFileError(site.node.fault(what)) from error
    return np.ascontiguousarray(found)


def rms_normalization(site: Site) -> Blob:
    """``x / sqrt(mean(x^2) + eps) * factor`` over the axes from ``axis`` on, as a Normalize of
    their numbers as channels."""
    node, x = site.node, site.blob(0)
    axis = site.axis(node.integer("axis", -1), len(x.shape))
    inner = x.shape[axis:]
    count = prod(inner)
    factor = _spread(site, 1, inner).reshape(-1)
    rows = site.reshaped(x, (prod(x.shape[:axis]), count), "rows")
    eps = node.number_of("epsilon", 1e-5) * count
    weight = site.floats(factor * np.float32(sqrt(count)), node.inputs[1])
    same = _normalize(site, rows, weight, eps, "normalized")
    return site.reshaped(same, x.shape)


def lp_normalization(site: Site) -> Blob:
    """``x / norm(x)`` along an axis."""
    node, x = site.node, site.blob(0)
    axis = site.axis(node.integer("axis", -1), len(x.shape))
    power = node.integer("p", 2)
    if power == 1:
        settings = {"operation": "L1", "axis": [axis], "keep_dims": True}
        norm = site.layer("Reduce", x, part="norm", reduce_param=settings)
        by = {"operation": "DIV"}
        return site.layer("BroadcastBinary", [x, norm], broadcast_binary_param=by)
    if power != 2:
        raise Refusal(f"p is {power}; 1 and 2 can be compiled")
    if axis == 1:
        return _normalize(site, x, np.ones(1, np.float32), NO_NORM, "")
    order = [i for i in range(len(x.shape)) if i != axis]
    order = [*order[:1], axis, *order[1:]] if order else [axis]
    if len(order) == 1:
        row = site.reshaped(x, (1, *x.shape), "row")
        same = _normalize(site, row, np.ones(1, np.float32), NO_NORM, "normalized")
        return site.reshaped(same, x.shape)
    turned = site.layer("Permute", x, part="turned", permute_param={"order": order})
    same = _normalize(site, turned, np.ones(1, np.float32), NO_NORM, "normalized")
    back = [order.index(i) for i in range(len(order))]
    return site.layer("Permute", same, permute_param={"order": back})


def _normalize(site: Site, x: Blob, weight: Array, eps: float, part: str) -> Blob:
    """Over the channels of each place."""
    settings = {"across_spatial": False, "channel_shared": weight.size == 1, "eps": eps}
    return site.layer("Normalize", x, weight, part=part, norm_param=settings)


def instance_normalization(site: Site) -> Blob:
    x = site.blob(0)
    factor, bias = (_a_channel(site, i, x.shape) for i in (1, 2))
    settings = {"eps": site.node.number_of("epsilon", 1e-5)}
    return site.layer("InstanceNorm", x, factor, bias, instance_norm_param=settings)


def group_normalization(site: Site) -> Blob:
    """Before operator set 21 it has one factor a group."""
    node, x = site.node, site.blob(0)
    groups = node.integer("num_groups", 0)
    if groups < 1 or len(x.shape) < 2 or x.shape[1] % groups:
        raise InputFileError(node.fault(f"num_groups {groups} for a tensor of {show(x.shape)}"))
    each = x.shape[1] // groups if node.opset < 21 else 1
    factor, bias = (
        np.repeat(_a_channel(site, i, (1, x.shape[1] // each)), each) for i in (1, 2)
    )
    settings = {"num_groups": groups, "eps": node.number_of("epsilon", 1e-5)}
    return site.layer("GroupNorm", x, factor, bias, group_norm_param=settings)


def _a_channel(site: Site, index: int, shape: Shape) -> Array:
    """Coefficients, one a channel."""
    array = site.weights(index)
    if array.shape != shape[1:2]:
        raise InputFileError(
            site.node.fault(f"has {show(array.shape)} numbers for a tensor of {show(shape)}")
        )
    return array
