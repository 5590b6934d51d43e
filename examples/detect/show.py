"""Draws the boxes that are found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from examples.detect.draw import CLASSES, SIDE, Array, Picture

ZOOM = 4
COLUMNS = 4
SURE = 0.5
"""Boxes with a lower score are not drawn."""
COLOURS = (None, "red", "yellow", "cyan")
"""The colour of each class."""


def sheet(pictures: Sequence[Picture], found: Sequence[Array]) -> Image.Image:
    """All pictures in rows, with the boxes of each: class, score, left, top, right, bottom."""
    size = SIDE * ZOOM
    whole = Image.new("RGB", (COLUMNS * size, -(-len(pictures) // COLUMNS) * size))
    for i, (picture, rows) in enumerate(zip(pictures, found, strict=True)):
        one = Image.fromarray(np.ascontiguousarray(picture.pixels.transpose(1, 2, 0)))
        one = one.resize((size, size), Image.Resampling.NEAREST)
        pen = ImageDraw.Draw(one)
        for label, score, *box in rows[rows[:, 1] >= SURE].tolist():
            colour = COLOURS[int(label)]
            left, top, right, bottom = (at * size for at in box)
            pen.rectangle((left, top, right, bottom), outline="black", width=4)
            pen.rectangle((left, top, right, bottom), outline=colour, width=2)
            text = (max(left, 0) + 4, max(top, 0) + 3)
            pen.text(text, f"{CLASSES[int(label)]} {score:.2f}", fill=colour,
                     stroke_width=2, stroke_fill="black")  # fmt: skip
        whole.paste(one, (i % COLUMNS * size, i // COLUMNS * size))
    return whole
