"""Boxes of SSD: the prior boxes of ssd.prototxt, which of them stand for which shape, and the
locations that say so. Boxes are left, top, right, bottom, relative to the picture.
"""

from __future__ import annotations

import numpy as np

from examples.detect.draw import SIDE, Array

MAPS = ((8, 14, 26), (4, 26, 36))
"""For each head: the side of its map, min_size and max_size of its PriorBox."""
RATIO = 1.4
"""The aspect ratio of two more boxes, one lying and one standing."""
BOXES = 4
"""How many boxes a cell has."""
VARIANCES = np.array([0.1, 0.1, 0.2, 0.2], np.float32)
ENOUGH = 0.4
"""A prior box that overlaps a shape by this stands for it."""


def prior_boxes() -> Array:
    """P x 4: cell by cell of each map, four boxes a cell."""
    found: list[Array] = []
    for side, least, most in MAPS:
        mean, root = np.sqrt(least * most), np.sqrt(RATIO)
        sizes = np.array([[least, least], [mean, mean], [least * root, least / root],
                          [least / root, least * root]]) / SIDE  # fmt: skip
        y, x = np.mgrid[:side, :side]
        centre = (np.stack([x, y], axis=-1).reshape(-1, 1, 2) + 0.5) / side
        found.append(np.concatenate([centre - sizes / 2, centre + sizes / 2], axis=-1))
    return np.concatenate([boxes.reshape(-1, 4) for boxes in found]).astype(np.float32)


def overlaps(some: Array, others: Array) -> Array:
    """A x B: the intersection over the union of each pair."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) for boxes in (some, others))
    return common / (np.add.outer(*areas) - common)


def match(labels: Array, boxes: Array, priors: Array) -> tuple[Array, Array]:
    """What the net should say of a picture with at least one shape: the class of each prior box
    [P], 0 for none, and its locations [P, 4], which count where there is a class.

    A prior box stands for the shape that it overlaps most, if by ENOUGH; and the best prior box of
    a shape stands for it in any case, so that no shape is left out.
    """
    table = overlaps(priors, boxes)
    shape, share = table.argmax(axis=1), table.max(axis=1)
    best = table.argmax(axis=0)
    shape[best], share[best] = np.arange(len(boxes)), 1
    return np.where(share >= ENOUGH, labels[shape], 0), encoded(boxes[shape], priors)


def encoded(boxes: Array, priors: Array) -> Array:
    """The locations by which prior boxes become the boxes: CENTER_SIZE of DetectionOutput."""
    size, prior_size = boxes[:, 2:] - boxes[:, :2], priors[:, 2:] - priors[:, :2]
    moved = (boxes[:, :2] + boxes[:, 2:] - priors[:, :2] - priors[:, 2:]) / 2 / prior_size
    return np.concatenate([moved, np.log(size / prior_size)], axis=1) / VARIANCES
