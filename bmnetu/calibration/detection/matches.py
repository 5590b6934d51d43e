"""How far INT8 detects what FP32 detects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bmnetu.calibration.detection.boxes import Detections, overlaps

SCORE = 0.5
"""Detections with a larger score count."""
PARTNER, CLOSE = 0.5, 0.9
"""The least IoU of two boxes that are partners, and of those that are close."""


@dataclass
class Matches:
    """Counts over the images of an output.

    ``fp32`` and ``int8``: detections above SCORE. ``matched`` of FP32's have a partner in INT8, a
    box of the same class with an IoU of at least PARTNER, whatever its score; ``close`` of them
    one with at least CLOSE. ``alone`` of INT8's have no partner in FP32.
    """

    fp32: int = 0
    int8: int = 0
    matched: int = 0
    close: int = 0
    alone: int = 0
    iou_sum: float = 0.0
    """Of the ``matched``."""
    least_iou: float = 1.0
    """Of the ``matched``."""
    score_difference: float = 0.0
    """The largest between partners, one of which at least is above SCORE."""

    def watch(self, fp32: Detections, int8: Detections) -> None:
        """Counts an image."""
        self.fp32 += int(np.count_nonzero(fp32.scores > SCORE))
        self.int8 += int(np.count_nonzero(int8.scores > SCORE))
        self.alone += int(np.count_nonzero(int8.scores > SCORE))
        for real, held, iou in _partners(fp32, int8):
            self.alone -= held > SCORE
            if max(real, held) > SCORE:
                self.score_difference = max(self.score_difference, abs(real - held))
            if real > SCORE:
                self.matched += 1
                self.close += iou >= CLOSE
                self.iou_sum += iou
                self.least_iou = min(self.least_iou, iou)

    def merge(self, other: Matches) -> None:
        """Takes in the counts of other images."""
        self.fp32 += other.fp32
        self.int8 += other.int8
        self.matched += other.matched
        self.close += other.close
        self.alone += other.alone
        self.iou_sum += other.iou_sum
        self.least_iou = min(self.least_iou, other.least_iou)
        self.score_difference = max(self.score_difference, other.score_difference)

    @property
    def lost(self) -> int:
        """How many of FP32's have no partner."""
        return self.fp32 - self.matched

    @property
    def mean_iou(self) -> float:
        """Of the ``matched``; 1 where there are none."""
        return self.iou_sum / self.matched if self.matched else 1.0


def _partners(fp32: Detections, int8: Detections) -> Iterator[tuple[float, float, float]]:
    """Both scores and the IoU of the partners of an image. The best box of FP32 chooses first, of
    all that are left the one that it overlaps most."""
    for label in np.unique(fp32.labels).tolist():
        mine, theirs = fp32.of_class(label), int8.of_class(label)
        left = np.ones(len(theirs.scores), bool)
        for box, score in zip(mine.boxes, mine.scores.tolist(), strict=True):
            if not left.any():
                break
            ious = np.where(left, overlaps(box, theirs.boxes), 0)
            best = int(ious.argmax())
            if ious[best] >= PARTNER:
                left[best] = False
                yield score, float(theirs.scores[best]), float(ious[best])
