"""What the blobs hold on the calibration data: ranges and histograms, one batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from xdsl.dialects.func import FuncOp

from dialects.blob import Array
from dialects.execute import execute
from dialects.ufw.reference import evaluate

BINS = 2048
Batch = Mapping[str, Array]
Watch = Callable[[str, Array], None]


def run(function: FuncOp, batches: Iterable[Batch], watch: Watch) -> None:
    """Shows ``watch`` every blob of the net, by name, for every batch of inputs."""
    for batch in batches:
        for name, array in batch.items():
            watch(name, array)
        execute(function, batch, evaluate, watch)


class Ranges:
    """The largest magnitude of each blob. ``faulty`` are blobs with numbers that are not finite;
    those numbers do not count."""

    def __init__(self) -> None:
        self.largest: dict[str, float] = {}
        self.faulty: set[str] = set()

    def watch(self, name: str, array: Array) -> None:
        low, high = float(array.min()), float(array.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            self.faulty.add(name)
            finite = array[np.isfinite(array)]
            low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
        self.largest[name] = max(self.largest.get(name, 0.0), -low, high)


class Histograms:
    """The magnitudes of the blobs in ``largest``, in 2048 bins from 0 to the largest.

    Zeros are left out: every scale holds them exactly.
    """

    def __init__(self, largest: Mapping[str, float]) -> None:
        self.largest = largest
        self.counts = {name: np.zeros(BINS, np.int64) for name in largest}

    def watch(self, name: str, array: Array) -> None:
        if name not in self.counts:
            return
        magnitude = np.abs(array[np.isfinite(array) & (array != 0)])
        bins = (magnitude * np.float32(BINS / self.largest[name])).astype(np.int32)
        self.counts[name] += np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)
