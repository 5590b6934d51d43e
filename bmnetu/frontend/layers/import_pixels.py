"""Imports the layers that cut, pad, repeat, resize and rearrange."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, prod

from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.layers.import_compute import window_of
from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.ufw_pb2 import (
    InterpParameter,
    PadParameter,
    PixelShuffleParameter,
    ResizeLayerParameter,
    UpsampleParameter,
)
from dialects.ufw import ops
from dialects.ufw.layer import shape_of
from dialects.ufw.shapes import Shape, require, show

Pair = tuple[int, int]
ALIGN_CORNERS, HALF_PIXEL = ops.Positions.ALIGN_CORNERS, ops.Positions.HALF_PIXEL
ASYMMETRIC = ops.Positions.ASYMMETRIC


# -- cut and padded --------------------------------------------------------------------------------


def _cut(site: LayerSite, begin: Sequence[int], extent: Sequence[int]) -> ops.LayerOp:
    return ops.StridedSliceOp(site.bottoms, site.top, begin, extent)


def crop(site: LayerSite) -> ops.LayerOp:
    """Caffe's: the axes from ``axis`` on have the second bottom's size; an offset for all, or one
    an axis."""
    param, like = site.param.crop_param, shape_of(site.bottoms[1])
    axis, offsets = site.axis(param.axis), list(param.offset)
    count = site.rank - axis
    require(len(like) == site.rank, f"cannot crop {show(site.shape)} to {show(like)}")
    require(
        len(offsets) in (0, 1, count),
        f"{len(offsets)} offsets for {count} axes; 1 or {count} are required",
    )
    offsets = (offsets or [0]) * (count if len(offsets) < 2 else 1)
    return _cut(site, [0] * axis + offsets, [*site.shape[:axis], *like[axis:]])


def slice_like(site: LayerSite) -> ops.LayerOp:
    like = shape_of(site.bottoms[1])
    axes = [site.axis(axis) for axis in site.param.slice_like_param.axis]
    require(
        all(axis < len(like) for axis in axes) and (bool(axes) or len(like) == site.rank),
        f"cannot slice {show(site.shape)} like {show(like)}",
    )
    axes = axes or list(range(site.rank))
    extent = [like[axis] if axis in axes else size for axis, size in enumerate(site.shape)]
    return _cut(site, [0] * site.rank, extent)


def crop_center(site: LayerSite) -> ops.LayerOp:
    """So many elements off both sides of each axis."""
    sizes = list(site.param.crop_center_param.crop_size)
    require(len(sizes) == site.rank, f"{len(sizes)} crop_size(s) for {site.rank} axes")
    extent = [size - 2 * cut for size, cut in zip(site.shape, sizes, strict=True)]
    return _cut(site, sizes, extent)


def stride_slice(site: LayerSite) -> ops.LayerOp:
    """Python's slices: negative numbers count from the end, and what lies outside is cut off."""
    param = site.param.stride_slice_param
    count = max(len(param.begin), len(param.end), len(param.stride))
    axes = [site.axis(axis) for axis in param.axis] or list(range(count))
    require(count <= len(axes) <= site.rank, f"{count} slices for {site.rank} axes")
    begin, extent, step = [0] * site.rank, list(site.shape), [1] * site.rank
    shrunk: list[int] = []
    for i, axis in enumerate(axes):
        first, end, by = (
            values[i] if i < len(values) and not mask >> i & 1 else None
            for values, mask in (
                (param.begin, param.begin_mask), (param.end, param.end_mask), (param.stride, 0)
            )
        )  # fmt: skip
        if param.shrink_axis_mask >> i & 1:
            first, end, by = first or 0, None, 1
            shrunk.append(axis)
        require(by != 0, "a stride is 0")
        span = range(site.shape[axis])[first:end:by]
        require(len(span) > 0, f"the slice of axis {axis} is empty")
        begin[axis], step[axis] = span.start, span.step
        extent[axis] = 1 if axis in shrunk else len(span)
    return ops.StridedSliceOp(site.bottoms, site.top, begin, extent, step, shrunk)


def reverse(site: LayerSite) -> ops.LayerOp:
    axis = site.axis(site.param.reverse_param.axis)
    begin, step = [0] * site.rank, [1] * site.rank
    begin[axis], step[axis] = site.shape[axis] - 1, -1
    return ops.StridedSliceOp(site.bottoms, site.top, begin, site.shape, step)


_PAD_MODES = {
    PadParameter.CONSTANT: ops.PadMode.CONSTANT,
    PadParameter.REFLECT: ops.PadMode.REFLECT,
    PadParameter.EDGE: ops.PadMode.EDGE,
    PadParameter.SYMMETRIC: ops.PadMode.SYMMETRIC,
}


def pad(site: LayerSite) -> ops.LayerOp:
    """``pad``: before and after each of the last axes; or pad_t, pad_b, pad_l, pad_r."""
    param = site.param.pad_param
    sides = (param.pad_t, param.pad_b, param.pad_l, param.pad_r)
    require(not (param.pad and any(sides)), "has both pad and pad_l, pad_r, pad_t or pad_b")
    return padded(site, list(param.pad) or list(sides), _PAD_MODES[param.mode], param.value)


def padding(site: LayerSite) -> ops.LayerOp:
    """DeepLab's: all sides of the map alike, negative ones cut off."""
    param = site.param.padding_param
    return padded(site, [param.pad_beg, param.pad_end] * 2, ops.PadMode.CONSTANT, 0.0)


def padded(
    site: LayerSite, pads: Sequence[int], mode: ops.PadMode, value: float
) -> ops.LayerOp:
    """Pads before and after each of the last axes."""
    count = len(pads) // 2
    require(
        len(pads) == 2 * count <= 2 * site.rank,
        f"{len(pads)} pads for {site.rank} axes; two an axis are required",
    )
    before, after = ([0] * (site.rank - count) + list(pads[i::2]) for i in (0, 1))
    return ops.PadOp(site.bottom, site.top, before, after, mode, value)


# -- repeated and resized --------------------------------------------------------------------------


def tile(site: LayerSite) -> ops.LayerOp:
    param = site.param.tile_param
    return ops.TileOp(site.bottom, site.top, site.axis(param.axis), param.tiles)


def _maps(site: LayerSite) -> Pair:
    """Height and width of the first bottom."""
    require(site.rank == 4, f"requires an N x C x H x W tensor, has {show(site.shape)}")
    return site.shape[2], site.shape[3]


def interp(site: LayerSite) -> ops.LayerOp:
    """Linear, with the corners kept. zoom_factor makes ``size + (size - 1) (zoom - 1)`` of a size
    (DeepLab); with ``exact_zoom`` (Intel) ``size * zoom``. shrink_factor comes first."""
    param = site.param.interp_param
    begin, end = -param.pad_beg, -param.pad_end
    if min(begin, end) < 0:
        raise UnsupportedSetting("a positive pad_beg or pad_end; only negative ones, which crop,")
    maps = [size - begin - end for size in _maps(site)]
    require(min(maps) > 0, f"pad_beg and pad_end leave nothing of {show(site.shape)}")
    size = _interp_size(site, param, maps)
    return ops.ResizeOp(
        site.bottom, site.top, size, ops.ResizeMode.LINEAR, ALIGN_CORNERS, [begin, end] * 2
    )


def _interp_size(site: LayerSite, param: InterpParameter, maps: Sequence[int]) -> Sequence[int]:
    if param.height or param.width:
        return param.height, param.width
    shrink, zoom = param.shrink_factor, param.zoom_factor
    require(shrink >= 1 and zoom >= 1, "shrink_factor and zoom_factor must be at least 1")
    small = [(size - 1) // shrink + 1 for size in maps]
    if site.exact_zoom:
        return [size * zoom for size in small]
    return [size + (size - 1) * (zoom - 1) for size in small]


def resize_bilinear(site: LayerSite) -> ops.LayerOp:
    return _resize(site, site.param.resize_bilinear_param, ops.ResizeMode.LINEAR)


def resize_nearest(site: LayerSite) -> ops.LayerOp:
    return _resize(site, site.param.resize_nearest_neighbor_param, ops.ResizeMode.NEAREST)


def _resize(site: LayerSite, param: ResizeLayerParameter, mode: ops.ResizeMode) -> ops.LayerOp:
    if param.data_format.upper() != "NCHW":
        raise UnsupportedSetting(
            f"data_format {param.data_format}: the tensors are N x C x H x W, and a resize of other"
            " axes"
        )
    require(
        not (param.align_corners and param.half_pixel_centers),
        "has both align_corners and half_pixel_centers",
    )
    positions = ALIGN_CORNERS if param.align_corners else ASYMMETRIC
    positions = HALF_PIXEL if param.half_pixel_centers else positions
    size = (param.output_height, param.output_width)
    if not any(size):
        scales = (param.scale_height, param.scale_width)
        require(min(scales) > 0, "requires output_height and output_width, or the scales")
        rows, columns = (floor(s * by) for s, by in zip(_maps(site), scales, strict=True))
        size = (rows, columns)
    return ops.ResizeOp(site.bottom, site.top, size, mode, positions)


def upsample(site: LayerSite) -> ops.LayerOp:
    """Pixels repeated; with a max-pool's mask as second bottom each is put where it came from."""
    param = site.param.upsample_param
    if param.mode == UpsampleParameter.BILINEAR:
        raise UnsupportedSetting(
            "mode BILINEAR, which does not say where its samples lie (write Interp or"
            " ResizeBilinear),"
        )
    maps, size = _maps(site), upsampled_size(site)
    if len(site.bottoms) == 2:
        return ops.UnpoolOp(site.bottoms[0], site.bottoms[1], site.top, size, _scale(param))
    require(
        all(out >= 1 for out in size), f"cannot upsample {show(maps)} to {show(size)}"
    )
    return ops.ResizeOp(site.bottom, site.top, size, ops.ResizeMode.NEAREST, ASYMMETRIC)


def _scale(param: UpsampleParameter) -> Pair:
    both = param.scale or param.stride or 2
    return (param.scale_h or both, param.scale_w or both)


def upsampled_size(site: LayerSite) -> Pair:
    """Height and width of an Upsample: as they are said, or scaled; SegNet's pad_out_h and pad_out_w
    take one off."""
    param = site.param.upsample_param
    if param.upsample_h or param.upsample_w:
        require(bool(param.upsample_h and param.upsample_w), "has one of upsample_h and upsample_w")
        return param.upsample_h, param.upsample_w
    if param.height or param.width:
        require(bool(param.height and param.width), "has one of height and width")
        return param.height, param.width
    given = (param.scale, param.stride, param.scale_h, param.scale_w)
    require(any(given) or len(site.bottoms) == 2, "has no scale and no size")
    (rows, columns), (h, w) = _maps(site), _scale(param)
    return rows * h - param.pad_out_h, columns * w - param.pad_out_w


# -- rearranged ------------------------------------------------------------------------------------


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
    (height, width), n, channels = _maps(site), site.shape[0], site.channels
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
    (height, width), n, channels = _maps(site), site.shape[0], site.channels
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
    (height, width), n, channels = _maps(site), site.shape[0], site.channels
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
    (height, width), (bh, bw) = _maps(site), _blocks(param.block_shape)
    if any(param.crops) or any(param.paddings):
        raise UnsupportedSetting("crops; write a Crop behind it. Such a BatchToSpace")
    batch, channels = site.shape[0], site.channels
    require(batch % (bh * bw) == 0, f"{batch} images do not make {bh} x {bw} pixels")
    split = (bh, bw, batch // (bh * bw), channels, height, width)
    shape = (batch // (bh * bw), channels, height * bh, width * bw)
    return _rearranged(site, split, (2, 3, 4, 0, 5, 1), shape)


def space_to_batch(site: LayerSite) -> ops.LayerOp:
    param = site.param.space_to_batch_param
    (height, width), (bh, bw) = _maps(site), _blocks(param.block_shape)
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
    assert prod(shape) == prod(site.shape)
    return ops.ReshapeOp(site.bottom, site.top, shape)
