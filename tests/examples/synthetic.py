"""Fashion-MNIST's four files with made-up images, since tests do not have the real ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from examples.measure import Array

SIDE = 28


def images(count: int, seed: int) -> Array:
    """N x 1 x 28 x 28 uint8: bright rectangles on black, with soft edges and some noise."""
    random = np.random.default_rng(seed)
    at = np.arange(SIDE)
    found: Array = np.zeros((count, 1, SIDE, SIDE))
    for i in range(count):
        image: Array = found[i, 0]
        for _ in range(random.integers(1, 5)):
            (y, x), (h, w) = random.uniform(4, 24, 2), random.uniform(3, 14, 2)
            inside = np.outer(np.clip(h - abs(at - y), 0, 1), np.clip(w - abs(at - x), 0, 1))
            np.maximum(image, inside * random.uniform(60, 240), out=image)
        image += (image > 0) * random.normal(0, 12, image.shape)
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def write_idx(path: Path, array: Array) -> None:
    """A gzipped idx file of unsigned bytes."""
    header = np.array([8 << 8 | array.ndim, *array.shape], ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes(), mtime=0))


def write_part(folder: Path, part: str, pixels: Array, labels: Array) -> None:
    write_idx(folder / f"{part}-images-idx3-ubyte.gz", pixels[:, 0])
    write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels.astype(np.uint8))
