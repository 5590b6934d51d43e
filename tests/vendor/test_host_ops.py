"""Each host layer computes what the runtime's host library computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from dialects.host import ops as host
from dialects.host.base import DTYPES, HostOp
from dialects.ufw.layer import shape_of, tensor_type
from tests.dialects.host.host_layers import op_of
from tests.vendor.host_library import Case, run_layer
from tests.vendor.runtime import Array

P = Mapping[str, Any]


def compare(
    layer: type[HostOp], parameters: P, *inputs: Array, results: int = 1,
    declared: tuple[tuple[int, ...], ...] | None = None, tolerance: float = 1e-5,
) -> list[Array]:
    """The library's results, which ours must equal: shapes and integers exactly, floats within
    the tolerance, relative to the larger of 1 and the number. ``declared``: the inputs' shapes in
    the network, where the actual ones are smaller."""
    shapes = declared or tuple(x.shape for x in inputs)
    op = op_of(layer, parameters, shapes, results)
    types = [np.dtype(DTYPES[tensor_type(x).element_type]).str for x in op.results]
    inputs = tuple(np.ascontiguousarray(x) for x in inputs)
    case = Case(layer.LAYER.number, op.packed, inputs, [shape_of(x) for x in op.results], types)
    theirs = run_layer(case)
    with np.errstate(all="ignore"):
        ours = layer.compute(layer.LAYER.struct.unpack(op.packed), inputs, results)
    assert len(ours) == len(theirs) == results
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert all(x <= y for x, y in zip(b.shape, shape_of(op.results[0]), strict=True))
        if b.dtype.kind == "i":
            assert np.array_equal(a, b)
        else:
            same = (a == b) | (np.isnan(a) & np.isnan(b))
            error = np.where(same, 0, np.abs(a - b) / np.maximum(1, np.abs(b)))
            assert np.max(error, initial=0) <= tolerance, np.max(error)
    return theirs


def normal(seed: int, *shape: int) -> Array:
    """Random numbers, mostly between -2 and 2."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def uniform(seed: int, low: float, high: float, *shape: int) -> Array:
    """Random numbers between two."""
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


SEEDS = pytest.mark.parametrize("seed", range(6))

# -- regions ---------------------------------------------------------------------------------------

RPN: P = dict(
    feat_stride=16, min_size=16, pre_nms_topN=0, post_nms_topN=0, nms_thresh=0.7, score_thresh=0.0,
    base_size=16, scales_num=3, ratios_num=3, scales=(8, 16, 32, 0, 0),
    ratios=(0.5, 1.0, 2.0, 0.0, 0.0),
)


@SEEDS
@pytest.mark.parametrize("change", [
    {}, {"pre_nms_topN": 100, "post_nms_topN": 30}, {"post_nms_topN": 300, "nms_thresh": 1.0},
    {"score_thresh": 0.95}, {"score_thresh": 2.0}, {"min_size": 300}, {"nms_thresh": 0.0},
    {"base_size": 15, "ratios": (0.37, 1.4, 2.9, 0, 0), "scales": (2, 3, 5, 0, 0)},
    {"scales_num": 5, "scales": (1, 2, 4, 8, 16), "ratios_num": 5,
     "ratios": (0.25, 0.5, 1, 2, 4), "feat_stride": 8},
])
def test_proposal(change: P, seed: int) -> None:
    p = {**RPN, **change}
    count = p["scales_num"] * p["ratios_num"]
    height, width = 5 + seed, 9 - seed
    score = uniform(seed, 0, 1, 1, 2 * count, height, width)
    if seed % 2:
        score = np.round(score, 1)  # ties
    deltas = normal(seed + 9, 1, 4 * count, height, width) * np.float32(0.4)
    info = np.array([[height * 16 - 3, width * 16 - 5, 1.25]], np.float32)
    found = compare(host.ProposalOp, p, score, deltas, info, results=1 + seed % 2)
    assert (len(found[0]) > 0) == ((p["score_thresh"] < 2 and p["min_size"] < 300)
                                   or len(found[0]) > 0)


def boxes(seed: int, count: int, images: int, low: float, high: float) -> Array:
    """Regions [count, 5], some of them outside, reversed or a point."""
    random = np.random.default_rng(seed)
    corners = np.sort(random.uniform(low, high, (count, 2, 2)), axis=1).reshape(count, 4)
    corners[::7, 2:] = corners[::7, :2]
    corners[3::11] = corners[3::11, [2, 3, 0, 1]]
    corners[1::4] = np.round(corners[1::4]) + 0.5
    image = random.integers(0, images, count)
    return np.column_stack([image, corners]).astype(np.float32)


@SEEDS
@pytest.mark.parametrize("pooled", [(7, 7), (1, 3), (6, 2)])
def test_roi_pooling(pooled: tuple[int, int], seed: int) -> None:
    p = {"pooled_h": pooled[0], "pooled_w": pooled[1], "spatial_scale": (0.25, 1.0, 0.0625)[seed % 3]}
    size = (12 if seed % 3 == 0 else 40) / p["spatial_scale"]
    rois = boxes(seed, 20, 2, -0.3 * size, 1.2 * size).reshape(20, 5, 1, 1)
    maps = normal(seed, 2, 5, 11, 14)
    found = compare(host.RoiPoolingOp, p, maps, rois)
    assert (found[0] == np.finfo(np.float32).min).any()


def test_roi_pooling_of_the_regions_that_there_are() -> None:
    p = {"pooled_h": 2, "pooled_w": 2, "spatial_scale": 0.5}
    rois, maps = boxes(1, 3, 1, 0, 20).reshape(3, 5, 1, 1), normal(1, 1, 4, 10, 10)
    (found,) = compare(host.RoiPoolingOp, p, maps, rois, declared=((1, 4, 10, 10), (8, 5, 1, 1)))
    assert found.shape == (3, 4, 2, 2)
    none = np.empty((0, 5, 1, 1), np.float32)
    (found,) = compare(host.RoiPoolingOp, p, maps, none, declared=((1, 4, 10, 10), (8, 5, 1, 1)))
    assert found.shape == (0, 4, 2, 2)


@SEEDS
@pytest.mark.parametrize(("ratio", "sensitive"), [(2, 0), (0, 0), (-1, 0), (3, 1), (0, 1)])
def test_roi_align_mxnet(ratio: int, sensitive: int, seed: int) -> None:
    p = {"pooled_h": 3, "pooled_w": 2, "spatial_scale": (0.25, 0.07)[seed % 2],
         "sampling_ratio": ratio, "position_sensitive": sensitive}
    rois = boxes(seed, 20, 2, -10, 70)
    if seed % 3 == 1:
        rois = rois[:, 1:]
    elif seed % 3 == 2:
        rois = rois.reshape(20, 5, 1, 1)
    compare(host.RoiAlignMxnetOp, p, normal(seed, 2, 12, 11, 14), rois)


@SEEDS
@pytest.mark.parametrize(("ratio", "aligned"), [(2, 0), (0, 0), (2, 1), (0, 1), (-1, 1), (3, 1)])
def test_roi_align(ratio: int, aligned: int, seed: int) -> None:
    p = {"pooled_h": 3, "pooled_w": 5, "spatial_scale": (0.25, 0.07)[seed % 2],
         "sampling_ratio": ratio, "aligned": bool(aligned)}
    rois = boxes(seed, 20, 2, -10, 70)
    if aligned and ratio <= 0:  # reversed regions end the library's process
        rois[:, 1:] = np.sort(rois[:, 1:].reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    if seed % 2:
        rois = rois.reshape(20, 5, 1, 1)
    compare(host.RoiAlignOp, p, normal(seed, 2, 6, 11, 14), rois)


@SEEDS
@pytest.mark.parametrize("change", [
    {}, {"group_size": 2}, {"pooled_size": 3, "sample_per_part": 1}, {"spatial_scale": 0.25},
    {"no_trans": False}, {"no_trans": False, "part_size": 2, "group_size": 5, "trans_std": 0.4},
])
def test_psroi_pooling(change: P, seed: int) -> None:
    p = {"spatial_scale": 0.0625, "output_dim": 6, "group_size": 7, "pooled_size": 7,
         "part_size": 7, "sample_per_part": 4, "trans_std": 0.1, "no_trans": True, **change}
    rois = boxes(seed, 15, 2, -40, 260)
    maps = normal(seed, 2, p["output_dim"] * p["group_size"] ** 2, 11, 14)
    trans = normal(seed + 1, 15, 2 * (1, 3, 6)[seed % 3], p["part_size"], p["part_size"])
    compare(host.PsRoiPoolingOp, p, maps, rois, *[] if p["no_trans"] else [trans])


# -- YOLO ------------------------------------------------------------------------------------------


@SEEDS
def test_yolo_activation(seed: int) -> None:
    p = {"classes": seed * 3, "num": 1 + seed % 3}
    x = normal(seed, 1 + seed % 2, p["num"] * (5 + p["classes"]), 3, 5) * np.float32(4)
    compare(host.YoloActivationOp, p, x)


ANCHORS = (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326)


@SEEDS
@pytest.mark.parametrize("change", [
    {}, {"num_inputs": 1}, {"num_inputs": 2, "anchors_scale": (31.7, 16.0, 0.0)},
    {"confidence_threshold": 0.0}, {"confidence_threshold": 0.999}, {"confidence_threshold": 0.01},
    {"nms_threshold": 1.0, "confidence_threshold": 0.02}, {"nms_threshold": 0.0},
    {"confidence_threshold": -0.5, "num_classes": 1},
    {"num_boxes": 2, "mask_group_size": 2, "mask": (5, 4, 1, 0, 8, 7, 0, 0, 0)},
])
def test_yolov3(change: P, seed: int) -> None:
    p = {"num_inputs": 3, "num_classes": 4, "num_boxes": 3, "confidence_threshold": 0.5,
         "nms_threshold": 0.45, "mask_group_size": 3, "biases": ANCHORS,
         "anchors_scale": (32.0, 16.0, 8.0), "mask": (6, 7, 8, 3, 4, 5, 0, 1, 2), **change}
    batch, channels = 1 + seed % 3, p["num_boxes"] * (5 + p["num_classes"])
    heads = [normal(seed + 7 * t, batch, channels, (3 + seed % 2) << t, 3 << t)
             for t in range(p["num_inputs"])]
    if seed % 2:
        heads = [np.round(x * 2) / np.float32(2) for x in heads]  # ties
    (found,) = compare(host.YoloV3DetectionOutputOp, p, *heads)
    assert (found[0, 0, 0, 1] == -1) == (p["confidence_threshold"] > 0.99)
