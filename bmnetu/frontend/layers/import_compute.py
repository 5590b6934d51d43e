"""Imports the layers that compute: convolutions, normalisation, activations, pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import cast

import numpy as np
from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.layers.import_volume import convolution_nd, dilation_of
from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.prototxt.custom import CUSTOM_MESSAGES
from bmnetu.frontend.ufw_pb2 import ConvolutionParameter
from bmnetu.frontend.weights.blobs import Role
from dialects.constant import Array
from dialects.functions import Function
from dialects.ufw import ops, shapes
from dialects.ufw.deconvolution import from_stored
from dialects.ufw.shapes import Shape, require

Pair = tuple[int, int]


def _pair(values: Sequence[int], what: str, default: int | None = None) -> Pair:
    """One value for both dimensions, or (h, w)."""
    match list(values):
        case [] if default is not None:
            return (default, default)
        case [both]:
            return (both, both)
        case [h, w]:
            return (h, w)
        case _:
            raise VerifyException(f"{what} requires 1 or 2 numbers, has {len(values)}")


def _window(
    param: ConvolutionParameter, repeated: str, height: str, width: str, default: int | None
) -> Pair:
    """A convolution setting from its repeated field, or from its _h and _w fields."""
    if param.HasField(height) or param.HasField(width):
        if len(getattr(param, repeated)):
            raise VerifyException(f"has both {repeated} and {height} or {width}")
        return (getattr(param, height), getattr(param, width))
    return _pair(getattr(param, repeated), repeated, default)


def _pads(param: ConvolutionParameter, both: Pair) -> tuple[int, ...]:
    """Top, bottom, left, right: from pad_t, pad_b, pad_l and pad_r, or the same on both sides."""
    single = (param.pad_t, param.pad_b, param.pad_l, param.pad_r)
    require(not (any(single) and any(both)), "has both pad and pad_l, pad_r, pad_t or pad_b")
    return single if any(single) else shapes.four_pads(both)


@dataclass(frozen=True)
class Window:
    """The settings of convolution_param."""

    kernel: Pair
    stride: Pair
    pad: tuple[int, ...]
    dilation: Pair


def window_of(site: LayerSite) -> Window:
    """The window of a layer with a convolution_param."""
    param = site.param.convolution_param
    if param.axis != 1:
        raise UnsupportedSetting(f"convolution axis {param.axis}, which is not 1,")
    return Window(
        kernel=_window(param, "kernel_size", "kernel_h", "kernel_w", None),
        stride=_window(param, "stride", "stride_h", "stride_w", 1),
        pad=_pads(param, _window(param, "pad", "pad_h", "pad_w", 0)),
        dilation=_pair(dilation_of(param), "dilation", 1),
    )


def convolution(site: LayerSite) -> ops.LayerOp:
    return _convolution(site, site.param.convolution_param.group)


def depthwise_convolution(site: LayerSite) -> ops.LayerOp:
    """The named depthwise layers: without a group they have one a channel."""
    param = site.param.convolution_param
    return _convolution(site, param.group if param.HasField("group") else site.channels)


def _convolution(site: LayerSite, group: int) -> ops.LayerOp:
    param = site.param.convolution_param
    _check_groups(site, group)
    if site.rank in (3, 5):
        return convolution_nd(site, group)
    window = window_of(site)
    weights = (param.num_output, site.channels // group, *window.kernel)
    shapes.convolution(
        site.shape, weights, window.stride, window.pad, window.dilation, group
    )
    arrays, shift = _weights_and_bias(site, weights, param.num_output, param.bias_term)
    return ops.ConvolutionOp(
        site.bottom,
        site.top,
        arrays[0],
        arrays[1] if param.bias_term else None,
        stride=window.stride,
        pad=window.pad,
        dilation=window.dilation,
        group=group,
        right_shift=shift,
        use_winograd=_winograd(site),
    )


def _check_groups(site: LayerSite, group: int) -> None:
    require(site.param.convolution_param.num_output > 0, "num_output is missing or 0")
    require(
        group > 0 and site.channels % group == 0,
        f"group {group} does not divide {site.channels} input channels",
    )


def deconvolution(site: LayerSite) -> ops.LayerOp:
    return _deconvolution(site, site.param.convolution_param.group)


def depthwise_deconvolution(site: LayerSite) -> ops.LayerOp:
    """The named depthwise layer: without a group it has one a channel."""
    param = site.param.convolution_param
    return _deconvolution(site, param.group if param.HasField("group") else site.channels)


def _deconvolution(site: LayerSite, group: int) -> ops.LayerOp:
    param = site.param.convolution_param
    _check_groups(site, group)
    window = window_of(site)
    outputs = param.num_output
    weights = (outputs, site.channels // group, *window.kernel)
    shapes.deconvolution(site.shape, weights, window.stride, window.pad, window.dilation, group)
    stored = (site.channels, outputs // group, *window.kernel)
    arrays, shift = _weights_and_bias(site, stored, outputs, param.bias_term)
    return ops.DeconvolutionOp(
        site.bottom,
        site.top,
        from_stored(arrays[0], group),
        arrays[1] if param.bias_term else None,
        stride=window.stride,
        pad=window.pad,
        dilation=window.dilation,
        group=group,
        right_shift=shift,
    )


def _winograd(site: LayerSite) -> bool | None:
    for param in (site.param, site.param.convolution_param):
        if param.HasField("use_winograd"):
            return param.use_winograd
    return None


def _weights_and_bias(
    site: LayerSite, weights: Shape, outputs: int, has_bias: bool
) -> tuple[tuple[Array, ...], int | None]:
    required = [(Role.WEIGHT, weights)] + [(Role.BIAS, (outputs,))] * has_bias
    found = site.coefficients(*required)
    return found.arrays, found.right_shift


def inner_product(site: LayerSite) -> ops.LayerOp:
    param = site.param.inner_product_param
    outputs, axis = param.num_output, site.axis(param.axis)
    require(outputs > 0, "num_output is missing or 0")
    inputs = prod(site.shape[axis:])
    stored = (inputs, outputs) if param.transpose else (outputs, inputs)
    arrays, shift = _weights_and_bias(site, stored, outputs, param.bias_term)
    weight = np.ascontiguousarray(arrays[0].T) if param.transpose else arrays[0]
    bias = arrays[1] if param.bias_term else None
    return ops.InnerProductOp(site.bottom, site.top, weight, bias, axis=axis, right_shift=shift)


def prelu(site: LayerSite) -> ops.LayerOp:
    shape = (1,) if site.param.prelu_param.channel_shared else (site.channels,)
    found = site.coefficients((Role.SLOPE, shape))
    return ops.PReLUOp(site.bottom, site.top, found.arrays[0], right_shift=found.right_shift)


def relu(site: LayerSite) -> ops.LayerOp:
    param = site.param.relu_param
    if param.relu6 and param.negative_slope:
        raise UnsupportedSetting("relu6 with a negative_slope")
    return ops.ReLUOp(site.bottom, site.top, param.negative_slope, 6.0 if param.relu6 else None)


def relu6(site: LayerSite) -> ops.LayerOp:
    param = site.param.relu6_param
    if param.negative_slope:
        raise UnsupportedSetting("ReLU6 with a negative_slope")
    return ops.ReLUOp(site.bottom, site.top, upper=param.threshold)


def pointwise(function: Function) -> Callable[[LayerSite], ops.LayerOp]:
    """The import of a pointwise function, whose parameters are the fields of its message."""

    def build(site: LayerSite) -> ops.LayerOp:
        if function.message in CUSTOM_MESSAGES:
            given = cast(dict[str, float], site.custom(function.message))
        else:
            message = getattr(site.param, function.message) if function.message else None
            given = {name: getattr(message, name) for name in function.defaults}
        if function.name == "clip" and given["min"] == 0 < given["max"]:
            return ops.ReLUOp(site.bottom, site.top, upper=given["max"])  # of a convolution's own
        return ops.PointwiseOp(site.bottom, site.top, function.name, **given)

    return build


def composed_function(site: LayerSite) -> ops.LayerOp:
    return ops.PointwiseOp(site.bottom, site.top, site.param.composed_function_param.function)


def softmax(site: LayerSite) -> ops.LayerOp:
    return ops.SoftmaxOp(site.bottom, site.top, site.axis(site.param.softmax_param.axis))


def log_softmax(site: LayerSite) -> ops.LayerOp:
    return ops.LogSoftmaxOp(site.bottom, site.top, site.axis(site.param.softmax_param.axis))
