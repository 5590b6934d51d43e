"""What a net detects in an image, and how far boxes overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dialects.constant import Array

COLUMNS = 7
"""Of a detection: image, class, score and four coordinates."""


@dataclass(frozen=True)
class Detections:
    """Of one image: the classes [n], the scores [n] and the boxes [n, 4] float64: left, top, right,
    bottom, relative to the image."""

    labels: Array
    scores: Array
    boxes: Array

    def of_class(self, label: int) -> Detections:
        """Those of one class, the best first."""
        chosen = np.flatnonzero(self.labels == label)
        chosen = chosen[np.argsort(-self.scores[chosen], kind="stable")]
        return Detections(self.labels[chosen], self.scores[chosen], self.boxes[chosen])


def by_image(output: Array, images: int, centred: bool) -> list[Detections]:
    """The detections of the first images of a batch, from rows [..., 7]. ``centred``: the
    coordinates are centre x, y, width, height.

    Rows without a class or a positive score are none: a batch without detections has them, and
    those that the layer did not fill.
    """
    rows = output.reshape(-1, COLUMNS).astype(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1)]
    rows = rows[(rows[:, 1] >= 0) & (rows[:, 2] > 0)]
    boxes = rows[:, 3:]
    if centred:
        half = boxes[:, 2:] / 2
        boxes = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    found: list[Detections] = []
    for image in range(images):
        mine = rows[:, 0] == image
        found.append(Detections(rows[mine, 1].astype(int), rows[mine, 2], boxes[mine]))
    return found


def overlaps(box: Array, others: Array, crowd: Array | None = None) -> Array:
    """The intersection over the union (IoU) of a box [4] with each of others [n, 4].

    With one of a ``crowd`` [n] it is the intersection over the box's own area, as COCO does. 0
    where there is no intersection.
    """
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = _areas(np.concatenate([low, high], axis=1))
    own = _areas(box[None])
    whole = own + _areas(others) - common
    if crowd is not None:
        whole = np.where(crowd, own, whole)
    return np.divide(common, whole, out=np.zeros(len(others)), where=common > 0)


def _areas(boxes: Array) -> Array:
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
