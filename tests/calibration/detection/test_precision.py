"""Average precision: worked out by hand, and as COCO's own program has it."""

from __future__ import annotations

import numpy as np
import pytest

from bmnetu.calibration.annotations.truth import Truth
from bmnetu.calibration.detection.boxes import Detections, by_image, overlaps
from bmnetu.calibration.detection.precision import Precision

Box = tuple[float, float, float, float]
A, B, C = (0.1, 0.1, 0.3, 0.3), (0.5, 0.1, 0.7, 0.3), (0.1, 0.6, 0.3, 0.8)
AWAY = (0.8, 0.8, 0.9, 0.9)


def objects(*boxes: Box, label: int = 1, ignored: bool = False, crowd: bool = False) -> Truth:
    return Truth.of([(box, label, ignored or crowd, crowd) for box in boxes])


def detections(*found: tuple[Box, float], label: int = 1) -> Detections:
    boxes = np.array([box for box, _ in found], float).reshape(-1, 4)
    return Detections(np.full(len(found), label), np.array([s for _, s in found]), boxes)


def precision(*images: tuple[Detections, Truth]) -> tuple[float, float]:
    """Pascal VOC's and COCO's, in percent; the images in two parts that are merged."""
    first, second = Precision(), Precision()
    for i, (found, truth) in enumerate(images):
        (first if 2 * i < len(images) else second).watch(found, truth)
    first.merge(second)
    return first.mean("0.5"), first.mean("0.5:0.95")


def test_overlaps() -> None:
    boxes = np.array([(0, 0, 2, 2), (1, 1, 3, 3), (2, 0, 4, 2), (0, 0, 1, 2), (1, 1, 1, 1)], float)
    assert overlaps(boxes[0], boxes) == pytest.approx([1, 1 / 7, 0, 1 / 2, 0])
    assert overlaps(boxes[0], boxes, np.ones(5, bool)) == pytest.approx([1, 1 / 4, 0, 1 / 2, 0])
    assert overlaps(boxes[4], boxes) == pytest.approx(np.zeros(5))
    assert overlaps(boxes[0], boxes[:0]).shape == (0,)


def test_rows_of_a_batch() -> None:
    rows = np.array(
        [
            [0, 1, 0.9, 0.1, 0.2, 0.3, 0.4],
            [1, 2, 0.8, 0.5, 0.5, 0.2, 0.4],
            [1, 2, np.nan, 0.5, 0.5, 0.2, 0.4],
            [0, -1, -1, -1, -1, -1, -1],
            [2, 1, 0.7, 0.1, 0.2, 0.3, 0.4],
            [0, 0, 0, 0, 0, 0, 0],
        ],
        np.float32,
    )[None, None]
    corners, centred = by_image(rows, 2, False), by_image(rows, 3, True)
    assert [len(each.scores) for each in corners] == [1, 1]
    assert [len(each.scores) for each in centred] == [1, 1, 1]
    assert corners[1].boxes == pytest.approx(np.array([[0.5, 0.5, 0.2, 0.4]]))
    assert centred[1].boxes == pytest.approx(np.array([[0.4, 0.3, 0.6, 0.7]]))
    assert (corners[1].labels.tolist(), corners[1].scores) == ([2], pytest.approx([0.8]))


def test_all_found() -> None:
    found = detections((A, 0.9), (B, 0.8), (AWAY, 0.1))
    assert precision((found, objects(A, B))) == (100, 100)


def test_nothing_found_and_nothing_there() -> None:
    assert precision((detections(), objects(A))) == (0, 0)
    assert precision((detections((A, 0.9)), objects())) == (0, 0)
    assert precision((detections(), objects())) == (0, 0)


def test_steps_of_the_recall_by_hand() -> None:
    """Right, wrong, right, of three objects: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.

    All points: 1/3 * 1 + 1/3 * 2/3. COCO: 34 of 101 recalls (0 to 0.33) have 1, the next 33 (0.34
    to 0.66) have 2/3, the others 0; boxes are exact, so that every IoU gives the same.
    """
    found = detections((A, 0.9), (AWAY, 0.8), (B, 0.7))
    voc, coco = precision((found, objects(A, B, C)))
    assert voc == pytest.approx(100 * (1 / 3 + 2 / 9))
    assert coco == pytest.approx(100 * (34 + 33 * 2 / 3) / 101)


def test_order_is_that_of_the_scores_over_all_images() -> None:
    """The wrong one of the second image comes first: precision 1/2 at recall 1."""
    images = (detections((A, 0.5)), objects(A)), (detections((AWAY, 0.9)), objects())
    assert precision(*images) == pytest.approx((50, 50))


def test_a_second_detection_of_an_object_is_wrong() -> None:
    """Right, wrong, right of two objects: all points 1/2 + 1/2 * 2/3."""
    voc, coco = precision((detections((A, 0.9), (A, 0.8), (B, 0.7)), objects(A, B)))
    assert voc == pytest.approx(100 * (1 / 2 + 1 / 3))
    assert coco == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)


def test_coco_gives_a_second_detection_the_next_object() -> None:
    """Both detections overlap the first object most; VOC asks for no other, COCO takes the second,
    which the second detection overlaps by 9/11."""
    near = (0.12, 0.1, 0.32, 0.3)
    found, truth = detections((A, 0.9), (A, 0.8)), objects(A, near)
    voc, coco = precision((found, truth))
    assert voc == pytest.approx(50)
    assert coco == pytest.approx((7 * 100 + 3 * 100 * 51 / 101) / 10)  # 0.5 to 0.8, and above


def test_the_iou_that_counts() -> None:
    """IoU 0.62: right for VOC, and for COCO at 0.5, 0.55 and 0.6 of ten."""
    part = (0.1, 0.1, 0.3, 0.1 + 0.2 * 0.62)
    assert precision((detections((part, 0.9)), objects(A))) == pytest.approx((100, 30))


def test_ignored_objects_neither_help_nor_harm() -> None:
    found = detections((A, 0.9), (B, 0.8))
    both = Truth.of([(A, 1, True, False), (B, 1, False, False)])
    assert precision((found, both)) == (100, 100)
    assert precision((detections((B, 0.8)), both)) == (100, 100)
    assert precision((found, objects(A, B, ignored=True))) == (0, 0), "no class has objects"


def test_many_detections_in_a_crowd_are_no_mistakes() -> None:
    crowd = (0.0, 0.0, 0.4, 1.0)
    truth = Truth.of([(crowd, 1, True, True), (B, 1, False, False)])
    found = detections((A, 0.9), (C, 0.8), (A, 0.7), (B, 0.6))
    assert precision((found, truth)) == (100, 100)


def test_the_mean_is_over_classes_that_have_objects() -> None:
    one = (detections((A, 0.9)), objects(A))
    two = (detections((AWAY, 0.9), label=2), objects(B, label=2))
    three = (detections((A, 0.9), label=3), objects())
    assert precision(one, two, three) == (50, 50)


COCO = [0.16105357664739156, 0.23339847858412213, 0.10793733025532677, 0.12327732067638496]
"""What pycocotools 2.0.11 gives for the same numbers (COCOeval, "bbox", stats[0])."""


def drawn(seed: int) -> list[tuple[Detections, Truth]]:
    """Objects, some of them crowds, and detections near them, some of another class."""
    rng = np.random.default_rng(seed)
    images: list[tuple[Detections, Truth]] = []
    for _ in range(8):
        truths: list[tuple[Box, int, bool, bool]] = []
        labels: list[int] = []
        scores: list[float] = []
        boxes: list[Box] = []
        for _ in range(rng.integers(0, 9)):
            x, y, w, h = (rng.uniform(0, 60), rng.uniform(0, 60), rng.uniform(5, 40),
                          rng.uniform(5, 40))  # fmt: skip
            crowd, label = bool(rng.random() < 0.15), int(rng.integers(1, 4))
            truths.append(((x, y, x + w, y + h), label, crowd, crowd))
            for _ in range(rng.integers(0, 4)):
                n = rng.normal(0, rng.choice([1, 4, 8]), 4)
                left, top, wide, high = x + n[0], y + n[1], max(1, w + n[2]), max(1, h + n[3])
                labels.append(label if rng.random() < 0.9 else int(rng.integers(1, 4)))
                scores.append(float(round(rng.random(), 2)))
                boxes.append((left, top, left + wide, top + high))
        found = Detections(np.array(labels, int), np.array(scores), np.array(boxes).reshape(-1, 4))
        images.append((found, Truth.of(truths)))
    return images


@pytest.mark.parametrize("seed", range(len(COCO)))
def test_it_is_coco_s_number(seed: int) -> None:
    _, coco = precision(*drawn(seed))
    assert coco == pytest.approx(100 * COCO[seed], abs=1e-9)


def test_coco_counts_the_100_best_of_a_class_in_an_image() -> None:
    found = detections(*[(AWAY, 0.9)] * 100, (A, 0.5))
    voc, coco = precision((found, objects(A)))
    assert voc == pytest.approx(100 / 101)
    assert coco == 0
