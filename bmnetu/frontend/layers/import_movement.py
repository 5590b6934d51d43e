"""Imports the layers that only move or rename data."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.layers.import_rearrange import shuffled
from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.prototxt.rewrite.dense_block import MOST_TRANSITIONS
from dialects.ufw import ops
from dialects.ufw.shapes import Shape, require, show


def concat(site: LayerSite) -> ops.LayerOp:
    param = site.param.concat_param
    axis = param.concat_dim if param.HasField("concat_dim") else param.axis
    return ops.ConcatOp(site.bottoms, site.top, site.axis(axis))


def slices(site: LayerSite) -> ops.LayerOp:
    """Cuts at the slice points, or into equal pieces without them."""
    param = site.param.slice_param
    axis = site.axis(param.slice_dim if param.HasField("slice_dim") else param.axis)
    size, pieces = site.shape[axis], len(site.tops)
    points = list(param.slice_point)
    if points:
        require(
            len(points) == pieces - 1,
            f"{len(points)} slice_point(s) for {pieces} tops; {pieces - 1} are required",
        )
    else:
        require(size % pieces == 0, f"{pieces} tops do not divide {size} along axis {axis}")
        points = [i * size // pieces for i in range(1, pieces)]
    sizes = [after - before for before, after in pairwise([0, *points, size])]
    return ops.SliceOp(site.bottom, site.tops, sizes, axis)


def split(site: LayerSite) -> ops.LayerOp:
    return ops.SplitOp(site.bottom, site.tops)


def silence(site: LayerSite) -> ops.LayerOp:
    return ops.SilenceOp(site.bottoms)


def dropout(site: LayerSite) -> ops.LayerOp:
    return ops.DropoutOp(site.bottom, site.top)


def flatten(site: LayerSite) -> ops.LayerOp:
    param = site.param.flatten_param
    axis, end_axis = site.axis(param.axis), site.axis(param.end_axis)
    return ops.FlattenOp(site.bottom, site.top, axis=axis, end_axis=end_axis)


def permute(site: LayerSite) -> ops.LayerOp:
    """The axes named first; those not named follow in their order."""
    order = list(site.param.permute_param.order)
    order += [axis for axis in range(site.rank) if axis not in order]
    return ops.PermuteOp(site.bottom, site.top, order)


def reshape(site: LayerSite) -> ops.LayerOp:
    param = site.param.reshape_param
    if param.pixelshuffler:
        return shuffled(site, param.pixelshuffler)
    start = param.axis if param.axis >= 0 else site.rank + param.axis + 1
    end = site.rank if param.num_axes == -1 else start + param.num_axes
    if param.HasField("channels"):
        require(site.rank == 4, f"the map of a head has four axes, this one is {show(site.shape)}")
        require(
            site.channels == param.channels,
            f"the map of a head has {site.channels} channels, its settings require"
            f" {param.channels}: the coordinates, 1 and the classes, for each box of a cell",
        )
    require(
        0 <= start <= end <= site.rank,
        f"axis {param.axis} and num_axes {param.num_axes} are outside {site.rank} dimensions",
    )
    middle = _resolved(site.shape, start, end, list(param.shape.dim))
    shape = (*site.shape[:start], *middle, *site.shape[end:])
    return ops.ReshapeOp(site.bottom, site.top, shape)


def _resolved(bottom: Shape, start: int, end: int, dims: list[int]) -> Shape:
    """Caffe's rule: 0 copies the bottom's dimension, one -1 is what remains."""
    for i, dim in enumerate(dims):
        require(dim >= -1, f"dimension {dim} of the new shape is below -1")
        require(
            dim != 0 or start + i < len(bottom),
            f"dimension {i} of the new shape copies one that the input does not have",
        )
    found = [bottom[start + i] if dim == 0 else dim for i, dim in enumerate(dims)]
    if -1 not in found:
        return tuple(found)
    known, total = -prod(found), prod(bottom[start:end])
    if found.count(-1) > 1 or known <= 0 or total % known:
        raise VerifyException(f"a tensor of {show(bottom)} cannot be reshaped to {dims}")
    return tuple(total // known if dim == -1 else dim for dim in found)


def dense_block(site: LayerSite) -> ops.LayerOp:
    """Only a block that was not replaced by its layers comes here."""
    count = site.param.denseblock_param.numTransition
    raise UnsupportedSetting(f"numTransition {count}, which is not 1 to {MOST_TRANSITIONS},")


def crelu(site: LayerSite) -> ops.LayerOp:
    """Only a layer that was not replaced, for its bottoms or tops, comes here."""
    raise UnsupportedSetting("a CReLU that has not one bottom and one top")
