"""Imports the layers that put elements into another order or shape."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.layers.import_compute import window_of
from bmnetu.frontend.layers.import_pixels import maps_of
from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.ufw_pb2 import PixelShuffleParameter
from dialects.ufw import ops
from dialects.ufw.shapes import Shape, require, show

Pair = tuple[int, int]


def _rearranged(
    site: LayerSite, split: Sequence[int], order: Sequence[int], shape: Shape
) -> ops.LayerOp:
    return ops.RearrangeOp(site.bottom, site.top, split, order, shape)


def shuffle_channel(site: LayerSite) -> ops.LayerOp:
    n, channels, *rest = site.shape[0], site.channels, *site.shape[2:]
    group = site.param.shuffle_channel_param.group
    require(
        group > 0 and channels % group == 0, f"group {group} does not divide {channels} channels"
    )
    split = (n, group, channels // group, *rest)
    return _rearranged(site, split, (0, 2, 1, *range(3, len(split))), site.shape)


def _block(param: PixelShuffleParameter) -> int:
    require(
        not (param.upscale_factor and param.block_size), "has both upscale_factor and block_size"
    )
    block = param.upscale_factor or param.block_size
    require(block > 0, "has no upscale_factor or block_size")
    return block


def _to_space(site: LayerSite, block: int, in_columns: bool) -> ops.LayerOp:
    """Channels become pixels; ``in_columns``: of a result channel all its phases are together."""
    (height, width), n, channels = maps_of(site), site.shape[0], site.channels
    require(
        channels % (block * block) == 0,
        f"{channels} channels do not make {block} x {block} pixels",
    )
    left = channels // (block * block)
    shape = (n, left, height * block, width * block)
    if in_columns:
        split, order = (n, left, block, block, height, width), (0, 1, 4, 2, 5, 3)
    else:
        split, order = (n, block, block, left, height, width), (0, 3, 4, 1, 5, 2)
    return _rearranged(site, split, order, shape)


def _to_depth(site: LayerSite, block: int, in_columns: bool) -> ops.LayerOp:
    """Pixels become channels."""
    (height, width), n, channels = maps_of(site), site.shape[0], site.channels
    require(
        height % block == 0 and width % block == 0,
        f"{height} x {width} pixels cannot be cut into blocks of {block}",
    )
    split = (n, channels, height // block, block, width // block, block)
    order = (0, 1, 3, 5, 2, 4) if in_columns else (0, 3, 5, 1, 2, 4)
    shape = (n, channels * block * block, height // block, width // block)
    return _rearranged(site, split, order, shape)


def pixel_shuffle(site: LayerSite) -> ops.LayerOp:
    """By default PyTorch's order, CRD."""
    given = site.param.HasField("pixelshuffle_param")
    param = site.param.pixelshuffle_param if given else site.param.pixel_shuffle_param
    return _to_space(site, _block(param), param.mode == PixelShuffleParameter.CRD)


def depth_to_space(site: LayerSite) -> ops.LayerOp:
    """By default TensorFlow's order, DCR."""
    given = site.param.HasField("depth2space_param")
    param = site.param.depth2space_param if given else site.param.depth_to_space_param
    return _to_space(site, _block(param), _is_crd(param))


def space_to_depth(site: LayerSite) -> ops.LayerOp:
    given = site.param.HasField("space2depth_param")
    param = site.param.space2depth_param if given else site.param.space_to_depth_param
    return _to_depth(site, _block(param), _is_crd(param))


def _is_crd(param: PixelShuffleParameter) -> bool:
    return param.HasField("mode") and param.mode == PixelShuffleParameter.CRD


def shuffled(site: LayerSite, factor: int) -> ops.LayerOp:
    """Reshape's ``pixelshuffler``: PyTorch's order."""
    return _to_space(site, factor, True)


def reorg(site: LayerSite) -> ops.LayerOp:
    """YOLO's: the elements as [N, C / s^2, H s, W s], of which pixels become channels. With
    ``reverse`` channels become pixels."""
    param = site.param.reorg_param
    (height, width), n, channels = maps_of(site), site.shape[0], site.channels
    stride = param.stride
    require(stride > 0, "stride is missing or 0")
    if param.reverse:
        return _to_space(site, stride, False)
    require(
        height % stride == 0 and width % stride == 0 and channels % stride**2 == 0,
        f"stride {stride} does not divide {show(site.shape)}",
    )
    split = (n, channels // stride**2, height, stride, width, stride)
    shape = (n, channels * stride**2, height // stride, width // stride)
    return _rearranged(site, split, (0, 3, 5, 1, 2, 4), shape)


def _blocks(values: Sequence[int]) -> Pair:
    require(len(values) in (1, 2) and min(values) > 0, "block_shape requires 1 or 2 numbers")
    return values[0], values[-1]


def batch_to_space(site: LayerSite) -> ops.LayerOp:
    param = site.param.batch_to_space_param
    (height, width), (bh, bw) = maps_of(site), _blocks(param.block_shape)
    if any(param.crops) or any(param.paddings):
        raise UnsupportedSetting("crops; write a Crop behind it. Such a BatchToSpace")
    batch, channels = site.shape[0], site.channels
    require(batch % (bh * bw) == 0, f"{batch} images do not make {bh} x {bw} pixels")
    split = (bh, bw, batch // (bh * bw), channels, height, width)
    shape = (batch // (bh * bw), channels, height * bh, width * bw)
    return _rearranged(site, split, (2, 3, 4, 0, 5, 1), shape)


def space_to_batch(site: LayerSite) -> ops.LayerOp:
    param = site.param.space_to_batch_param
    (height, width), (bh, bw) = maps_of(site), _blocks(param.block_shape)
    if any(param.crops) or any(param.paddings):
        raise UnsupportedSetting("paddings; write a Pad in front of it. Such a SpaceToBatch")
    require(
        height % bh == 0 and width % bw == 0,
        f"{height} x {width} pixels cannot be cut into blocks of {bh} x {bw}",
    )
    batch, channels = site.shape[0], site.channels
    split = (batch, channels, height // bh, bh, width // bw, bw)
    shape = (batch * bh * bw, channels, height // bh, width // bw)
    return _rearranged(site, split, (3, 5, 0, 1, 2, 4), shape)


def im2col(site: LayerSite) -> ops.LayerOp:
    window = window_of(site)
    return ops.Im2colOp(
        site.bottom, site.top, window.kernel,
        stride=window.stride, pad=window.pad, dilation=window.dilation,
    )  # fmt: skip


# -- other shapes ----------------------------------------------------------------------------------


def transpose(site: LayerSite) -> ops.LayerOp:
    """``dim`` of descendants, or UFW's ``order`` of 8 entries, filled up with zeros."""
    param = site.param.transpose_param
    require(not (param.dim and param.order), "has both dim and order")
    order = list(param.dim or param.order)
    if len(order) > site.rank and not any(order[site.rank :]):
        order = order[: site.rank]
    return ops.PermuteOp(site.bottom, site.top, [site.axis(axis) for axis in order])


def squeeze(site: LayerSite) -> ops.LayerOp:
    """The named axes of extent 1 left out, or all of them."""
    axes = {site.axis(axis) for axis in site.param.squeeze_param.axis}
    for axis in axes:
        require(site.shape[axis] == 1, f"axis {axis} of {show(site.shape)} is not 1")
    axes = axes or {axis for axis, size in enumerate(site.shape) if size == 1}
    kept = [size for axis, size in enumerate(site.shape) if axis not in axes]
    return ops.ReshapeOp(site.bottom, site.top, kept or [1])


def expand_dims(site: LayerSite) -> ops.LayerOp:
    """Axes of extent 1 at these places of the result."""
    given = list(site.param.expand_dims_param.axis)
    rank = site.rank + len(given)
    axes = {axis + rank if axis < 0 else axis for axis in given}
    if len(axes) != len(given) or any(not 0 <= axis < rank for axis in axes):
        raise VerifyException(f"axes {given} are not those of a tensor of {rank} dimensions")
    rest = iter(site.shape)
    shape = [1 if axis in axes else next(rest) for axis in range(rank)]
    return ops.ReshapeOp(site.bottom, site.top, shape)
