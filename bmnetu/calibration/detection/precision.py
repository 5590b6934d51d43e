"""Mean average precision, as Pascal VOC and COCO measure it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from bmnetu.calibration.annotations.truth import Truth
from bmnetu.calibration.detection.boxes import Detections, overlaps
from dialects.constant import Array

RIGHT, WRONG, IGNORED = 1, 0, -1
"""What a detection counts as."""
RECALLS = np.linspace(0, 1, 101)
"""Where COCO reads the precision."""


@dataclass(frozen=True)
class Measure:
    """A way to measure: ``judge`` says what the detections of a class in an image count as, best
    first, by their IoU with every object; ``area`` is that under the precision over the recall. The
    mean is taken over the ``ious`` and the classes. Only the ``most`` best of a class in an image
    count.
    """

    ious: tuple[float, ...]
    judge: Callable[[Array, Truth, float], Array]
    area: Callable[[Array, Array], float]
    most: int | None = None


def _voc(ious: Array, truth: Truth, least: float) -> Array:
    """A detection is that of the object that it overlaps most; a second one of it is wrong."""
    found = np.full(len(ious), WRONG, np.int8)
    taken = np.zeros(ious.shape[1], bool)
    for i, row in enumerate(ious if ious.size else ()):
        best = int(row.argmax())
        if row[best] < least:
            continue
        if truth.ignored[best]:
            found[i] = IGNORED
        elif not taken[best]:
            found[i], taken[best] = RIGHT, True
    return found


def _coco(ious: Array, truth: Truth, least: float) -> Array:
    """A detection is that of the object that it overlaps most of those left; ignored ones come
    last, and a crowd is never taken."""
    found = np.full(len(ious), WRONG, np.int8)
    taken = np.zeros(ious.shape[1], bool)
    for i, row in enumerate(ious):
        free = (row >= least) & (~taken | truth.crowd)
        for state, chosen in ((RIGHT, free & ~truth.ignored), (IGNORED, free & truth.ignored)):
            if chosen.any():
                best = int(np.where(chosen, row, -1).argmax())
                found[i], taken[best] = state, True
                break
    return found


def _area(recall: Array, precision: Array) -> float:
    """All points: each step of the recall counts with the best precision from there on."""
    steps = np.diff(recall, prepend=0.0)
    return float(steps @ _best_from_here(precision))


def _mean_at_recalls(recall: Array, precision: Array) -> float:
    """The mean over RECALLS of the best precision from there on; 0 where it is not reached."""
    best = np.append(_best_from_here(precision), 0.0)
    return float(best[np.searchsorted(recall, RECALLS, side="left")].mean())


def _best_from_here(precision: Array) -> Array:
    return np.maximum.accumulate(precision[::-1])[::-1]


MEASURES: Mapping[str, Measure] = {
    "0.5": Measure((0.5,), _voc, _area),
    "0.5:0.95": Measure(
        tuple(np.linspace(0.5, 0.95, 10).tolist()), _coco, _mean_at_recalls, most=100
    ),
}
"""By the IoU that a detection must have. The first is Pascal VOC's, with all points; the second
COCO's."""


@dataclass
class OfClass:
    """What is counted of a class: the objects that are to be found, the scores of detections, and
    by measure and IoU what each counts as."""

    objects: int = 0
    scores: list[Array] = field(default_factory=list[Array])
    states: dict[str, list[Array]] = field(default_factory=dict[str, list[Array]])

    def watch(self, found: Detections, truth: Truth) -> None:
        """Takes in an image: all of the class, the best detection first."""
        self.objects += int(np.count_nonzero(~truth.ignored))
        self.scores.append(found.scores)
        ious = np.array(
            [overlaps(box, truth.boxes, truth.crowd) for box in found.boxes], np.float64
        ).reshape(len(found.boxes), len(truth.boxes))
        for name, measure in MEASURES.items():
            some = ious[: measure.most]
            states = np.full((len(ious), len(measure.ious)), IGNORED, np.int8)
            for i, least in enumerate(measure.ious):
                states[: len(some), i] = measure.judge(some, truth, least)
            self.states.setdefault(name, []).append(states)

    def merge(self, other: OfClass) -> None:
        self.objects += other.objects
        self.scores += other.scores
        for name, states in other.states.items():
            self.states.setdefault(name, []).extend(states)

    def precision(self, name: str) -> float:
        """The average precision by a measure, from 0 to 1."""
        measure = MEASURES[name]
        order = np.argsort(-np.concatenate(self.scores), kind="stable")
        states = np.concatenate(self.states[name])[order]
        areas = [self._area(measure, column) for column in states.T]
        return float(np.mean(areas))

    def _area(self, measure: Measure, states: Array) -> float:
        states = states[states != IGNORED]
        right = np.cumsum(states == RIGHT)
        precision = right / np.arange(1, len(states) + 1)
        return measure.area(right / self.objects, precision)


@dataclass
class Precision:
    """What is counted over images, by class."""

    classes: dict[int, OfClass] = field(default_factory=dict[int, OfClass])

    def watch(self, found: Detections, truth: Truth) -> None:
        """Takes in an image."""
        for label in np.union1d(found.labels, truth.labels).astype(int).tolist():
            mine = truth.labels == label
            some = Truth(truth.boxes[mine], truth.labels[mine], truth.ignored[mine],
                         truth.crowd[mine])  # fmt: skip
            self.classes.setdefault(label, OfClass()).watch(found.of_class(label), some)

    def merge(self, other: Precision) -> None:
        """Takes in the images that follow."""
        for label, found in other.classes.items():
            self.classes.setdefault(label, OfClass()).merge(found)

    def mean(self, name: str) -> float:
        """The mean average precision by a measure over all classes that have objects, in percent;
        0 where there are none."""
        each = [found.precision(name) for found in self.classes.values() if found.objects]
        return 100 * float(np.mean(each)) if each else 0.0
