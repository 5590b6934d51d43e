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
from tests.vendor.runtime import Array, VendorError

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
    p: P = {**RPN, **change}
    count = p["scales_num"] * p["ratios_num"]
    height, width = 5 + seed, 9 - seed
    score = uniform(seed, 0, 1, 1, 2 * count, height, width)
    if seed % 2:
        score = np.round(score, 1)  # ties
    deltas = normal(seed + 9, 1, 4 * count, height, width) * np.float32(0.4)
    info = np.array([[height * 16 - 3, width * 16 - 5, 1.25]], np.float32)
    found = compare(host.ProposalOp, p, score, deltas, info, results=1 + seed % 2)
    assert (len(found[0]) > 0) == (p["score_thresh"] < 2)


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
    scale = (0.25, 1.0, 0.0625)[seed % 3]
    p: P = {"pooled_h": pooled[0], "pooled_w": pooled[1], "spatial_scale": scale}
    size = (12 if seed % 3 == 0 else 40) / scale
    rois = boxes(seed, 20, 2, -0.3 * size, 1.2 * size).reshape(20, 5, 1, 1)
    maps = normal(seed, 2, 5, 11, 14)
    found = compare(host.RoiPoolingOp, p, maps, rois)
    assert (found[0] == np.finfo(np.float32).min).any()


def test_roi_pooling_of_the_regions_that_there_are() -> None:
    p: P = {"pooled_h": 2, "pooled_w": 2, "spatial_scale": 0.5}
    rois, maps = boxes(1, 3, 1, 0, 20).reshape(3, 5, 1, 1), normal(1, 1, 4, 10, 10)
    (found,) = compare(host.RoiPoolingOp, p, maps, rois, declared=((1, 4, 10, 10), (8, 5, 1, 1)))
    assert found.shape == (3, 4, 2, 2)
    none = np.empty((0, 5, 1, 1), np.float32)
    (found,) = compare(host.RoiPoolingOp, p, maps, none, declared=((1, 4, 10, 10), (8, 5, 1, 1)))
    assert found.shape == (0, 4, 2, 2)


@SEEDS
@pytest.mark.parametrize(("ratio", "sensitive"), [(2, 0), (0, 0), (-1, 0), (3, 1), (0, 1)])
def test_roi_align_mxnet(ratio: int, sensitive: int, seed: int) -> None:
    p: P = {"pooled_h": 3, "pooled_w": 2, "spatial_scale": (0.25, 0.07)[seed % 2],
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
    p: P = {"pooled_h": 3, "pooled_w": 5, "spatial_scale": (0.25, 0.07)[seed % 2],
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
    p: P = {"spatial_scale": 0.0625, "output_dim": 6, "group_size": 7, "pooled_size": 7,
         "part_size": 7, "sample_per_part": 4, "trans_std": 0.1, "no_trans": True, **change}
    rois = boxes(seed, 15, 2, -40, 260)
    maps = normal(seed, 2, p["output_dim"] * p["group_size"] ** 2, 11, 14)
    trans = normal(seed + 1, 15, 2 * (1, 3, 6)[seed % 3], p["part_size"], p["part_size"])
    compare(host.PsRoiPoolingOp, p, maps, rois, *[] if p["no_trans"] else [trans])


# -- YOLO ------------------------------------------------------------------------------------------


@SEEDS
def test_yolo_activation(seed: int) -> None:
    p: P = {"classes": seed * 3, "num": 1 + seed % 3}
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
    p: P = {"num_inputs": 3, "num_classes": 4, "num_boxes": 3, "confidence_threshold": 0.5,
         "nms_threshold": 0.45, "mask_group_size": 3, "biases": ANCHORS,
         "anchors_scale": (32.0, 16.0, 8.0), "mask": (6, 7, 8, 3, 4, 5, 0, 1, 2), **change}
    batch, channels = 1 + seed % 3, p["num_boxes"] * (5 + p["num_classes"])
    heads = [normal(seed + 7 * t, batch, channels, (3 + seed % 2) << t, 3 << t)
             for t in range(p["num_inputs"])]
    if seed % 2:
        heads = [np.round(x * 2) / np.float32(2) for x in heads]  # ties
    (found,) = compare(host.YoloV3DetectionOutputOp, p, *heads)
    assert (found[0, 0, 0, 1] == -1) == (p["confidence_threshold"] > 0.99)


# -- SSD -------------------------------------------------------------------------------------------

SSD: P = dict(
    num_classes=4, share_location=True, background_label_id=0, nms_threshold=0.45, top_k=20,
    code_type=2, keep_top_k=12, confidence_threshold=0.3, num_priors=0, num_loc_classes=1,
    variance_encoded_in_target=False, eta=1.0, objectness_score=0.3,
)
SSD_CHANGES: list[P] = [
    {}, {"code_type": 1}, {"code_type": 3}, {"variance_encoded_in_target": True},
    {"background_label_id": 9}, {"background_label_id": 2}, {"top_k": -1, "keep_top_k": -1},
    {"top_k": -1, "keep_top_k": 5}, {"eta": 0.9, "nms_threshold": 0.8}, {"nms_threshold": 0.0},
    {"confidence_threshold": 2.0}, {"confidence_threshold": 0.93}, {"top_k": 0},
]
PRIORS = 30


def ssd_inputs(p: P, seed: int, batch: int) -> tuple[Array, Array, Array]:
    corners = np.sort(uniform(seed, 0, 1, PRIORS, 2, 2), axis=1).reshape(1, 1, -1)
    variances = np.full((1, 1, PRIORS * 4), 0.1 + 0.1 * (seed % 2), np.float32)
    loc = normal(seed + 1, batch, PRIORS * 4) * np.float32(0.3)
    conf = uniform(seed + 2, 0, 1, batch, PRIORS * p["num_classes"])
    if seed % 3 == 1 and p["keep_top_k"] < 0:
        conf = np.round(conf, 1)  # ties
    return loc, conf, np.concatenate([corners, variances], axis=1)


@SEEDS
@pytest.mark.parametrize("change", SSD_CHANGES)
@pytest.mark.parametrize("layer", [host.DetectionOutputOp, host.RefineDetDetectionOutputOp])
def test_ssd(layer: type[HostOp], change: P, seed: int) -> None:
    p: P = {**SSD, **change}
    batch = 1 + seed % 3 if layer is host.DetectionOutputOp else 1
    (found,) = compare(layer, p, *ssd_inputs(p, seed, batch))
    assert (found[0, 0, 0, 1] == -1) == (p["confidence_threshold"] > 1 or p["top_k"] == 0)


@pytest.mark.parametrize("layer", [host.DetectionOutputOp, host.RefineDetDetectionOutputOp])
def test_ssd_scores_that_are_nearly_equal(layer: type[HostOp]) -> None:
    p: P = {**SSD, "num_classes": 2, "keep_top_k": -1, "top_k": -1}
    loc, conf, prior = ssd_inputs(p, 1, 1)
    conf[0, 1::2] = np.float32(0.9)
    conf[0, 3::8] = np.nextafter(np.float32(0.9), np.float32(1))
    compare(layer, p, loc, conf, prior)


@SEEDS
@pytest.mark.parametrize("change", SSD_CHANGES)
def test_decoded_boxes(change: P, seed: int) -> None:
    p: P = {**SSD, **change}
    loc, conf, prior = ssd_inputs(p, seed, 1)
    boxes = prior[:, 0].reshape(1, -1) + loc * np.float32(0.2)
    compare(host.RefineDetDetectionOutputOp, p, boxes, conf.reshape(1, p["num_classes"], PRIORS))


@SEEDS
@pytest.mark.parametrize("change", [c for c in SSD_CHANGES if "background_label_id" not in c])
def test_refinedet(change: P, seed: int) -> None:
    p: P = {**SSD, **change}
    arm_conf = uniform(seed + 5, 0, 1, 1, PRIORS * 2)
    arm_loc = normal(seed + 6, 1, PRIORS * 4) * np.float32(0.3)
    compare(host.RefineDetDetectionOutputOp, p, *ssd_inputs(p, seed, 1), arm_conf, arm_loc)


def test_refinedet_keeps_by_insertion() -> None:
    """Many scores within 1e-5 of each other, of different classes."""
    p: P = {**SSD, "num_classes": 6, "keep_top_k": 40, "top_k": -1, "nms_threshold": 0.99}
    loc, conf, prior = ssd_inputs(p, 3, 1)
    conf = np.float32(0.5) + np.round(conf * 12).astype(np.float32) * np.float32(0.4e-5)
    compare(host.RefineDetDetectionOutputOp, p, loc, conf, prior)


# -- sorting ---------------------------------------------------------------------------------------

SORTED: list[tuple[tuple[int, ...], int]] = [
    ((7,), 0), ((40,), 0), ((3, 50), 1), ((50, 3), 0), ((2, 3, 4, 5), 1), ((2, 3, 4, 5), 3),
    ((3, 1, 40), 2), ((2, 40, 3), 1),
]
ALONG = pytest.mark.parametrize(("shape", "axis"), SORTED)


def distinct(seed: int, *shape: int) -> Array:
    """Numbers that are all different, in random order."""
    count = int(np.prod(shape))
    return np.random.default_rng(seed).permutation(count).reshape(shape).astype(np.float32) - 9


def tied(seed: int, *shape: int) -> Array:
    """Numbers of which many are equal."""
    return np.random.default_rng(seed).integers(-3, 3, shape).astype(np.float32)


@ALONG
@pytest.mark.parametrize("whole", [0, 1])
@pytest.mark.parametrize("is_sorted", [False, True])
def test_top_k(shape: tuple[int, ...], axis: int, is_sorted: bool, whole: int) -> None:
    for k in ([shape[axis]] if whole else [1, min(3, shape[axis] - 1)]):
        for given in (axis, -1) if axis == len(shape) - 1 else (axis,):
            p: P = {"k": k, "axis": given, "sorted": is_sorted, "descending": True,
                 "values_used_only": False}
            for x in (distinct(k, *shape), tied(k, *shape), normal(k, *shape)):
                compare(host.TopKOp, p, x, results=2)
                compare(host.TopKOp, p, x)
                compare(host.TopKOp, {**p, "values_used_only": True}, x)
                number = np.array([k], np.int32)
                compare(host.TopKOp, {**p, "k": -1}, x, number, results=2)
                compare(host.TopKOp, {**p, "k": shape[axis]}, x, number, results=2)


@ALONG
@pytest.mark.parametrize("ascend", [0, 1])
@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("dtype", [0, 6, 7])
def test_top_k_mxnet(
    shape: tuple[int, ...], axis: int, kind: int, ascend: int, dtype: int
) -> None:
    for k in (-1, 0, 1, shape[axis], min(4, shape[axis])):
        for given in (axis, axis - len(shape), len(shape)):
            p: P = {"k": k, "axis": given, "ret_type": kind, "is_ascend": ascend, "dtype": dtype}
            compare(host.TopKMxnetOp, p, distinct(k + 2, *shape), results=1 + (kind == 2))
            if kind == 1:  # of equal numbers any may come first: the values are the same
                compare(host.TopKMxnetOp, p, tied(k + 2, *shape))


@ALONG
@pytest.mark.parametrize("ascend", [False, True])
def test_argsort(shape: tuple[int, ...], axis: int, ascend: bool) -> None:
    compare(host.ArgsortOp, {"axis": axis, "is_ascend": ascend}, distinct(1, *shape))


@ALONG
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("is_argsort", [False, True])
@pytest.mark.parametrize("stable", [False, True])
def test_sort(
    shape: tuple[int, ...], axis: int, stable: bool, is_argsort: bool, descending: bool
) -> None:
    p: P = {"dim": axis, "is_argsort": is_argsort, "stable": stable, "descending": descending}
    for x in (distinct(1, *shape), tied(2, *shape) if stable else distinct(2, *shape)):
        compare(host.SortOp, p, x, results=2 - is_argsort)


# -- selection -------------------------------------------------------------------------------------


def picks(seed: int, length: int, *shape: int) -> Array:
    """Random indices."""
    return np.random.default_rng(seed).integers(0, length, shape).astype(np.int32)


@SEEDS
@pytest.mark.parametrize(("shape", "axis"), [
    ((5,), 0), ((5, 3), 0), ((4, 3, 2), 0), ((6, 2, 3, 2), 0), ((1, 6, 3), 1), ((1, 1, 7), 2),
    ((1, 7), -1), ((4, 3), -2), ((1, 5, 2, 3), 1),
])
def test_gather(shape: tuple[int, ...], axis: int, seed: int) -> None:
    index = picks(seed, shape[axis], *((4,), (2, 3), (1,), (2, 1, 3), (9,), (1, 2))[seed])
    compare(host.GatherOp, {"axis": axis}, normal(seed, *shape), index)


def test_gather_of_the_indices_that_there_are() -> None:
    (found,) = compare(host.GatherOp, {"axis": 0}, normal(1, 5, 3), picks(1, 5, 2),
                       declared=((5, 3), (4,)))
    assert found.shape == (2, 3)


@SEEDS
@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_gather_elements(rank: int, seed: int) -> None:
    shape = (4, 3, 5, 2)[:rank]
    for axis in range(rank):
        size = [max(1, n - seed % 2) for n in shape]
        size[axis] = (2, 7)[seed // 3]
        index = picks(seed, shape[axis], *size)
        compare(host.GatherElementsOp, {"axis": axis}, normal(seed, *shape), index)


@SEEDS
@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
def test_where(rank: int, seed: int) -> None:
    x = np.round(normal(seed, *(4, 3, 2, 3, 2)[:rank]) * np.float32((0.5, 0, 3)[seed % 3]))
    (found,) = compare(host.WhereOp, {}, x)
    assert len(found) == np.count_nonzero(x)


def opposite_corners(seed: int, *shape: int) -> Array:
    """Boxes of two opposite corners in any order; a few of them are equal, none is empty."""
    random = np.random.default_rng(seed)
    low, size = random.uniform(0, 1, (*shape, 2)), random.uniform(0.1, 0.7, (*shape, 2))
    found = np.where(random.integers(0, 2, (*shape, 2)) == 1,
                     [low, low + size], [low + size, low])  # fmt: skip
    boxes = np.concatenate([found[0], found[1]], axis=-1).astype(np.float32)
    boxes[..., 1, :] = boxes[..., 0, :]
    return boxes


@SEEDS
@pytest.mark.parametrize("iou", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("least", [-1.0, 0.5, 2.0])
def test_non_max_suppression(iou: float, least: float, seed: int) -> None:
    count = 5 + 9 * seed
    boxes, scores = opposite_corners(seed, count), distinct(seed, count) / np.float32(count)
    for most in (0, 1, 3, 100):
        p: P = {"iou_threshold": iou, "score_threshold": least, "max_output_size": most}
        number = [np.array([most], np.int32)] if most else []
        compare(host.NonMaxSuppressionOp, p, boxes, scores, *number)


@pytest.mark.parametrize("iou", [0.0, 0.5])
def test_a_box_without_an_area_is_taken_again_and_again(iou: float) -> None:
    boxes, scores = opposite_corners(1, 6), np.array([5, 4, 3, 2, 1, 0.5], np.float32)
    boxes[2, 2:] = boxes[2, :2]
    p: P = {"iou_threshold": iou, "score_threshold": 0.0, "max_output_size": 9}
    (found,) = compare(host.NonMaxSuppressionOp, p, boxes, scores, np.array([9], np.int32))
    assert (len(found) == 9) == (iou > 0)
    compare(host.NonMaxSuppressionOp, p, boxes, scores)


@SEEDS
@pytest.mark.parametrize("most", [-1, 0, 1, 3, 100])
@pytest.mark.parametrize("thresholds", [
    (), (0.0,), (0.5,), (0.3, 0.4), (1.0, 2.0), (0.6, -9.0), (-0.5,),
])
def test_onnx_non_max_suppression(thresholds: tuple[float, ...], most: int, seed: int) -> None:
    images, classes, count = 1 + seed % 2, 1 + seed % 3, 3 + 6 * seed
    boxes = opposite_corners(seed, images, count)
    boxes[:, -1, 2:] = boxes[:, -1, :2]
    scores = distinct(seed, images, classes, count) / np.float32(count * images * classes)
    given = [np.array([x], np.float32) for x in thresholds]
    for field in (0, max(most, 0)):
        p: P = {"center_point_box": 0, "max_output_size": field}
        compare(host.OnnxNonMaxSuppressionOp, p, boxes, scores, np.array([most], np.int32), *given)


# -- elementwise and sampling ----------------------------------------------------------------------


@pytest.mark.parametrize("function", range(6))
def test_unary(function: int) -> None:
    x = normal(1, 3, 70) * np.float32(4)
    x[0] = np.linspace(-3.5, 3.5, 70) // 0.5 * 0.5
    x[1, :5] = [np.inf, -np.inf, np.nan, 0.49999997, -0.5] if function == 2 else [
        0.49999997, -0.49999997, 1e6, 8388609, -0.0]
    compare(host.UnaryOp, {"unary_op": function}, x)


@SEEDS
@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("aligned", [False, True])
def test_grid_sampler(mode: int, padding: int, aligned: bool, seed: int) -> None:
    p: P = {"mode": mode, "padding": padding, "align_corners": aligned}
    size = [(5, 7), (1, 6), (4, 1), (8, 8), (3, 2), (1, 1)][seed]
    image = normal(seed, 2, 3, *size)
    grid = uniform(seed, -1.2, 1.2, 2, 6, 5, 2)
    grid[0, 0] *= 9
    grid[0, 1] = np.round(grid[0, 1] * 4) / 4  # also between two pixels
    grid[0, 2, :, 0], grid[0, 2, :, 1] = (-1, 1, 0, -1, 1), (-1, 1, 0, 1, -1)
    grid[1, 0, 0] = 1e6, -1e6
    compare(host.GridSamplerOp, p, image, grid)


@pytest.mark.parametrize("method", range(4))
@pytest.mark.parametrize("aligned", [0, 1])
@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("size", [(5, 7), (10, 14), (9, 3), (1, 1), (2, 20), (5, 6), (4, 13)])
def test_resize(method: int, aligned: int, half: int, size: tuple[int, int]) -> None:
    for formats in range(4 * (not (aligned and half and method == 0))):
        ifmt, ofmt = divmod(formats, 2)
        p: P = {"align_corners": aligned, "half_pixel_centers": half, "method": method,
             "ifmt": ifmt, "ofmt": ofmt, "oh": size[0], "ow": size[1]}
        image = normal(1, *((2, 5, 7, 3) if ifmt else (2, 3, 5, 7)))
        compare(host.ResizeOp, p, image, np.array(size, np.int32))


DEFORM: P = dict(
    modulated=True, deform_groups=1, kh=3, kw=3, pad=(1, 1, 1, 1), stride=(1, 1), dilation=(1, 1),
    mode=0,
)


PADDLE: P = dict(
    modulated=True, groups=1, deform_groups=1, kh=3, kw=3, pad=(1, 1), stride=(1, 1),
    dilation=(1, 1), im2col_step=1,
)


def deform_inputs(p: P, seed: int, pad: tuple[int, ...]) -> list[Array]:
    high, wide = (
        (side + both - p["dilation"][i] * (kernel - 1) - 1) // p["stride"][i] + 1
        for i, (side, both, kernel) in enumerate(
            [(8, pad[0] + pad[1], p["kh"]), (11, pad[2] + pad[3], p["kw"])])
    )
    count, batch = p["deform_groups"] * p["kh"] * p["kw"], 1 + seed % 3
    offsets = normal(seed, batch, 2 * count, high, wide) * np.float32(2)
    offsets[:, ::3] = np.round(offsets[:, ::3])  # exactly on the border, too
    mask = uniform(seed, 0, 1, batch, count, high, wide)
    return [normal(seed, batch, 6, 8, 11), offsets, *[mask] * bool(p["modulated"])]


@SEEDS
@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("change", [
    {}, {"modulated": False}, {"deform_groups": 3}, {"deform_groups": 2, "modulated": False},
    {"kh": 1, "kw": 2, "pad": (0, 1, 2, 0)}, {"stride": (2, 3), "dilation": (3, 2)},
])
def test_deform_gather(change: P, mode: int, seed: int) -> None:
    p: P = {**DEFORM, "mode": mode, **change}
    compare(host.DeformGatherOp, p, *deform_inputs(p, seed, p["pad"]))


@SEEDS
@pytest.mark.parametrize("change", [
    {}, {"deform_groups": 3}, {"kh": 1, "kw": 2, "pad": (0, 2)},
    {"stride": (2, 3), "dilation": (3, 2)},
])
def test_deform_conv(change: P, seed: int) -> None:
    p: P = {**PADDLE, **change}
    top, left = p["pad"]
    compare(host.DeformConvOp, p, *deform_inputs(p, seed, (top, top, left, left)))


# -- what is refused, as the library is wrong ------------------------------------------------------


def theirs(
    layer: type[HostOp], parameters: P, shape: tuple[int, ...], kind: str, *inputs: Array
) -> Array:
    """The library's first result for parameters that an op refuses."""
    packed = layer.LAYER.struct.pack(parameters)
    return run_layer(Case(layer.LAYER.number, packed, inputs, [shape], [kind]))[0]


def test_top_k_does_not_know_the_smallest() -> None:
    p: P = {"k": 2, "axis": 0, "sorted": True, "descending": False, "values_used_only": True}
    x = np.array([3, 1, 2], np.float32)
    assert theirs(host.TopKOp, p, (2,), "f4", x).tolist() == [3, 2]


def test_gather_mixes_up_what_is_before_the_axis() -> None:
    x, index = distinct(1, 3, 4), picks(1, 4, 5)
    found = theirs(host.GatherOp, {"axis": 1}, (3, 5), "f4", x, index)
    assert np.array_equal(found.reshape(5, 3).T, np.take(x, index, axis=1))


def test_refinedet_writes_other_boxes_for_the_second_image() -> None:
    p: P = {**SSD, "keep_top_k": -1, "top_k": -1}
    loc, conf, prior = ssd_inputs(p, 2, 2)
    found = theirs(host.RefineDetDetectionOutputOp, p, (1, 1, 900, 7), "f4", loc, conf, prior)
    (right,) = host.DetectionOutputOp.compute(p, [loc, conf, prior], 1)
    first = right[0, 0, :, 0] == 0
    assert found.shape == right.shape
    assert np.allclose(found[0, 0, first], right[0, 0, first], atol=1e-5)
    assert not np.allclose(found[0, 0, ~first, 3:], right[0, 0, ~first, 3:], atol=1e-2)


def test_refinedet_makes_what_is_no_object_the_first_class() -> None:
    p: P = {**SSD, "background_label_id": 1, "objectness_score": 2.0, "confidence_threshold": 0.5}
    inputs = ssd_inputs(p, 2, 1)
    arm = normal(1, 1, PRIORS * 2), normal(2, 1, PRIORS * 4)
    found = theirs(host.RefineDetDetectionOutputOp, p, (1, 1, 12, 7), "f4", *inputs, *arm)
    assert (found[0, 0, :, 1:3] == [0, 1]).all()


def test_onnx_non_max_suppression_without_a_count_selects_nothing() -> None:
    boxes, scores = opposite_corners(1, 1, 5), distinct(1, 1, 1, 5) + 10
    p: P = {"center_point_box": 0, "max_output_size": 5}
    found = theirs(host.OnnxNonMaxSuppressionOp, p, (5, 3), "i4", boxes, scores)
    assert found.shape == (0, 3)


@pytest.mark.parametrize(("change", "message"), [
    ({"im2col_step": 2}, ""), ({"groups": 2}, "wrote behind its output"),
])
def test_deform_conv_of_other_settings(change: P, message: str) -> None:
    inputs = deform_inputs(PADDLE, 1, (1, 1, 1, 1))  # a batch of 2
    (right,) = host.DeformConvOp.compute(PADDLE, inputs, 1)
    p: P = {**PADDLE, **change}
    shape = (2, right.shape[1] // p["groups"], *right.shape[2:])
    if message:
        with pytest.raises(VendorError, match=message):
            theirs(host.DeformConvOp, p, shape, "f4", *inputs)
    else:
        assert not np.allclose(theirs(host.DeformConvOp, p, shape, "f4", *inputs), right, atol=1)


REVERSED = np.array([[0, 5, 5, 2, 9]], np.float32)


@pytest.mark.parametrize(("layer", "parameters", "shape", "inputs"), [
    (host.OnnxNonMaxSuppressionOp, {"center_point_box": 1, "max_output_size": 1}, (1, 3),
     [normal(1, 1, 5, 4), normal(1, 1, 1, 5), np.array([1], np.int32)]),
    (host.NonMaxSuppressionOp, {"iou_threshold": 1.5, "score_threshold": 0.0,
                                "max_output_size": 1}, (5,), [normal(1, 5, 4), normal(1, 5)]),
    (host.TopKOp, {"k": 1, "axis": -2, "sorted": True, "descending": True,
                   "values_used_only": True}, (1, 4), [normal(1, 3, 4)]),
    (host.TopKMxnetOp, {"k": 9, "axis": 0, "ret_type": 1, "is_ascend": 0, "dtype": 0}, (9,),
     [normal(1, 5)]),
    (host.ProposalOp, {**RPN, "scales_num": 2}, (200, 5, 1, 1),
     [normal(1, 1, 18, 2, 2), normal(1, 1, 36, 2, 2), np.ones((1, 3), np.float32)]),
    # not refused, as numbers decide: an aligned region whose right is left of its left
    (host.RoiAlignOp, {"pooled_h": 2, "pooled_w": 2, "spatial_scale": 1.0, "sampling_ratio": 0,
                       "aligned": True}, (1, 1, 2, 2), [normal(1, 1, 1, 9, 9), REVERSED]),
])
def test_the_library_ends_its_process(
    layer: type[HostOp], parameters: P, shape: tuple[int, ...], inputs: list[Array]
) -> None:
    with pytest.raises(VendorError, match="ended its process"):
        theirs(layer, parameters, shape, "f4", *inputs)
