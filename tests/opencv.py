"""Layers of a prototxt computed by OpenCV's importer of Caffe networks, an implementation that
shares nothing with this one."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from dialects.execute import execute
from dialects.ufw.reference import evaluate
from tests.frontend.samples import data, layer, loaded, main_of
from tests.networks import random_weights

Array = NDArray[np.float32]


def both(kind: str, rest: str, x: Array) -> tuple[Array, Array]:
    """One layer of x: as this package computes it, and as OpenCV does; same random weights."""
    text = data(*x.shape) + layer(kind, rest)
    with TemporaryDirectory() as folder:
        net = random_weights(text, 1)
        (ours,) = execute(main_of(loaded(Path(folder), text, net)), [x], evaluate)
        paths = [str(Path(folder) / f"cv.{end}") for end in ("prototxt", "caffemodel")]
        Path(paths[0]).write_text(text)
        Path(paths[1]).write_bytes(net.SerializeToString())
        theirs = cast(Any, cv2).dnn.readNetFromCaffe(*paths)
        theirs.setInput(x, "data")
        return ours, np.asarray(theirs.forward("l"), np.float32)
