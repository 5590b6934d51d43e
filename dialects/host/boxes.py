"""Boxes as arrays: overlaps, and the choice of those that do not overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.ufw.shapes import require

Array = NDArray[Any]
NO_IMAGE_ROW = -1.0
"""What the columns behind the image hold in the rows of a batch in which nothing is found."""


def check_overlap(threshold: float) -> None:
    """Raises unless boxes can overlap that much."""
    require(0 <= threshold <= 1, f"nms_threshold is {threshold:g}, it must be between 0 and 1")


def overlap(box: Array, others: Array, extra: float = 0.0) -> Array:
    """The intersection over the union of a box [4] with each of others [n, 4], float32.

    Boxes are left, top, right, bottom; ``extra`` is added to widths and heights (1 where corners
    are pixels that belong to the box). 0 where there is no intersection.
    """
    one = np.float32(extra)
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    size = np.maximum(high - low + one, 0).astype(np.float32)
    common = size[:, 0] * size[:, 1]
    union = area(box[None], extra)[0] + area(others, extra) - common
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(common > 0, common / union, 0).astype(np.float32)


def area(boxes: Array, extra: float = 0.0) -> Array:
    """The areas of boxes [n, 4]; 0 for one without an inside."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2] + np.float32(extra), 0)
    return (size[:, 0] * size[:, 1]).astype(np.float32)


def batch_rows(rows: list[list[list[float]]]) -> Array:
    """[1, 1, rows, 7] of image, label, score and coordinates. ``rows`` are those of each image,
    without their first column. A batch without any has a row of -1 for each image."""
    found = [[float(image), *row] for image, some in enumerate(rows) for row in some]
    if not found:
        found = [[float(image), *[NO_IMAGE_ROW] * 6] for image in range(len(rows))]
    return np.array(found, np.float32)[None, None]
