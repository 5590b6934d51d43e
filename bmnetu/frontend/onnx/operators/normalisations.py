"""Normalisation by stored statistics, or by those of the tensor itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.operators.arithmetic import fits, linear
from bmnetu.frontend.onnx.operators.movement import shape_of_view
from bmnetu.frontend.onnx.site import Conversion, Site
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
    """``x / sqrt(mean(x^2) + eps) * factor`` over the axes from ``axis`` on."""
    node, x = site.node, site.blob(0)
    axis = site.axis(node.integer("axis", -1), len(x.shape))
    factor = _spread(site, 1, x.shape[axis:])
    return _root_mean_square(site, x, axis, factor, node.number_of("epsilon", 1e-5), "")


def _root_mean_square(
    site: Site, x: Blob, axis: int, factor: Array, eps: float, part: str
) -> Blob:
    """As a Normalize of the numbers from an axis on as channels."""
    count = prod(x.shape[axis:])
    rows = site.reshaped(x, (prod(x.shape[:axis]), count), "rows")
    weight = site.floats(factor.reshape(-1) * np.float32(sqrt(count)), "factors")
    same = _normalize(site, rows, weight, eps * count, "normalized")
    return site.reshaped(same, x.shape, part)


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
    return _unit(site, x, axis, "")


def _unit(site: Site, x: Blob, axis: int, part: str) -> Blob:
    """``x / |x|`` along an axis, which becomes the channels."""
    one = np.ones(1, np.float32)
    if axis == 1:
        return _normalize(site, x, one, NO_NORM, part)
    if axis == len(x.shape) - 1:
        rows = site.reshaped(x, (prod(x.shape[:-1]), x.shape[-1]), "rows")
        return site.reshaped(_normalize(site, rows, one, NO_NORM, "normalized"), x.shape, part)
    order = [axis, *(i for i in range(len(x.shape)) if i != axis)]
    turned = site.layer("Permute", x, part="turned", permute_param={"order": order})
    alone = site.reshaped(turned, (1, *turned.shape), "alone")
    same = _normalize(site, alone, one, NO_NORM, "normalized")
    together = site.reshaped(same, turned.shape, "together")
    back = [order.index(i) for i in range(len(order))]
    return site.layer("Permute", together, part=part, permute_param={"order": back})


@dataclass(frozen=True)
class _Inner:
    """A normalisation over the axes from ``axis`` on, with factors of their shape and addends."""

    axis: int
    factor: Array
    addend: Array | None
    part: str


def in_parts(build: Callable[[Site, Blob, _Inner], Blob]) -> Conversion:
    """The conversion of what was written in parts (rewrite.py): over axes that are brought to the
    end. Factors and addends that other axes have, too, follow as layers of their own."""

    def convert(site: Site) -> Blob:
        x = site.blob(0)
        rank = len(x.shape)
        axes = sorted({site.axis(axis, rank) for axis in site.node.integers("axes") or ()})
        spread = site.node.integers("spread") or ()
        if spread and np.broadcast_shapes(spread, x.shape) != x.shape:
            raise Refusal(f"its norm is repeated to {show(spread)}, the tensor is {show(x.shape)}")
        order = [*(i for i in range(rank) if i not in axes), *axes]
        first = rank - len(axes)
        plain = order == list(range(rank))
        factor, addend = (_inner(site, i, order, x.shape, first) for i in (1, 2))
        late = [site.coefficients(1) if factor is None else None, None]
        if addend is None or factor is None:
            late[1], addend = site.coefficients(2), None
        more = any(each is not None for each in late)
        ones = np.ones(tuple(x.shape[i] for i in order[first:]), np.float32)
        inner = _Inner(first, ones if factor is None else factor, addend,
                       "normalized" if more or not plain else "")
        if not plain:
            x = site.layer("Permute", x, part="turned", permute_param={"order": order})
        y = build(site, x, inner)
        if not plain:
            back = [order.index(i) for i in range(rank)]
            part = "back" if more else ""
            y = site.layer("Permute", y, part=part, permute_param={"order": back})
        return _affine(site, y, *late)

    return convert


def _inner(
    site: Site, index: int, order: Sequence[int], shape: Shape, first: int
) -> Array | None:
    """Coefficients, in the order of the axes, of those from the first one on; None for such of
    other axes, too. Factors that are left out are 1, addends 0."""
    inner = tuple(shape[i] for i in order[first:])
    array = site.coefficients(index)
    if array is None:
        return np.full(inner, 2 - index, np.float32)
    if array.ndim > len(shape):
        return None
    full = array.reshape((1,) * (len(shape) - array.ndim) + array.shape).transpose(order)
    if any(size != 1 for size in full.shape[:first]):
        return None
    return np.ascontiguousarray(np.broadcast_to(full.reshape(full.shape[first:]), inner))


def _affine(site: Site, y: Blob, factor: Array | None, addend: Array | None) -> Blob:
    """``y factor + addend``, where there are such."""
    if factor is not None:
        part = "" if addend is None else "scaled"
        y = linear(site, y, factor, np.float32(0), part)
    return y if addend is None else linear(site, y, np.float32(1), addend)


def standardized(site: Site, x: Blob, inner: _Inner) -> Blob:
    settings = {"axis": inner.axis, "eps": site.node.number_of("eps", 0.0)}
    bias = np.zeros(inner.factor.shape, np.float32) if inner.addend is None else inner.addend
    return site.layer(
        "LayerNorm", x, inner.factor, bias, part=inner.part, layer_norm_param=settings
    )


def root_mean_square(site: Site, x: Blob, inner: _Inner) -> Blob:
    eps = site.node.number_of("eps", 0.0)
    return _with_addend(
        site, inner, lambda part: _root_mean_square(site, x, inner.axis, inner.factor, eps, part)
    )


def unit(site: Site, x: Blob, inner: _Inner) -> Blob:
    """The factors are 1 but where constants follow."""
    count = prod(inner.factor.shape)
    factor = inner.factor / np.float32(sqrt(count))
    if np.all(inner.factor == 1):
        return _with_addend(site, inner, lambda part: _unit(site, x, inner.axis, part))
    eps = NO_NORM / count
    return _with_addend(
        site, inner, lambda part: _root_mean_square(site, x, inner.axis, factor, eps, part)
    )


def _with_addend(site: Site, inner: _Inner, build: Callable[[str], Blob]) -> Blob:
    """What a layer without addends makes, and the addends."""
    if inner.addend is None or not inner.addend.any():
        return build(inner.part)
    y = build("without_addend")
    return linear(site, y, np.float32(1), inner.addend, inner.part)


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


def grouped(site: Site) -> Blob:
    """An InstanceNormalization of the tensor under another shape, with factors and addends behind
    it: a GroupNorm where its channels are groups of the tensor's."""
    x, factor, addend = site.blob(0), site.coefficients(1), site.coefficients(2)
    view = shape_of_view(site, x.shape, site.integers("view", 5))
    whole = shape_of_view(site, view, site.integers("shape", 6))
    scale, bias = (_a_channel(site, i, view) for i in (3, 4))
    eps = {"eps": site.node.number_of("eps", 1e-5)}
    if len(view) < 2 or whole[:1] != view[:1] or len(whole) < 3 or whole[1] % view[1]:
        late = factor is not None or addend is not None
        y = site.reshaped(x, view, "view")
        y = site.layer("InstanceNorm", y, scale, bias, part="norm", instance_norm_param=eps)
        return _affine(site, site.reshaped(y, whole, "whole" if late else ""), factor, addend)
    x = x if x.shape == whole else site.reshaped(x, whole, "view")
    scale, bias = (np.repeat(each, whole[1] // view[1]) for each in (scale, bias))
    a_channel = (1, whole[1], *[1] * (len(whole) - 2))
    if factor is not None and fits(a_channel, factor.shape):
        scale, bias, factor = scale * factor.ravel(), bias * factor.ravel(), None
    if factor is None and addend is not None and fits(a_channel, addend.shape):
        bias, addend = bias + addend.ravel(), None
    settings = {"num_groups": view[1], **eps}
    part = "" if factor is None and addend is None else "normalized"
    y = site.layer("GroupNorm", x, scale, bias, part=part, group_norm_param=settings)
    return _affine(site, y, factor, addend)


def _a_channel(site: Site, index: int, shape: Shape) -> Array:
    """Coefficients, one a channel."""
    array = site.weights(index)
    if array.shape != shape[1:2]:
        raise InputFileError(
            site.node.fault(f"has {show(array.shape)} numbers for a tensor of {show(shape)}")
        )
    return array
