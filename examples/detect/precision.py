"""Mean average precision of detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from examples.detect.boxes import overlaps
from examples.detect.draw import CLASSES, Array, Picture

FOUND = 0.5
"""A box that overlaps a shape of its class by this has found it."""


def mean_average_precision(found: Sequence[Array], pictures: Sequence[Picture]) -> float:
    """The mean over the classes. ``found`` are the rows of each picture: class, score, left, top,
    right, bottom.
    """
    labels = range(1, len(CLASSES))
    return float(np.mean([average_precision(found, pictures, label) for label in labels]))


def average_precision(found: Sequence[Array], pictures: Sequence[Picture], label: int) -> float:
    """The area under precision over recall of one class, as Pascal VOC has it since 2010: the
    precision at a recall is the best one at that recall or above.
    """
    scores: list[float] = []
    hits: list[bool] = []
    shapes = 0
    for rows, picture in zip(found, pictures, strict=True):
        mine, theirs = rows[rows[:, 0] == label], picture.boxes[picture.labels == label]
        scores += mine[:, 1].tolist()
        hits += matches(mine[:, 1:], theirs)
        shapes += len(theirs)
    order = np.argsort(-np.array(scores), kind="stable")
    right = np.array(hits, bool)[order]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / shapes)


def matches(rows: Array, boxes: Array) -> list[bool]:
    """For each row of score and box whether it finds a shape of a picture. The best row comes
    first, and looks at the shape that it overlaps most; a shape that is found already counts no
    more.
    """
    hits = [False] * len(rows)
    if not len(boxes):
        return hits
    taken: set[int] = set()
    table = overlaps(rows[:, 1:], boxes)
    for row in np.argsort(-rows[:, 0], kind="stable").tolist():
        shape = int(table[row].argmax())
        hits[row] = table[row, shape] >= FOUND and shape not in taken
        if hits[row]:
            taken.add(shape)
    return hits
