"""Draws pictures of circles, squares and triangles on textured backgrounds. Since the shapes are
drawn, their classes and boxes are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bmnetu.calibration.annotations.truth import Truth

Array = NDArray[Any]

SIDE = 64
CLASSES = ("background", "circle", "square", "triangle")
MOST_SHAPES = 4
SMALLEST, LARGEST = 12, 36
"""Width and height of a shape in pixels."""
STRETCH = 1.5
"""How much wider than high a shape is at most, or higher than wide."""
CONTRAST = 50
"""How far a shape's colour is from the background, at least, in one channel's mean."""
FINE = 4
"""Edges are drawn on a grid that is finer by this, so that they come out smooth."""
TRIES = 50


@dataclass(frozen=True)
class Picture:
    """A picture and what is drawn on it."""

    pixels: Array
    """3 x SIDE x SIDE, uint8."""
    labels: Array
    """The class of each shape, from 1 on."""
    boxes: Array
    """Left, top, right and bottom of each shape, float32, relative to the picture."""

    def truth(self) -> Truth:
        """As the measure of detections takes it."""
        nothing = np.zeros(len(self.labels), bool)
        return Truth(self.boxes.astype(np.float64), self.labels, nothing, nothing)

    def mirrored(self) -> Picture:
        """Left to right."""
        boxes = self.boxes.copy()
        boxes[:, [0, 2]] = 1 - self.boxes[:, [2, 0]]
        return Picture(self.pixels[:, :, ::-1], self.labels, boxes)


def pictures(count: int, seed: int) -> list[Picture]:
    """As many pictures; the same seed draws the same."""
    random = np.random.default_rng(seed)
    return [picture(random) for _ in range(count)]


def picture(random: np.random.Generator) -> Picture:
    """One to MOST_SHAPES shapes that do not overlap, on a texture."""
    canvas = texture(random)
    labels: list[int] = []
    corners: list[Array] = []
    for _ in range(random.integers(1, MOST_SHAPES + 1)):
        corner = _free_place(random, corners)
        if corner is None:
            break
        label = int(random.integers(1, len(CLASSES)))
        shape = mask(label, corner)
        behind = canvas[:, shape > 0].mean(axis=1)
        canvas += shape * (_colour(random, behind)[:, None, None] - canvas)
        labels.append(label)
        corners.append(corner)
    canvas += random.normal(0, random.uniform(2, 10), canvas.shape)
    pixels = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    boxes = np.array(corners, np.float32) / np.float32(SIDE)
    return Picture(pixels, np.array(labels), boxes)


def texture(random: np.random.Generator) -> Array:
    """3 x SIDE x SIDE: two colours, mixed by stripes, by blobs or by a slope."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    angle = random.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    kind = random.integers(3)
    if kind == 0:
        mix = 0.5 + 0.5 * np.sin(along * random.uniform(10, 80))
    elif kind == 1:
        cells = int(random.integers(3, 20))
        coarse = Image.fromarray(random.random((cells, cells)).astype(np.float32))
        mix = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    else:
        mix = along - along.min()
    first, second = random.uniform(30, 225, (2, 3, 1, 1))
    return first + (0.6 * mix) * (second - first)


def mask(label: int, corner: Array) -> Array:
    """SIDE x SIDE: which part of each pixel a shape covers that fills the box, in pixels."""
    fine = Image.new("L", (SIDE * FINE, SIDE * FINE))
    pen = ImageDraw.Draw(fine)
    left, top, right, bottom = (int(at) for at in corner * FINE)
    right, bottom = right - 1, bottom - 1
    if CLASSES[label] == "circle":
        pen.ellipse((left, top, right, bottom), fill=255)
    elif CLASSES[label] == "square":
        pen.rectangle((left, top, right, bottom), fill=255)
    else:
        pen.polygon([((left + right) / 2, top), (right, bottom), (left, bottom)], fill=255)
    return np.asarray(fine.reduce(FINE), np.float64) / 255


def _free_place(random: np.random.Generator, taken: list[Array]) -> Array | None:
    """A box in pixels that meets none of those taken; None where none is found."""
    for _ in range(TRIES):
        size = random.uniform(SMALLEST, LARGEST)
        stretch = STRETCH ** random.uniform(-0.5, 0.5)
        extent = np.clip(np.rint([size * stretch, size / stretch]), SMALLEST, LARGEST)
        start = np.floor(random.uniform(0, SIDE + 1 - extent))
        box = np.concatenate([start, start + extent])
        if not any((box[:2] < other[2:]).all() and (box[2:] > other[:2]).all() for other in taken):
            return box
    return None


def _colour(random: np.random.Generator, behind: Array) -> Array:
    """A colour that is not that of the background."""
    while True:
        colour = random.uniform(0, 255, 3)
        if np.abs(colour - behind).max() >= CONTRAST:
            return colour
