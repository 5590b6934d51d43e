"""Imports the layers that reduce, and those that normalise by statistics of what they get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.ufw_pb2 import ArgMaxParameter, ReduceParameter, ReductionParameter
from bmnetu.frontend.weights.blobs import Role
from dialects.constant import Array
from dialects.ufw import ops
from dialects.ufw.ops import ReduceOperation
from dialects.ufw.shapes import Shape, require

_REDUCTIONS = {
    ReductionParameter.SUM: ReduceOperation.SUM,
    ReductionParameter.ASUM: ReduceOperation.L1,
    ReductionParameter.SUMSQ: ReduceOperation.SUM_SQUARES,
    ReductionParameter.MEAN: ReduceOperation.MEAN,
}
_REDUCES = {
    ReduceParameter.MEAN: ReduceOperation.MEAN,
    ReduceParameter.SUM: ReduceOperation.SUM,
    ReduceParameter.MAX: ReduceOperation.MAX,
    ReduceParameter.MIN: ReduceOperation.MIN,
    ReduceParameter.PROD: ReduceOperation.PROD,
    ReduceParameter.L2: ReduceOperation.L2,
    ReduceParameter.L1: ReduceOperation.L1,
    ReduceParameter.SUMSQ: ReduceOperation.SUM_SQUARES,
}


def reduction(site: LayerSite) -> ops.LayerOp:
    """Caffe's: over all axes from one on, which go."""
    param = site.param.reduction_param
    return ops.ReduceOp(
        site.bottom,
        site.top,
        _REDUCTIONS[param.operation],
        range(site.axis(param.axis), site.rank),
        keep_dims=False,
        coefficient=param.coeff,
    )


def reduce(site: LayerSite) -> ops.LayerOp:
    """UFW's Reduce and ReduceFull: over some axes, over all where none is given."""
    full = site.param.type == "ReduceFull"
    param = site.param.reduce_full_param if full else site.param.reduce_param
    axes = sorted({site.axis(axis) for axis in param.axis} or range(site.rank))
    return ops.ReduceOp(
        site.bottom, site.top, _REDUCES[param.operation], axes, keep_dims=param.keep_dims
    )


def arg_max(site: LayerSite) -> ops.LayerOp:
    """Caffe's: places along an axis, or among all numbers of an image; with out_max_val the
    numbers, or both."""
    param = site.param.argmax_param
    if param.top_k != 1:
        raise UnsupportedSetting(f"top_k {param.top_k}, as the chip finds one place at a time,")
    smallest = param.operation == ArgMaxParameter.ARG_MIN
    if param.HasField("axis"):
        axis, value = site.axis(param.axis), int(param.out_max_val)
        return ops.ArgOp(site.bottom, site.tops, [value], axis=axis, smallest=smallest)
    pairs = param.out_max_val
    return ops.ArgOp(site.bottom, site.tops, [0], flat=True, pairs=pairs, smallest=smallest)


def arg(site: LayerSite) -> ops.LayerOp:
    """UFW's: places, and numbers where there is a second top."""
    param = site.param.arg_param
    if param.top_k != 1:
        raise UnsupportedSetting(f"top_k {param.top_k}, as the chip finds one place at a time,")
    return ops.ArgOp(
        site.bottom,
        site.tops,
        [0, 1] if len(site.tops) == 2 else [int(param.out_max_val)],
        axis=site.axis(param.axis if param.HasField("axis") else 1),
        smallest=param.operation == ArgMaxParameter.ARG_MIN,
    )


def normalize(site: LayerSite) -> ops.LayerOp:
    param = site.param.norm_param
    shape = (1,) if param.channel_shared else (site.channels,)
    (weight,) = site.coefficients((Role.FACTOR, shape)).arrays
    return ops.NormalizeOp(
        site.bottom, site.top, weight, across_spatial=param.across_spatial, eps=param.eps
    )


def mvn(site: LayerSite) -> ops.LayerOp:
    param = site.param.mvn_param
    axes = range(1 if param.across_channels else 2, site.rank)
    require(len(axes) > 0, "MVN of single numbers: there is nothing to take the mean of")
    return ops.StandardizeOp(
        site.bottom,
        site.top,
        axes,
        eps=param.eps,
        eps_outside=True,
        divide=param.normalize_variance,
    )


class Affine(TypedDict, total=False):
    """Factors and addends."""

    weight: Array
    bias: Array


def _affine(site: LayerSite, shape: Shape, asked: bool) -> Affine:
    """Factors and addends of a shape, where the layer has them."""
    if not asked:
        return {}
    weight, bias = site.coefficients((Role.FACTOR, shape), (Role.BIAS, shape)).arrays
    return {"weight": weight, "bias": bias}


def _standardize(
    site: LayerSite, axes: Sequence[int], eps: float, affine: Affine, axis: int = 1
) -> ops.LayerOp:
    return ops.StandardizeOp(site.bottom, site.top, axes, eps=eps, affine_axis=axis, **affine)


def group_norm(site: LayerSite) -> ops.LayerOp:
    param = site.param.group_norm_param
    groups = param.group_num if param.HasField("group_num") else param.num_groups
    require(
        groups > 0 and site.channels % groups == 0,
        f"{groups} groups do not divide {site.channels} channels",
    )
    affine = _affine(site, (site.channels,), param.affine)
    return ops.StandardizeOp(site.bottom, site.top, groups=groups, eps=param.eps, **affine)


def instance_norm(site: LayerSite) -> ops.LayerOp:
    param = site.param.instance_norm_param
    require(site.rank > 2, "InstanceNorm requires a tensor with height or width")
    channels = site.channels
    given = param.num_features if param.HasField("num_features") else channels
    require(given == channels, f"num_features is {given}, the input has {channels} channels")
    affine = _affine(site, (channels,), param.affine)
    return _standardize(site, range(2, site.rank), param.eps, affine)


def layer_norm(site: LayerSite) -> ops.LayerOp:
    param = site.param.layer_norm_param
    axis = site.axis(param.axis)
    affine = _affine(site, site.shape[axis:], param.affine)
    return _standardize(site, range(axis, site.rank), param.eps, affine, axis)


def matmul(site: LayerSite) -> ops.LayerOp:
    param = site.param.matmul_param
    return ops.MatMulOp(
        site.bottoms[0],
        site.bottoms[1],
        site.top,
        transpose_a=param.transpose_a,
        transpose_b=param.transpose_b,
    )
