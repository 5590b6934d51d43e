"""Host layers that pool the parts of a feature map which regions of interest cover."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.c_struct import BOOL, FLOAT, INT, CStruct, Values
from dialects.host.arrays import counted, rounded
from dialects.host.base import Array, HostLayer, HostOp
from dialects.ufw.layer import shape_of
from dialects.ufw.shapes import Shape, require, show

NOTHING = np.finfo(np.float32).min
"""What RoI pooling writes for a bin outside the feature map."""


class RegionOp(HostOp, ABC):
    """A layer that pools regions: its operands are a map and the regions."""

    @classmethod
    def check(cls, p: Values) -> None:
        require(p["pooled_h"] > 0 and p["pooled_w"] > 0,
                f"{p['pooled_h']}x{p['pooled_w']} bins, both must be positive")
        check_scale(p)

    def made_up(self, index: int, rng: np.random.Generator) -> Array | None:
        """Regions inside of the images; of five numbers the first is the image."""
        if index != 1:
            return None
        images, _, height, width = shape_of(self.operands[0])
        shape = shape_of(self.operands[1])
        ends = np.array([width, height]) / self.values["spatial_scale"]
        corners = np.sort(rng.random((shape[0], 2, 2)), axis=1) * ends
        numbers = [np.arange(shape[0])[:, None] % images] * (shape[1] - 4)
        found = np.concatenate([*numbers, corners.reshape(shape[0], 4)], axis=1)
        return found.astype(np.float32).reshape(shape)


def check_scale(p: Values) -> None:
    """Raises unless the scale of the regions is positive."""
    require(p["spatial_scale"] > 0,
            f"spatial_scale is {p['spatial_scale']:g}, it must be positive")


def check_maps(maps: Shape, rois: Shape, sizes: tuple[int, ...] = (5,)) -> None:
    """Raises unless the inputs are feature maps [N, C, H, W] and regions of 5 numbers."""
    require(len(maps) == 4, f"the feature map is {show(maps)}, four dimensions are required")
    require(len(rois) >= 2 and rois[1] in sizes and prod(rois[2:]) == 1,
            f"rois are {show(rois)}, Rx{' or Rx'.join(map(str, sizes))} is required")


def image_of(maps: Array, roi: Array) -> Array:
    """The feature map [C, H, W] of a region. Raises ValueError where the batch has no such."""
    if not 0 <= int(roi[0]) < len(maps):
        raise ValueError(f"a region of image {int(roi[0])}, the batch has {len(maps)}")
    return maps[int(roi[0])]


@irdl_op_definition
class RoiPoolingOp(RegionOp):
    """The maxima of the bins of regions (RoI pooling of Fast R-CNN).

    features [N, C, H, W], rois [R, 5, 1, 1] of image, left, top, right, bottom; the result is
    [R, C, pooled_h, pooled_w]. Corners are rounded after ``spatial_scale``, halves away from 0; a
    region has right - left + 1 columns, at least 1. Bin i reaches from floor(i * size) to
    ceil((i + 1) * size), clipped to the map; where nothing is left it is -3.4e38, the smallest
    float32 (Caffe writes 0).
    """

    name = "host.roi_pooling"
    LAYER: ClassVar = HostLayer(
        number=4,
        struct=CStruct(pooled_h=INT, pooled_w=INT, spatial_scale=FLOAT),
        inputs=("features", "rois"),
        rows={1: 0},
    )

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        maps, rois = inputs
        check_maps(maps, rois)
        require(len(rois) == 4, f"rois are {show(rois)}, Rx5x1x1 is required: the host library"
                " takes the step of a row from four dimensions")
        return [(rois[0], maps[1], p["pooled_h"], p["pooled_w"])]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        maps, rois = inputs
        pooled = (p["pooled_h"], p["pooled_w"])
        rois = rois.reshape(-1, 5)
        found = np.empty((len(rois), maps.shape[1], *pooled), np.float32)
        corners = rounded(rois[:, 1:] * np.float32(p["spatial_scale"])).astype(np.int64)
        for roi, (left, top, right, bottom), result in zip(rois, corners, found, strict=True):
            image = image_of(maps, roi)
            rows = bins(int(top), int(bottom), pooled[0], image.shape[1])
            columns = bins(int(left), int(right), pooled[1], image.shape[2])
            for i, (above, below) in enumerate(rows):
                # numpy's fmax as the library: a comparison with NaN is false
                line = np.fmax.reduce(image[:, above:below], axis=1, initial=NOTHING)
                for j, (start, end) in enumerate(columns):
                    result[:, i, j] = np.fmax.reduce(line[:, start:end], axis=1, initial=NOTHING)
        return [found]


def bins(low: int, high: int, count: int, limit: int) -> list[tuple[int, int]]:
    """Where the bins of a region begin and end along an axis, clipped to the map."""
    size = np.float32(max(high - low + 1, 1)) / np.float32(count)
    steps = np.arange(count + 1, dtype=np.float32) * size
    starts, ends = np.floor(steps[:-1]).astype(int) + low, np.ceil(steps[1:]).astype(int) + low
    clipped = np.clip(np.stack([starts, ends], axis=1), 0, limit)
    return [(int(a), int(b)) for a, b in clipped]


@irdl_op_definition
class RoiAlignMxnetOp(RegionOp):
    """The means of bilinear samples in the bins of regions (RoI align of MXNet).

    features [N, C, H, W], rois [R, 5] of image, left, top, right, bottom, or [R, 4] without the
    image; further dimensions of 1 may follow. The result is [R, C, pooled_h, pooled_w]. Corners
    are times ``spatial_scale``; a region is at least 1 wide and high. A bin has
    ``sampling_ratio`` samples on each side (0 or less: ceil of its size), each in the middle of
    its part. A sample further than 1 outside the map counts 0, a nearer one has the value at the
    border. ``position_sensitive``: bin (i, j) of channel c is read from channel
    c*pooled_h*pooled_w + i*pooled_w + j, so the result has C / (pooled_h*pooled_w) channels.
    """

    name = "host.roi_align_mxnet"
    LAYER: ClassVar = HostLayer(
        number=5,
        struct=CStruct(
            pooled_h=INT, pooled_w=INT, spatial_scale=FLOAT, sampling_ratio=INT,
            position_sensitive=INT,
        ),
        inputs=("features", "rois"),
        rows={1: 0},
    )  # fmt: skip

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        maps, rois = inputs
        check_maps(maps, rois, (4, 5))
        channels, count = maps[1], p["pooled_h"] * p["pooled_w"]
        if p["position_sensitive"]:
            require(channels % count == 0,
                    f"{channels} channels, position_sensitive requires {count} for each result's")
            channels //= count
        return [(rois[0], channels, p["pooled_h"], p["pooled_w"])]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        maps, rois = inputs
        (shape,) = cls.shapes(p, [maps.shape, rois.shape])
        found = np.empty(shape, np.float32)
        pooled = (p["pooled_h"], p["pooled_w"])
        for row, result in zip(rois.reshape(len(rois), -1), found, strict=True):
            roi = row if len(row) == 5 else np.concatenate([[np.float32(0)], row])
            image = image_of(maps, roi)
            left, top, right, bottom = roi[1:] * np.float32(p["spatial_scale"])
            weights = [
                mxnet_weights(low, high, count, p["sampling_ratio"], limit)
                for low, high, count, limit in zip(
                    (top, left), (bottom, right), pooled, image.shape[1:], strict=True
                )
            ]
            if p["position_sensitive"]:
                parts = image.reshape(-1, *pooled, *image.shape[1:])
                result[:] = np.einsum("ih,cijhw,jw->cij", weights[0], parts, weights[1])
            else:
                result[:] = weights[0] @ image @ weights[1].T
        return [found]


def mxnet_weights(
    low: np.float32, high: np.float32, count: int, ratio: int, limit: int
) -> Array:
    """What each row (or column) of the map is weighted with in each bin: [bins, limit]."""
    one = np.float32(1)
    size = max(high - low, one) / np.float32(count)
    samples = ratio if ratio > 0 else int(np.ceil(size))
    begins = low + np.arange(count, dtype=np.float32) * size
    steps = (np.arange(samples, dtype=np.float32) + np.float32(0.5)) * size / np.float32(samples)
    return mean_weights(begins[:, None] + steps, limit)


def mean_weights(places: Array, limit: int) -> Array:
    """The weights [bins, limit] of the mean of bilinear samples at places [bins, samples]."""
    inside = (places >= -1) & (places <= limit)
    at = np.clip(places, 0, limit - 1)
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, limit - 1)
    part = at.astype(np.float64) - below
    weights = np.zeros((len(places), limit))
    rows = np.broadcast_to(np.arange(len(places))[:, None], places.shape)
    np.add.at(weights, (rows, below), inside * (1 - part))
    np.add.at(weights, (rows, above), inside * part)
    return weights / places.shape[1]


@irdl_op_definition
class RoiAlignOp(RegionOp):
    """The means of bilinear samples in the bins of regions (RoI align of torchvision and ONNX).

    features [N, C, H, W], rois [R, 5] of image, left, top, right, bottom (further dimensions of 1
    may follow); the result is [R, C, pooled_h, pooled_w]. Corners are times ``spatial_scale``.
    ``aligned``: they are moved by -0.5, and a region may have any size above 0; otherwise it is
    at least 1 wide and high. A bin has ``sampling_ratio`` samples on each side (0 or less: ceil of
    its size), each in the middle of its part. A sample further than 1 outside the map counts 0, a
    nearer one has the value at the border. An aligned region without any samples is NaN.
    """

    name = "host.roi_align"
    LAYER: ClassVar = HostLayer(
        number=38,
        struct=CStruct(
            pooled_h=INT, pooled_w=INT, spatial_scale=FLOAT, sampling_ratio=INT, aligned=BOOL,
        ),
        inputs=("features", "rois"),
        rows={1: 0},
    )  # fmt: skip

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        maps, rois = inputs
        check_maps(maps, rois)
        return [(rois[0], maps[1], p["pooled_h"], p["pooled_w"])]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        maps, rois = inputs
        (shape,) = cls.shapes(p, [maps.shape, rois.shape])
        found = np.full(shape, np.nan, np.float32)
        offset = np.float32(0.5 if p["aligned"] else 0)
        for roi, result in zip(rois.reshape(-1, 5), found, strict=True):
            image = image_of(maps, roi)
            corners = roi[1:] * np.float32(p["spatial_scale"]) - offset
            places = [
                torch_places(p, corners[axis], corners[axis + 2], count)
                for axis, count in ((1, p["pooled_h"]), (0, p["pooled_w"]))
            ]
            if all(x.size for x in places):
                rows, columns = (mean_weights(x, limit)
                                 for x, limit in zip(places, image.shape[1:], strict=True))
                result[:] = rows @ image @ columns.T
        return [found]


def torch_places(p: Values, low: np.float32, high: np.float32, count: int) -> Array:
    """Where the samples [bins, samples] of a region lie along an axis, summed up as the layer."""
    size = high - low if p["aligned"] else max(high - low, np.float32(1))
    part = np.float32(1 / count)
    ratio = p["sampling_ratio"]
    samples = ratio if ratio > 0 else max(int(np.ceil(size * part)), 0)
    if not samples:
        return np.empty((count, 0), np.float32)
    step = size * part / np.float32(samples)
    places = np.full((count, samples), step, np.float32)
    begins = low + np.arange(count, dtype=np.float32) * (size * part)
    places[:, 0] = begins + np.float32(0.5) * step
    return np.add.accumulate(places, axis=1)


@irdl_op_definition
class PsRoiPoolingOp(RegionOp):
    """The means of samples in the bins of regions, each bin from a channel of its own (deformable
    PSRoI pooling of MXNet).

    features [N, output_dim * group_size^2, H, W], rois [R, 5] of image, left, top, right, bottom
    (further dimensions of 1 may follow), and unless ``no_trans`` trans [R, 2*K, part_size,
    part_size] with K classes, x before y. The result is [R, output_dim, pooled_size, pooled_size].
    A region reaches from round(left) * ``spatial_scale`` - 0.5 to (round(right) + 1) *
    ``spatial_scale`` - 0.5, at least 0.1. A bin is moved by trans * ``trans_std`` of the
    region's size, trans of its class and part. It has ``sample_per_part`` samples on each side,
    which begin at its corner; those further than 0.5 outside the map are left out, the others are
    bilinear. A bin without any is 0. Bin (i, j) of channel c is read from channel
    (c*group_size + floor(i*group_size/pooled_size))*group_size + floor(j*group_size/pooled_size).

    The host library computes all the rows that its result is declared with, also those of
    regions that a proposal layer before it has not found: give it regions that all exist.
    """

    name = "host.psroi_pooling"
    LAYER: ClassVar = HostLayer(
        number=48,
        struct=CStruct(
            spatial_scale=FLOAT, output_dim=INT, group_size=INT, pooled_size=INT, part_size=INT,
            sample_per_part=INT, trans_std=FLOAT, no_trans=BOOL,
        ),
        inputs=("features", "rois", "trans"),
        optional=1,
        rows={1: 0},
    )  # fmt: skip

    @classmethod
    def check(cls, p: Values) -> None:
        check_scale(p)
        for name in ("output_dim", "group_size", "pooled_size", "sample_per_part"):
            require(p[name] > 0, f"{name} is {p[name]}, it must be positive")
        require(p["no_trans"] or p["part_size"] > 0,
                f"part_size is {p['part_size']}, it must be positive")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        maps, rois, *others = inputs
        check_maps(maps, rois)
        channels, size = p["output_dim"] * p["group_size"] ** 2, p["pooled_size"]
        require(maps[1] == channels, f"{maps[1]} channels, {channels} are required")
        require(len(others) == (not p["no_trans"]),
                f"{len(inputs)} inputs, no_trans is {bool(p['no_trans'])}: it takes"
                f" {'2' if p['no_trans'] else '3, the last one is trans'}")
        for trans in others:
            part = p["part_size"]
            classes = trans[1] // 2 if len(trans) == 4 else 0
            require(trans == (rois[0], 2 * classes, part, part) and classes > 0
                    and p["output_dim"] % classes == 0,
                    f"trans is {show(trans)}, {rois[0]}x2Kx{part}x{part} is required, K divides"
                    f" {p['output_dim']}")
        return [(rois[0], p["output_dim"], size, size)]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        maps, rois, *others = inputs
        size = p["pooled_size"]
        rois = rois.reshape(-1, 5)
        found = np.empty((len(rois), p["output_dim"], size, size), np.float32)
        for n, (roi, result) in enumerate(zip(rois, found, strict=True)):
            image = image_of(maps, roi)
            result[:] = psroi_pooled(p, image, roi, others[0][n] if others else None)
        return [found]


def psroi_pooled(p: Values, image: Array, roi: Array, trans: Array | None) -> Array:
    """The bins [output_dim, pooled_size, pooled_size] of one region of an image [C, H, W]."""
    half, size, group = np.float32(0.5), p["pooled_size"], p["group_size"]
    places = np.arange(size, dtype=np.float32)
    move = np.zeros((2, p["output_dim"], size, size), np.float32)
    if trans is not None:
        part = np.floor(places / np.float32(size) * np.float32(p["part_size"])).astype(int)
        moves = trans.reshape(-1, 2, *trans.shape[1:])[:, :, part[:, None], part]
        each = p["output_dim"] // len(moves)
        move = np.repeat(moves, each, axis=0).swapaxes(0, 1) * np.float32(p["trans_std"])
    samples = np.arange(p["sample_per_part"], dtype=np.float32)
    low = rounded(roi[1:3]) * np.float32(p["spatial_scale"]) - half
    high = (rounded(roi[3:5]) + 1) * np.float32(p["spatial_scale"]) - half
    at: list[Array] = []
    inside = np.True_
    for axis, bins_at in ((1, places[:, None]), (0, places)):  # y, then x
        extent = max(high[axis] - low[axis], np.float32(0.1))
        step = extent / np.float32(size)
        start = bins_at * step + low[axis] + move[axis] * extent
        place = start[..., None] + samples * (step / np.float32(p["sample_per_part"]))
        place = place[..., :, None] if axis == 1 else place[..., None, :]
        limit = image.shape[1 if axis == 1 else 2]
        inside = inside & (place >= -0.5) & (place <= limit - 0.5)
        at.append(np.clip(place, 0, limit - 1))
    groups = np.minimum(np.floor(places * np.float32(group) / np.float32(size)).astype(int),
                        group - 1)
    own = counted(p["output_dim"])[:, None, None]
    channel = ((own * group + groups[:, None]) * group + groups)[..., None, None]
    y, x = np.broadcast_arrays(*at)
    above, left = np.floor(y).astype(int), np.floor(x).astype(int)
    below, right = np.ceil(y).astype(int), np.ceil(x).astype(int)
    down, along = y - above.astype(np.float32), x - left.astype(np.float32)
    values = ((1 - along) * (1 - down) * image[channel, above, left]
              + (1 - along) * down * image[channel, below, left]
              + along * (1 - down) * image[channel, above, right]
              + along * down * image[channel, below, right])
    count = np.broadcast_to(inside, values.shape).sum(axis=(-2, -1))
    total = np.where(inside, values, 0).sum(axis=(-2, -1))
    return np.where(count > 0, total / np.maximum(count, 1), 0)
