"""Imports the layers that normalise: BatchNorm in all spellings, Scale, Bias, LRN."""

from __future__ import annotations

import numpy as np

from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.ufw_pb2 import BatchNormParameter, BNParameter, LRNParameter
from bmnetu.frontend.weights.blobs import Role
from dialects.constant import Array
from dialects.ufw import ops
from dialects.ufw.layer import shape_of
from dialects.ufw.shapes import Shape, require

BN_EPS = 1e-5
"""Of a BN layer that does not give it."""

STATISTICS = (Role.MEAN, Role.VARIANCE)
AFFINE = (Role.FACTOR, Role.BIAS)


def _affine_op(
    site: LayerSite, factor: Array, addend: Array | None, shift: int | None = None
) -> ops.LayerOp:
    return ops.ScaleOp(site.bottom, site.top, weight=factor, bias=addend, right_shift=shift)


def _per_channel(site: LayerSite, *roles: Role) -> tuple[Array, ...]:
    """One blob a role, with a number a channel."""
    return site.coefficients(*((role, (site.channels,)) for role in roles)).arrays


def _stored_affine(site: LayerSite) -> ops.LayerOp:
    """Factors, and addends where there are two blobs: all that is left of the layer's blobs in
    SegNet's inference form, and in a umodel."""
    roles = AFFINE[: site.blob_count or 2]
    found = site.coefficients(*((role, (site.channels,)) for role in roles))
    addend = found.arrays[1] if len(roles) == 2 else None
    return _affine_op(site, found.arrays[0], addend, found.right_shift)


def _folded(
    site: LayerSite, mean: Array, variance: Array, eps: float, factor: Array, addend: Array
) -> ops.LayerOp:
    """``factor * (x - mean) / sqrt(variance + eps) + addend`` as factors and addends."""
    _check_variance(mean, variance, eps)
    scale = factor.astype(np.float64) / np.sqrt(variance.astype(np.float64) + eps)
    shift = addend - mean * scale
    require(bool(np.isfinite([scale, shift]).all()), "its factors and addends must be finite")
    return _affine_op(site, scale.astype(np.float32), shift.astype(np.float32))


def _check_variance(mean: Array, variance: Array, eps: float) -> None:
    with np.errstate(over="ignore"):
        usable = np.isfinite(mean).all() and np.isfinite(variance + np.float32(eps)).all()
    require(
        bool(usable and (variance + np.float32(eps) > 0).all()),
        "its variance and eps must be finite, and their sum positive",
    )


def bn(site: LayerSite) -> ops.LayerOp:
    """BN as SegNet and ENet write it for inference (factors and addends, the statistics are in
    them), or as PSPNet does (factors, addends, means and variances)."""
    param = site.param.bn_param
    inference = param.bn_mode == BNParameter.INFERENCE
    if site.blob_count in (1, 2) or site.is_integer or (inference and site.blob_count is None):
        return _stored_affine(site)
    eps = param.eps if param.HasField("eps") else param.var_eps
    given = param.HasField("eps") or param.HasField("var_eps")
    factor, addend, mean, variance = _per_channel(site, *AFFINE, *STATISTICS)
    return _folded(site, mean, variance, eps if given else BN_EPS, factor, addend)


def cudnn_batch_norm(site: LayerSite) -> ops.LayerOp:
    """Factors, addends, means and variances; a fifth blob counts the steps of the training."""
    param = site.param.cudnn_batch_norm_param
    if (found := _batch_statistics(site, param)) is not None:
        return found
    if site.blob_count in (1, 2):
        return _stored_affine(site)
    required = [(role, (site.channels,)) for role in (*AFFINE, *STATISTICS)]
    if site.blob_count == 5:
        required.append((Role.SCALE_FACTOR, (1,)))
    factor, addend, mean, variance = site.coefficients(*required).arrays[:4]
    return _folded(site, mean, variance, param.eps, factor, addend)


def _batch_statistics(site: LayerSite, param: BatchNormParameter) -> ops.LayerOp | None:
    """The layer that normalises by the statistics of what it gets, where it is asked to."""
    if not param.HasField("use_global_stats") or param.use_global_stats:
        return None
    if param.scale_bias or site.param.type == "CuDNNBatchNorm":
        raise UnsupportedSetting("use_global_stats: false beside factors and addends")
    channels = (site.channels,)
    if site.blob_count:  # what a training left, which is not used
        roles = [(role, channels) for role in STATISTICS]
        site.coefficients(*roles, (Role.SCALE_FACTOR, (1,)))
    axes = [axis for axis in range(site.rank) if axis != 1]
    return ops.StandardizeOp(site.bottom, site.top, axes, eps=param.eps)


def batch_norm(site: LayerSite) -> ops.LayerOp:
    """Caffe's (mean, variance, their divisor), or NVIDIA's with ``scale_bias``: factors and
    addends behind them."""
    param = site.param.batch_norm_param
    if (statistics := _batch_statistics(site, param)) is not None:
        return statistics
    channels = (site.channels,)
    if site.is_integer and not param.scale_bias:
        found = site.coefficients((Role.FACTOR, channels), (Role.BIAS, channels))
        weight, bias = found.arrays
        return ops.BatchNormOp(
            site.bottom, site.top, weight=weight, bias=bias, right_shift=found.right_shift
        )
    if param.scale_bias and site.blob_count in (1, 2):
        return _stored_affine(site)
    required = [(role, channels) for role in STATISTICS] + [(Role.SCALE_FACTOR, (1,))]
    required += [(role, channels) for role in AFFINE] * param.scale_bias
    mean, variance, divisor, *affine = site.coefficients(*required).arrays
    factor = np.float32(1) / divisor if divisor[0] else np.float32(0)
    with np.errstate(over="ignore"):
        mean, variance = mean * factor, variance * factor
    if affine:
        return _folded(site, mean, variance, param.eps, *affine)
    _check_variance(mean, variance, param.eps)
    return ops.BatchNormOp(site.bottom, site.top, mean=mean, variance=variance, eps=param.eps)


def _covered(site: LayerSite, axis: int, num_axes: int) -> tuple[int, Shape]:
    """The first axis and the shape of a learned operand; -1 axes reach to the end."""
    start = site.axis(axis)
    end = site.rank if num_axes == -1 else start + num_axes
    require(
        start <= end <= site.rank,
        f"{num_axes} axes from axis {start} on are too many for {site.rank} dimensions",
    )
    return start, site.shape[start:end]


def scale(site: LayerSite) -> ops.LayerOp:
    param = site.param.scale_param
    bias_term = param.bias_term
    if len(site.bottoms) == 2:
        axis, factor = site.axis(param.axis), site.bottoms[1]
        found = site.coefficients((Role.BIAS, shape_of(factor))) if bias_term else None
        bias = found.arrays[0] if found else None
        if found and found.right_shift is not None:
            raise UnsupportedSetting("an integer bias beside a second input")
        return ops.ScaleOp(site.bottom, site.top, factor, bias=bias, axis=axis)
    axis, shape = _covered(site, param.axis, param.num_axes)
    required = [(Role.FACTOR, shape)] + [(Role.BIAS, shape)] * bias_term
    found = site.coefficients(*required)
    return ops.ScaleOp(
        site.bottom,
        site.top,
        weight=found.arrays[0],
        bias=found.arrays[1] if bias_term else None,
        axis=axis,
        right_shift=found.right_shift,
    )


def bias(site: LayerSite) -> ops.LayerOp:
    param = site.param.bias_param
    if len(site.bottoms) == 2:
        axis = site.axis(param.axis)
        return ops.BiasOp(site.bottom, site.top, site.bottoms[1], axis=axis)
    axis, shape = _covered(site, param.axis, param.num_axes)
    if site.is_integer:
        found = site.coefficients((Role.FACTOR, shape), (Role.BIAS, shape))
        weight, addend = found.arrays
        shift = found.right_shift
        return ops.BiasOp(
            site.bottom, site.top, weight=weight, bias=addend, axis=axis, right_shift=shift
        )
    addend = site.coefficients((Role.BIAS, shape)).arrays[0]
    return ops.BiasOp(site.bottom, site.top, bias=addend, axis=axis)


def lrn(site: LayerSite) -> ops.LayerOp:
    param = site.param.lrn_param
    require(param.local_size % 2 == 1, f"local_size {param.local_size} is not odd")
    within = param.norm_region == LRNParameter.WITHIN_CHANNEL
    require(site.rank >= 2, "LRN requires a tensor with channels")
    require(not within or site.rank == 4, "LRN within channels requires an N x C x H x W tensor")
    return ops.LRNOp(
        site.bottom,
        site.top,
        size=param.local_size,
        alpha=param.alpha,
        beta=param.beta,
        k=1.0 if within else param.k,  # Caffe computes within a channel with 1
        within=within,
    )
