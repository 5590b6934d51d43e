"""Imports the layers that pool."""

from __future__ import annotations

from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.ufw_pb2 import PoolingParameter, SPPParameter
from dialects.ufw import ops, shapes
from dialects.ufw.shapes import Shape, require

_KINDS = {
    PoolingParameter.MAX: ops.PoolingKind.MAX,
    PoolingParameter.AVE: ops.PoolingKind.AVERAGE,
    PoolingParameter.AVE_EXC_PAD: ops.PoolingKind.AVERAGE,
}


def pooling(site: LayerSite) -> ops.LayerOp:
    return _pooling(site, site.param.pooling_param, tf=False)


def pooling_tf(site: LayerSite) -> ops.LayerOp:
    """TensorFlow's: rounds down where nothing is said, and padding never counts."""
    given = site.param.HasField("pooling_tf_param")
    return _pooling(
        site, site.param.pooling_tf_param if given else site.param.pooling_param, tf=True
    )


def _pooling(site: LayerSite, param: PoolingParameter, tf: bool) -> ops.LayerOp:
    kind = _KINDS.get(param.pool)
    if kind is None:
        raise UnsupportedSetting("stochastic pooling")
    require(site.rank in (3, 4), "pooling requires an N x C x H x W or an N x C x L tensor")
    if site.rank == 3:
        return _along_one_axis(site, param, kind, tf)
    stride, kernel = _pair(param, "stride"), _pair(param, "kernel")
    pad, ceil_mode = _pads(param), _rounds_up(param, tf)
    if param.global_pooling:
        kernel, stride, pad = site.shape[2:], (1, 1), (0, 0, 0, 0)
    require(min(kernel) > 0, "kernel_size is missing or 0")
    require(min(stride) > 0, "stride is 0")
    if param.pad_mode != PoolingParameter.EXPLICIT and not param.global_pooling:
        pad, ceil_mode = _pads_of_mode(site, param, kernel, stride), False
    if len(site.tops) == 2:
        require(kind is ops.PoolingKind.MAX, "a second top, the mask, is that of a maximum")
        return ops.MaxPoolMaskOp(
            site.bottom, site.tops, kernel, stride=stride, pad=pad, ceil_mode=ceil_mode
        )
    return ops.PoolingOp(
        site.bottom,
        site.top,
        kind,
        kernel,
        stride=stride,
        pad=pad,
        ceil_mode=ceil_mode,
        exclude_pad=param.pool == PoolingParameter.AVE_EXC_PAD
        or (tf and kind is ops.PoolingKind.AVERAGE),
    )


def _along_one_axis(
    site: LayerSite, param: PoolingParameter, kind: ops.PoolingKind, tf: bool
) -> ops.LayerOp:
    """Of an N x C x L tensor: kernel_size, stride and pad count."""
    if param.pad_mode != PoolingParameter.EXPLICIT or param.pool == PoolingParameter.AVE_EXC_PAD:
        raise UnsupportedSetting("pad_mode or AVE_EXC_PAD of an N x C x L tensor")
    kernel = site.shape[2] if param.global_pooling else param.kernel_size
    require(kernel > 0 and param.stride > 0, "kernel_size or stride is missing or 0")
    return ops.PoolingNdOp(
        site.bottom,
        site.top,
        kind,
        [kernel],
        stride=[1 if param.global_pooling else param.stride],
        pad=[0 if param.global_pooling else param.pad],
        ceil_mode=_rounds_up(param, tf),
    )


def spp(site: LayerSite) -> ops.LayerOp:
    param = site.param.spp_param
    if param.pool == SPPParameter.STOCHASTIC:
        raise UnsupportedSetting("stochastic pooling")
    kind = ops.PoolingKind.MAX if param.pool == SPPParameter.MAX else ops.PoolingKind.AVERAGE
    return ops.SPPOp(site.bottom, site.top, kind, param.pyramid_height)


def _rounds_up(param: PoolingParameter, tf: bool) -> bool:
    if tf and not (param.HasField("ceil_mode") or param.HasField("round_mode")):
        return False
    return param.ceil_mode and param.round_mode == PoolingParameter.CEIL


def _pads(param: PoolingParameter) -> tuple[int, ...]:
    """Top, bottom, left, right: from pad_t, pad_b, pad_l and pad_r, or the same on both sides."""
    single, both = (param.pad_t, param.pad_b, param.pad_l, param.pad_r), _pair(param, "pad")
    require(not (any(single) and any(both)), "has both pad and pad_l, pad_r, pad_t or pad_b")
    return single if any(single) else shapes.four_pads(both)


def _pads_of_mode(
    site: LayerSite, param: PoolingParameter, kernel: Shape, stride: Shape
) -> tuple[int, ...]:
    """VALID has none; with SAME there are as many windows as strides, the odd pixel of the padding
    behind the map, or (SAME_LOWER) before it."""
    require(not any(_pads(param)), "has both pads and a pad_mode")
    if param.pad_mode == PoolingParameter.VALID:
        return (0, 0, 0, 0)
    found: list[int] = []
    for size, k, step in zip(site.shape[2:], kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + k - size, 0)
        less, more = total // 2, total - total // 2
        found += [more, less] if param.pad_mode == PoolingParameter.SAME_LOWER else [less, more]
    return tuple(found)


def _pair(param: PoolingParameter, what: str) -> tuple[int, int]:
    """A pooling setting from its one field, or from its _h and _w fields."""
    both = "kernel_size" if what == "kernel" else what
    if param.HasField(f"{what}_h") or param.HasField(f"{what}_w"):
        return (getattr(param, f"{what}_h"), getattr(param, f"{what}_w"))
    return (getattr(param, both), getattr(param, both))
