"""Imports the layers that cut, pad, repeat, resize and unpool."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

from xdsl.ir import SSAValue

from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.ufw_pb2 import (
    InterpParameter,
    PadParameter,
    ResizeLayerParameter,
    UnpoolingParameter,
    UpsampleParameter,
)
from dialects.ufw import ops
from dialects.ufw.layer import shape_of
from dialects.ufw.shapes import require, show

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


def maps_of(site: LayerSite) -> Pair:
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
    maps = [size - begin - end for size in maps_of(site)]
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
    if param.exact_zoom:
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
        rows, columns = (floor(s * by) for s, by in zip(maps_of(site), scales, strict=True))
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
    maps, size = maps_of(site), upsampled_size(site)
    if len(site.bottoms) == 2:
        return unpooled(site, size)
    require(
        all(out >= 1 for out in size), f"cannot upsample {show(maps)} to {show(size)}"
    )
    return ops.ResizeOp(site.bottom, site.top, size, ops.ResizeMode.NEAREST, ASYMMETRIC)


def _scale(param: UpsampleParameter) -> Pair:
    both = param.scale or param.stride or 2
    return (param.scale_h or both, param.scale_w or both)


def upsampled_size(site: LayerSite) -> Pair:
    """Height and width of an Upsample: as they are said, or scaled; SegNet's pad_out_h and
    pad_out_w take one off."""
    param = site.param.upsample_param
    if param.upsample_h or param.upsample_w:
        require(bool(param.upsample_h and param.upsample_w), "has one of upsample_h and upsample_w")
        return param.upsample_h, param.upsample_w
    if param.height or param.width:
        require(bool(param.height and param.width), "has one of height and width")
        return param.height, param.width
    given = (param.scale, param.stride, param.scale_h, param.scale_w)
    require(any(given) or len(site.bottoms) == 2, "has no scale and no size")
    (rows, columns), (h, w) = maps_of(site), _scale(param)
    return rows * h - param.pad_out_h, columns * w - param.pad_out_w


# -- unpooled --------------------------------------------------------------------------------------


def unpooling(site: LayerSite) -> ops.LayerOp:
    """The numbers of pooled maps where their maxima stood; the result has the size of what was
    pooled."""
    param = site.param.unpooling_param
    if param.unpool != UnpoolingParameter.MAX:
        raise UnsupportedSetting("unpool other than MAX, which spreads numbers over windows,")
    size = (param.unpool_h or param.unpool_size, param.unpool_w or param.unpool_size)
    return unpooled(site, size if all(size) else None)


def unpooled(site: LayerSite, size: Pair | None) -> ops.LayerOp:
    """By a mask, whose windows are those of the Pooling that made it. Without a size it is that of
    its input."""
    pool = _pooling_of(site.bottoms[1])
    if pool is None:
        raise UnsupportedSetting("a mask that is not the second top of a Pooling")
    rows, columns = shape_of(pool.bottom)[2:]
    size = size or (rows, columns)
    if size != (rows, columns):
        raise UnsupportedSetting(
            f"a result of {show(size)} where the mask's Pooling has an input of {rows}x{columns}"
        )
    return ops.UnpoolOp(
        site.bottoms[0], site.bottoms[1], site.top, size,
        kernel=pool.kernel.get_values(), stride=pool.stride.get_values(),
        pad=pool.pad.get_values(),
    )  # fmt: skip


def _pooling_of(mask: SSAValue) -> ops.MaxPoolMaskOp | None:
    """The layer that made a mask, through copies of it."""
    owner = mask.owner
    while isinstance(owner, ops.SplitOp):
        mask, owner = owner.bottom, owner.bottom.owner
    if isinstance(owner, ops.MaxPoolMaskOp) and mask is owner.mask:
        return owner
    return None
