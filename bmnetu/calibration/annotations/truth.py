"""What is to be detected in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from bmnetu.calibration.data.faults import MisfitError
from dialects.constant import Array

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Truth:
    """Of one input image: boxes [n, 4] float64 (left, top, right, bottom, relative to the image)
    and their classes [n] of the net.

    Those that are ``ignored`` [n] need not be found, and it is no mistake to find them. ``crowd``
    [n] are ignored ones that stand for many objects.
    """

    boxes: Array
    labels: Array
    ignored: Array
    crowd: Array

    @staticmethod
    def of(rows: Sequence[tuple[Box, int, bool, bool]]) -> Truth:
        """From a box, a class, ignored and crowd of each object."""
        boxes = np.array([box for box, *_ in rows], np.float64).reshape(-1, 4)
        labels = np.array([label for _, label, *_ in rows], np.int64)
        ignored, crowd = (np.array([row[i] for row in rows], bool) for i in (2, 3))
        return Truth(boxes, labels, ignored, crowd)


@dataclass(frozen=True)
class Object:
    """An object of a picture: its class as the annotations name it, its ``box`` in pixels."""

    label: str
    box: Box
    ignored: bool = False
    crowd: bool = False


@dataclass(frozen=True)
class Annotation:
    """The objects of a picture, and ``size``, its width and height; 0 where they are not given."""

    size: tuple[float, float]
    objects: tuple[Object, ...]


def checked_box(box: Box) -> Box:
    """The box. Raises :class:`MisfitError` for one that is none."""
    left, top, right, bottom = box
    if not all(map(isfinite, box)) or right < left or bottom < top:
        numbers = ", ".join(f"{x:g}" for x in box)
        raise MisfitError(f"has the box {numbers}; left, top, right, bottom are expected")
    return box
