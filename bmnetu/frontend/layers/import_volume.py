"""Imports the layers over one axis, and over time, height and width."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from google.protobuf.message import Message

from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.ufw_pb2 import ConvolutionParameter, Pooling3DParameter
from bmnetu.frontend.weights.blobs import Role
from dialects.ufw import ops
from dialects.ufw.shapes import require
from dialects.ufw.volume import convolved

Triple = tuple[int, int, int]


def _triple(param: Message, time: str, both: str, height: str = "", width: str = "") -> Triple:
    """A setting of C3D: one number for height and width, or one each, and one for the time."""
    sizes = [
        getattr(param, name) if name and param.HasField(name) else getattr(param, both)
        for name in (height, width)
    ]
    return (getattr(param, time), sizes[0], sizes[1])


def convolution_3d(site: LayerSite) -> ops.LayerOp:
    """C3D's Convolution3D."""
    param = site.param.convolution3d_param
    require(param.HasField("kernel_depth"), "kernel_depth is missing")
    group = max(param.group, param.filter_group)
    return _convolution(
        site,
        param.num_output,
        param.bias_term,
        group,
        _triple(param, "kernel_depth", "kernel_size", "kernel_h", "kernel_w"),
        _triple(param, "temporal_stride", "stride", "stride_h", "stride_w"),
        _triple(param, "temporal_pad", "pad", "pad_h", "pad_w"),
        (1, 1, 1),
    )


def convolution_nd(site: LayerSite, group: int) -> ops.LayerOp:
    """Caffe's Convolution of an N x C x L or N x C x T x H x W tensor: one number for all axes, or
    one each."""
    param = site.param.convolution_param
    fields = ("pad_h", "kernel_h", "stride_h", "pad_l", "pad_r", "pad_t", "pad_b")
    given = [name for name in fields if param.HasField(name)]
    if given:
        raise UnsupportedSetting(f"{given[0]} of a convolution over {site.rank - 2} axes")
    axes = site.rank - 2
    settings = (
        _each(axes, param.kernel_size, "kernel_size", None),
        _each(axes, param.stride, "stride", 1),
        _each(axes, param.pad, "pad", 0),
        _each(axes, dilation_of(param), "dilation", 1),
    )
    return _convolution(site, param.num_output, param.bias_term, group, *settings)


def dilation_of(param: ConvolutionParameter) -> Sequence[int]:
    """``dilation``, or ``hole`` as DeepLab calls it; empty where none is given."""
    pair = (param.hole_h, param.hole_w)
    pairs = pair if param.HasField("hole_h") or param.HasField("hole_w") else ()
    given = [numbers for numbers in (param.dilation, param.hole, pairs) if len(numbers)]
    require(len(given) < 2, "has two of dilation, hole, and hole_h with hole_w")
    return given[0] if given else ()


def _each(axes: int, values: Sequence[int], what: str, default: int | None) -> Sequence[int]:
    """One number an axis; one that is given alone is for all."""
    found = list(values) or ([] if default is None else [default])
    numbers = "1 number" if axes == 1 else f"1 or {axes} numbers"
    require(len(found) in (1, axes), f"{what} requires {numbers}, has {len(found)}")
    return found * axes if len(found) == 1 else found


def _convolution(
    site: LayerSite,
    outputs: int,
    has_bias: bool,
    group: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
) -> ops.LayerOp:
    require(outputs > 0, "num_output is missing or 0")
    require(
        group > 0 and site.channels % group == 0,
        f"group {group} does not divide {site.channels} input channels",
    )
    weights = (outputs, site.channels // group, *kernel)
    convolved(site.shape, weights, stride, pad, dilation, group)
    required = [(Role.WEIGHT, weights)] + [(Role.BIAS, (outputs,))] * has_bias
    found = site.coefficients(*required)
    return ops.ConvolutionNdOp(
        site.bottom,
        site.top,
        found.arrays[0],
        found.arrays[1] if has_bias else None,
        stride=stride,
        pad=pad,
        dilation=dilation,
        group=group,
        right_shift=found.right_shift,
    )


def pooling_3d(site: LayerSite) -> ops.LayerOp:
    """C3D's Pooling3D."""
    param = site.param.pooling3d_param
    if param.pool == Pooling3DParameter.STOCHASTIC:
        raise UnsupportedSetting("stochastic pooling")
    kind = ops.PoolingKind.MAX if param.pool == Pooling3DParameter.MAX else ops.PoolingKind.AVERAGE
    kernel = _triple(param, "kernel_depth", "kernel_size")
    stride = _triple(param, "temporal_stride", "stride")
    require(prod(kernel) > 0, "kernel_size or kernel_depth is missing or 0")
    require(prod(stride) > 0, "a stride is 0")
    pad = _triple(param, "temporal_pad", "pad")
    return ops.PoolingNdOp(site.bottom, site.top, kind, kernel, stride=stride, pad=pad)
