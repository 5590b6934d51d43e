"""Partners of FP32 and INT8: which boxes are, and what is counted of them."""

from __future__ import annotations

import numpy as np
import pytest

from bmnetu.calibration.accuracy.scores import Accuracy
from bmnetu.calibration.detection.boxes import Detections
from bmnetu.calibration.detection.matches import Matches
from bmnetu.calibration.detection.scores import (
    DetectionScore,
    detection_lines,
    judge_detections,
)
from bmnetu.errors import AccuracyError

Row = tuple[int, float, float, float]
"""Class, score, left, and width of a box of height 1."""


def boxes(*rows: Row) -> Detections:
    found = np.array([[left, 0, left + width, 1] for *_, left, width in rows], float)
    return Detections(
        np.array([row[0] for row in rows], int), np.array([row[1] for row in rows], float),
        found.reshape(-1, 4),
    )  # fmt: skip


def matches(*images: tuple[Detections, Detections]) -> Matches:
    found = Matches()
    for fp32, int8 in images:
        each = Matches()
        each.watch(fp32, int8)
        found.merge(each)
    return found


def test_equal_boxes() -> None:
    both = boxes((1, 0.9, 0, 2), (2, 0.6, 0, 2), (1, 0.4, 5, 2))
    found = matches((both, both))
    assert (found.fp32, found.int8, found.matched, found.close) == (2, 2, 2, 2)
    assert (found.lost, found.alone, found.mean_iou, found.least_iou) == (0, 0, 1, 1)
    assert found.score_difference == 0


def test_nothing() -> None:
    found = matches((boxes(), boxes()))
    assert found == Matches()
    assert found.mean_iou == 1
    found = matches((boxes((1, 0.9, 0, 2)), boxes()), (boxes(), boxes((1, 0.9, 0, 2))))
    assert (found.fp32, found.int8, found.lost, found.alone) == (1, 1, 1, 1)


def test_other_images_and_classes_are_no_partners() -> None:
    one, other = boxes((1, 0.9, 0, 2)), boxes((2, 0.9, 0, 2))
    found = matches((one, other), (one, boxes()), (boxes(), one))
    assert (found.fp32, found.int8, found.matched, found.lost, found.alone) == (2, 2, 0, 2, 2)


def test_iou_and_scores_of_partners() -> None:
    """Widths 10 and 9.5, 10 and 6; the scores differ by 0.02 and 0.25."""
    fp32 = boxes((1, 0.9, 0, 10), (1, 0.8, 20, 10))
    int8 = boxes((1, 0.88, 0, 9.5), (1, 0.55, 20, 6))
    found = matches((fp32, int8))
    assert (found.matched, found.close) == (2, 1)
    assert found.mean_iou == pytest.approx((0.95 + 0.6) / 2)
    assert found.least_iou == pytest.approx(0.6)
    assert found.score_difference == pytest.approx(0.25)


def test_the_best_chooses_first_and_what_it_overlaps_most() -> None:
    """Both of FP32 overlap INT8's first most; the second gets what is left."""
    fp32 = boxes((1, 0.6, 0.1, 10), (1, 0.9, 0, 10))
    int8 = boxes((1, 0.7, 0, 10), (1, 0.7, 2, 10))
    found = matches((fp32, int8))
    assert (found.matched, found.close) == (2, 1)
    assert found.least_iou == pytest.approx(8.1 / 11.9)


def test_a_score_that_falls_below_the_threshold_is_no_lost_box() -> None:
    found = matches((boxes((1, 0.51, 0, 2)), boxes((1, 0.49, 0, 2))))
    assert (found.fp32, found.int8, found.matched, found.lost) == (1, 0, 1, 0)
    assert found.score_difference == pytest.approx(0.02)
    found = matches((boxes((1, 0.49, 0, 2)), boxes((1, 0.51, 0, 2))))
    assert (found.fp32, found.int8, found.matched, found.alone) == (0, 1, 0, 0)
    assert found.score_difference == pytest.approx(0.02)


def test_far_boxes_are_no_partners() -> None:
    found = matches((boxes((1, 0.9, 0, 10)), boxes((1, 0.9, 0, 4.9))))
    assert (found.matched, found.lost, found.alone) == (0, 1, 1)


def test_lines_and_thresholds() -> None:
    fp32 = boxes((1, 0.9, 0, 10), (1, 0.8, 20, 10), (2, 0.7, 0, 3))
    int8 = boxes((1, 0.88, 0, 9.5), (1, 0.55, 20, 6))
    score = DetectionScore("d", matches((fp32, int8)), {"0.5": Accuracy(80, 77.5)})
    assert detection_lines(score) == [
        'output "d": 3 detections with a score above 0.5 in FP32, 2 in INT8',
        "output \"d\": INT8 finds 66.67 % of FP32's with IoU 0.5 or more, 33.33 % with 0.9 or more",
        'output "d": IoU 0.7750 in the mean, 0.6000 at least; scores differ by 0.2500 at most',
        'output "d": without a partner: 1 of FP32, 0 of INT8',
        'output "d": mAP at IoU 0.5 FP32 80.00 %, INT8 77.50 %, drop 2.50 points',
    ]
    judge_detections(score, 2.5, None)
    with pytest.raises(AccuracyError, match=r"loses 2.50 points of mAP at IoU 0.5, -max_drop=2 "):
        judge_detections(score, 2, None)
    with pytest.raises(AccuracyError, match="has 1 of 3 FP32 detections without an INT8 one"):
        judge_detections(score, None, 0.5)
    kept = DetectionScore("d", matches((boxes((1, 0.9, 0, 10)), int8)), {})
    judge_detections(kept, None, 0.95)
    with pytest.raises(AccuracyError, match=r"has IoU 0.9500, -min_iou=0.96 is expected"):
        judge_detections(kept, None, 0.96)
    with pytest.raises(AccuracyError, match=r"has no detection with a score above 0.5 in FP32"):
        judge_detections(DetectionScore("d", Matches(), {}), None, 0.5)
