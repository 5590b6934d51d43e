"""Imports convolution and pooling along one or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.ufw_pb2 import Pooling3DParameter, PoolingParameter
from bmnetu.frontend.weights.blobs import Role
from dialects.ufw import ops
from dialects.ufw.shapes import Shape, require

_KINDS = {
    Pooling3DParameter.MAX: ops.PoolingKind.MAX,
    Pooling3DParameter.AVE: ops.PoolingKind.AVERAGE,
}


def _each(values: Sequence[int], rank: int, what: str, default: int | None = None) -> Shape:
    """One value for all axes, or one an axis."""
    found = list(values) or ([] if default is None else [default])
    if len(found) not in (1, rank):
        raise VerifyException(f"{what} requires 1 or {rank} numbers, has {len(values)}")
    return tuple(found * rank if len(found) == 1 else found)


def _twice(pad: Sequence[int]) -> tuple[int, ...]:
    """The same before and after each axis."""
    return tuple(p for p in pad for _ in "be")


def _convolution(
    site: LayerSite,
    outputs: int,
    has_bias: bool,
    group: int,
    kernel: Shape,
    stride: Shape,
    pad: Shape,
    dilation: Shape,
) -> ops.LayerOp:
    require(outputs > 0, "num_output is missing or 0")
    require(
        group > 0 and site.channels % group == 0,
        f"group {group} does not divide {site.channels} input channels",
    )
    require(min(kernel) > 0, "the kernel is missing or 0")
    weights = (outputs, site.channels // group, *kernel)
    required = [(Role.WEIGHT, weights)] + [(Role.BIAS, (outputs,))] * has_bias
    found = site.coefficients(*required)
    return ops.ConvolutionNdOp(
        site.bottom,
        site.top,
        found.arrays[0],
        found.arrays[1] if has_bias else None,
        stride=stride,
        pad=_twice(pad),
        dilation=dilation,
        group=group,
        right_shift=found.right_shift,
    )


def convolution(site: LayerSite, group: int) -> ops.LayerOp:
    """Caffe's Convolution of N x C x L or N x C x T x H x W."""
    param, rank = site.param.convolution_param, site.rank - 2
    if param.axis != 1:
        raise UnsupportedSetting(f"convolution axis {param.axis}; only 1 can be compiled")
    require(
        not any(param.HasField(f"{name}_h") for name in ("kernel", "stride", "pad")),
        f"kernel_h and the like are for images, the input has {site.rank} dimensions",
    )
    return _convolution(
        site,
        param.num_output,
        param.bias_term,
        group,
        _each(param.kernel_size, rank, "kernel_size"),
        _each(param.stride, rank, "stride", 1),
        _each(param.pad, rank, "pad", 0),
        _each(param.dilation, rank, "dilation", 1),
    )


def convolution3d(site: LayerSite) -> ops.LayerOp:
    """C3D's: the time has settings of its own."""
    param = site.param.convolution3d_param

    def pair(name: str, both: int) -> tuple[int, int]:
        names = (f"{name}_h", f"{name}_w")
        h, w = (getattr(param, each) if param.HasField(each) else both for each in names)
        return h, w

    depth = param.kernel_depth if param.HasField("kernel_depth") else param.kernel_size
    group = param.filter_group if param.HasField("filter_group") else param.group
    return _convolution(
        site,
        param.num_output,
        param.bias_term,
        group,
        (depth, *pair("kernel", param.kernel_size)),
        (param.temporal_stride, *pair("stride", param.stride)),
        (param.temporal_pad, *pair("pad", param.pad)),
        (1, 1, 1),
    )


def pooling3d(site: LayerSite) -> ops.LayerOp:
    param = site.param.pooling3d_param
    kind = _KINDS.get(param.pool)
    if kind is None:
        raise UnsupportedSetting("stochastic pooling")
    depth = param.kernel_depth if param.HasField("kernel_depth") else param.kernel_size
    kernel = (depth, param.kernel_size, param.kernel_size)
    require(min(kernel) > 0, "kernel_size is missing or 0")
    stride = (param.temporal_stride, param.stride, param.stride)
    pad = _twice((param.temporal_pad, param.pad, param.pad))
    return ops.PoolingNdOp(site.bottom, site.top, kind, kernel, stride=stride, pad=pad)


def pooling(site: LayerSite, kind: ops.PoolingKind, param: PoolingParameter) -> ops.LayerOp:
    """Pooling of N x C x L or N x C x T x H x W, with one number for all axes."""
    rank = site.rank - 2
    require(rank in (1, 3), "pooling requires an N x C x L, N x C x H x W or N x C x T x H x W")
    kernel, stride, pad = param.kernel_size, param.stride, param.pad
    window = ((kernel,) * rank, (stride,) * rank, (pad,) * 2 * rank)
    if param.global_pooling:
        window = (site.shape[2:], (1,) * rank, (0,) * 2 * rank)
    require(min(window[0]) > 0, "kernel_size is missing or 0")
    ceil_mode = param.ceil_mode and param.round_mode == PoolingParameter.CEIL
    return ops.PoolingNdOp(
        site.bottom, site.top, kind, window[0], stride=window[1], pad=window[2], ceil_mode=ceil_mode
    )
