"""Host layers of detection, on boxes that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dialects.host import ops
from dialects.host.detection import inserted_order
from dialects.host.proposal import anchors
from tests.dialects.host.host_layers import (
    NMS,
    ONNX_NMS,
    RPN,
    SSD,
    YOLO,
    Array,
    computed,
    floats,
    integers,
)

ONE_CLASS = {**SSD, "num_classes": 2, "code_type": 1, "nms_threshold": 0.5}
CORNERS = floats([0, 0, 0.4, 0.4], [0, 0, 0.4, 0.3], [0.6, 0.6, 0.9, 0.9])
"""The second box overlaps the first by 0.75, the third none."""


def rows(array: Array) -> list[list[float]]:
    """The rows of a detection that are defined, rounded."""
    found = array[0, 0].astype(np.float64)
    return [[round(x, 4) for x in row] for row in found.tolist() if not np.isnan(row[0])]


def test_the_better_of_two_that_overlap() -> None:
    prior = np.stack([CORNERS.reshape(-1), np.ones(12, np.float32)])[None]
    conf = floats([0.3, 0.7, 0.2, 0.8, 0.6, 0.4])
    (found,) = computed(ops.DetectionOutputOp, ONE_CLASS, floats([0] * 12), conf, prior)
    assert found.shape == (1, 1, 3, 7)
    assert rows(found) == [
        [0, 1, 0.8, 0, 0, 0.4, 0.3], [0, 1, 0.4, 0.6, 0.6, 0.9, 0.9],
    ]  # fmt: skip
    loose = {**ONE_CLASS, "nms_threshold": 0.76}
    (found,) = computed(ops.DetectionOutputOp, loose, floats([0] * 12), conf, prior)
    assert [row[2] for row in rows(found)] == [0.8, 0.7, 0.4]


def test_locations_of_centre_and_size() -> None:
    prior = floats([[[0.2, 0.2, 0.6, 0.4], [0.1, 0.1, 0.2, 0.2]]]).reshape(1, 2, 4)
    p = {**ONE_CLASS, "code_type": 2}
    loc = floats([1, -2, np.log(2) * 5, 0])
    (found,) = computed(ops.DetectionOutputOp, p, loc, floats([0, 1]), prior)
    # centre 0.4 + 0.1*0.4, 0.3 - 0.2*0.2; size 0.8 and 0.2
    assert rows(found) == [[0, 1, 1, 0.04, 0.16, 0.84, 0.36]]


@pytest.mark.parametrize("layer", [ops.DetectionOutputOp, ops.RefineDetDetectionOutputOp])
def test_the_best_of_the_image(layer: type[ops.HostOp]) -> None:
    prior = np.stack([CORNERS.reshape(-1), np.ones(12, np.float32)])[None]
    p = {**ONE_CLASS, "num_classes": 3, "keep_top_k": 2, "background_label_id": 0}
    conf = floats([0, 0.5, 0.6, 0, 0, 0, 0, 0.9, 0])
    (found,) = computed(layer, p, floats([0] * 12), conf, prior)
    assert found.shape == (1, 1, 2, 7)
    assert [row[1:3] for row in rows(found)] == [[1, 0.9], [2, 0.6]]


def test_nothing_is_found_in_a_batch() -> None:
    prior = np.stack([CORNERS.reshape(-1), np.ones(12, np.float32)])[None]
    (found,) = computed(ops.DetectionOutputOp, ONE_CLASS, np.zeros((2, 12), np.float32),
                        np.zeros((2, 6), np.float32), prior)
    assert rows(found) == [[0, *[-1] * 6], [1, *[-1] * 6]]


def test_scores_that_are_nearly_equal_keep_the_order_of_their_boxes() -> None:
    prior = np.stack([CORNERS.reshape(-1), np.ones(12, np.float32)])[None]
    near = np.nextafter(np.float32(0.5), np.float32(1))
    conf = floats([0, 0.5, 0, near, 0, 0.4])
    (found,) = computed(ops.DetectionOutputOp, ONE_CLASS, floats([0] * 12), conf, prior)
    assert [row[6] for row in rows(found)] == [0.4, 0.9]


def test_an_insertion_takes_near_scores_as_equal() -> None:
    assert inserted_order(floats(0.5, 0.500005, 0.6)).tolist() == [2, 0, 1]
    assert inserted_order(floats(0.5, 0.50002, 0.500025)).tolist() == [1, 2, 0]


def test_boxes_that_are_decoded_have_their_classes_apart() -> None:
    conf = floats([[0.9, 0.9, 0.9], [0.7, 0.8, 0.4]])
    (found,) = computed(ops.RefineDetDetectionOutputOp, ONE_CLASS, CORNERS.reshape(1, 12), conf)
    assert [row[1:3] for row in rows(found)] == [[1, 0.8], [1, 0.4]]


def test_the_first_stage_of_refinedet_moves_and_drops_boxes() -> None:
    prior = np.stack([CORNERS.reshape(-1), np.ones(12, np.float32)])[None]
    arm = np.zeros((1, 12), np.float32)
    arm[0, 8:] = 0.05
    (found,) = computed(
        ops.RefineDetDetectionOutputOp, {**ONE_CLASS, "objectness_score": 0.5}, floats([0] * 12),
        floats([0.3, 0.7, 0.2, 0.8, 0.6, 0.4]), prior, floats([0, 0.6, 0, 0.4, 0, 0.9]), arm,
    )  # fmt: skip
    assert rows(found) == [
        [0, 1, 0.7, 0, 0, 0.4, 0.4], [0, 1, 0.4, 0.65, 0.65, 0.95, 0.95],
    ]  # fmt: skip


def test_the_anchors_of_faster_rcnn() -> None:
    """Those of py-faster-rcnn's generate_anchors(), cut to integers."""
    assert anchors(RPN).astype(int).tolist() == [
        [-84, -40, 99, 55], [-176, -88, 191, 103], [-360, -184, 375, 199],
        [-56, -56, 71, 71], [-120, -120, 135, 135], [-248, -248, 263, 263],
        [-36, -80, 51, 95], [-80, -168, 95, 183], [-168, -344, 183, 359],
    ]  # fmt: skip


def test_a_proposal_by_hand() -> None:
    p = {**RPN, "scales_num": 1, "ratios_num": 1, "scales": (2, 0, 0, 0, 0),
         "ratios": (1, 0, 0, 0, 0), "min_size": 8}  # an anchor -8, -8, 23, 23
    score = np.zeros((1, 2, 1, 3), np.float32)
    score[0, 1] = [[0.5, 0.9, 0.8]]
    deltas = np.zeros((1, 4, 1, 3), np.float32)
    deltas[0, 0, 0, 2] = 0.25
    found = computed(ops.ProposalOp, p, score, deltas, floats([100, 60, 1]), results=2)
    assert found[0].shape == (3, 5, 1, 1)
    # the centre is left + 32 / 2, and the sides are clipped to 60x100
    assert found[0][:, :, 0, 0].tolist() == [
        [0, 8, 0, 40, 24], [0, 32, 0, 60, 24], [0, 0, 0, 24, 24],
    ]  # fmt: skip
    assert found[1].reshape(-1).tolist() == [np.float32(x) for x in (0.9, 0.8, 0.5)]
    strict = {**p, "score_thresh": 0.6, "nms_thresh": 0.15}
    found = computed(ops.ProposalOp, strict, score, deltas, floats([100, 60, 1]), results=2)
    assert found[1][0].item() == np.float32(0.9)
    assert np.isnan(found[0][1:]).all()


def head(cells: dict[tuple[int, int], tuple[float, ...]]) -> Array:
    """A head [1, 6, 2, 3] of one box and one class with these cells (row, column)."""
    found = np.full((1, 6, 2, 3), -20, np.float32)
    for (y, x), values in cells.items():
        found[0, :, y, x] = values
    return found


def test_yolo_boxes_by_hand() -> None:
    p = {**YOLO, "num_inputs": 1, "num_classes": 1, "num_boxes": 1, "mask": (1, *[0] * 8),
         "biases": (0, 0, 24, 32, *[0] * 14), "anchors_scale": (16, 0, 0)}  # 48x32 pixels
    raw = head({(0, 0): (0, 0, 0, 0, 20, 20), (0, 1): (-20, 0, 0, 0, 2, 20),
                (1, 2): (0, 0, np.log(2), -20, 1, 20)})  # fmt: skip
    (found,) = computed(ops.YoloV3DetectionOutputOp, p, raw)
    assert found.shape == (1, 1, 6, 7)
    assert rows(found) == [
        [0, 0, 1, 0.1667, 0.25, 0.5, 1], [0, 0, 0.7311, 0.8333, 0.75, 1, 0],
    ]  # fmt: skip
    (found,) = computed(ops.YoloV3DetectionOutputOp, {**p, "nms_threshold": 0.6}, raw)
    assert [row[2] for row in rows(found)] == [1, 0.8808, 0.7311]
    same = {**p, "nms_threshold": 1.0, "num_boxes": 2, "mask": (1, 1, *[0] * 7)}
    (found,) = computed(ops.YoloV3DetectionOutputOp, same, np.concatenate([raw, raw], axis=1))
    # the last one is so flat that float32 sees no overlap with its like
    assert [row[2] for row in rows(found)] == [1, 0.8808, 0.7311, 0.7311]
    (found,) = computed(ops.YoloV3DetectionOutputOp, p, raw * 0 - 9)
    assert rows(found) == [[0, *[-1] * 6]]


def test_yolo_activation() -> None:
    x = np.zeros((1, 12, 1, 1), np.float32)
    x[0, 2:4] = 7
    (found,) = computed(ops.YoloActivationOp, {"classes": 1, "num": 2}, x)
    assert found.reshape(-1).tolist() == [0.5, 0.5, 7, 7, 0.5, 0.5, *[0.5, 0.5, 0, 0, 0.5, 0.5]]


BOXES = floats([0, 0, 4, 4], [3, 4, 0, 0], [9, 9, 6, 6])
"""Corners in any order: as CORNERS, ten times as large."""


def test_boxes_of_tensorflow() -> None:
    scores = floats(0.7, 0.8, 0.4)
    (found,) = computed(ops.NonMaxSuppressionOp, NMS, BOXES, scores)
    assert found.tolist() == [1, 2, -(2**31)]
    exact = {**NMS, "iou_threshold": 0.75}
    (found,) = computed(ops.NonMaxSuppressionOp, exact, BOXES, scores, integers(1))
    assert found.tolist() == [1, -(2**31)]
    (found,) = computed(ops.NonMaxSuppressionOp, exact, BOXES, scores)
    assert found.tolist() == [1, 2, -(2**31)]
    with pytest.raises(ValueError, match="a result of 3 where 2 is declared"):
        computed(ops.NonMaxSuppressionOp, {**NMS, "iou_threshold": 1.0}, BOXES, scores,
                 integers(9))


def test_boxes_of_onnx() -> None:
    scores = floats([0.7, 0.8, 0.4], [0.9, 0.1, 0.2])
    most, limit, least = integers(3), floats(0.75), floats(0.15)
    (found,) = computed(ops.OnnxNonMaxSuppressionOp, ONNX_NMS, BOXES[None], scores[None], most,
                        limit, least)
    assert found[:5].tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 2], [0, 1, 0], [0, 1, 2]]
    (found,) = computed(ops.OnnxNonMaxSuppressionOp, ONNX_NMS, BOXES[None], scores[None], most)
    assert found[:4].tolist() == [[0, 0, 1], [0, 0, 2], [0, 1, 0], [0, 1, 2]]
    (found,) = computed(ops.OnnxNonMaxSuppressionOp, ONNX_NMS, BOXES[None], scores[None],
                        integers(0))
    assert (found == -(2**31)).all()
