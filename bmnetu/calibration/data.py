"""Calibration data: a folder of images, an .npy or an .npz, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from bmnetu.calibration.arrays import open_npy, open_npz
from bmnetu.calibration.images import open_images
from bmnetu.errors import InputFileError
from dialects.blob import Array
from dialects.ufw.shapes import Shape


class Source(Protocol):
    """The samples of one net input, in order."""

    @property
    def count(self) -> int:
        """How many samples there are, at least one."""
        ...

    def read(self, size: int) -> Iterator[Array]:
        """All samples as finite float32 arrays of ``size`` samples, the last one of what is left.

        Raises :class:`InputFileError`.
        """
        ...


@dataclass(frozen=True)
class CalibrationData:
    """Samples for every net input, in batches of the inputs' own shapes.

    Nothing is held in memory but one batch; every walk reads the files again.
    """

    inputs: Mapping[str, Shape]
    sources: Mapping[str, Source]
    count: int

    def batches(self) -> Iterator[dict[str, Array]]:
        """The batches by input name; a last one that is not full repeats its samples."""
        walks = {name: self.sources[name].read(shape[0]) for name, shape in self.inputs.items()}
        for _ in range(self.count):
            yield {name: np.resize(next(walks[name]), shape) for name, shape in self.inputs.items()}


def open_data(path: Path, inputs: Mapping[str, Shape], limit: int) -> CalibrationData:
    """The data at a path for the net's inputs, at most ``limit`` batches.

    A folder holds images and an .npy one array, both for a net of one input; an .npz holds one
    array an input. Raises :class:`InputFileError` with one sentence.
    """
    sources = _open(path, inputs)
    counts = {name: -(-sources[name].count // shape[0]) for name, shape in inputs.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f'{count} of "{name}"' for name, count in counts.items())
        raise InputFileError(f"{path}: has a different number of batches for the inputs: {told}")
    return CalibrationData(inputs, sources, min(limit, *counts.values()))


def _open(path: Path, inputs: Mapping[str, Shape]) -> Mapping[str, Source]:
    if not path.exists():
        raise InputFileError(
            f"{path}: no such file or folder; images, an .npy or an .npz are wanted"
        )
    if path.suffix == ".npz" and path.is_file():
        return open_npz(path, inputs)
    if not path.is_dir() and path.suffix != ".npy":
        raise InputFileError(f"{path}: is neither a folder of images nor an .npy or .npz")
    if len(inputs) != 1:
        names = ", ".join(inputs)
        raise InputFileError(
            f"{path}: gives one input, the net has {len(inputs)} ({names}); "
            "give an .npz with one array an input"
        )
    ((name, shape),) = inputs.items()
    return {name: open_images(path, shape) if path.is_dir() else open_npy(path, name, shape)}
