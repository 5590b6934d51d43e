"""Draws the boxes that are found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from bmnetu.calibration.detection.boxes import Detections
from examples.detect.draw import CLASSES, SIDE, Picture

ZOOM = 4
COLUMNS = 4
SURE = 0.5
"""Boxes with a lower score are not drawn."""
COLOURS: Sequence[str] = ("black", "red", "yellow", "cyan")
"""The colour of each class."""


def sheet(pictures: Sequence[Picture], found: Sequence[Detections]) -> Image.Image:
    """All pictures in rows, with the boxes of each."""
    size = SIDE * ZOOM
    whole = Image.new("RGB", (COLUMNS * size, -(-len(pictures) // COLUMNS) * size))
    for i, (picture, some) in enumerate(zip(pictures, found, strict=True)):
        one = Image.fromarray(np.ascontiguousarray(picture.pixels.transpose(1, 2, 0)))
        one = one.resize((size, size), Image.Resampling.NEAREST)
        pen = ImageDraw.Draw(one)
        for label, score, box in zip(some.labels, some.scores, some.boxes, strict=True):
            if score < SURE:
                continue
            colour = COLOURS[int(label)]
            left, top, right, bottom = (float(at) * size for at in box)
            pen.rectangle((left, top, right, bottom), outline="black", width=4)
            pen.rectangle((left, top, right, bottom), outline=colour, width=2)
            text = (max(left, 0) + 4, max(top, 0) + 3)
            pen.text(text, f"{CLASSES[int(label)]} {score:.2f}", fill=colour,
                     stroke_width=2, stroke_fill="black")  # fmt: skip
        whole.paste(one, (i % COLUMNS * size, i // COLUMNS * size))
    return whole
