"""Calibration data: images, an LMDB, an .npy or an .npz, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from bmnetu.calibration.data.arrays import open_npy, open_npz
from bmnetu.calibration.data.datums import Datums, is_lmdb, open_datums
from bmnetu.calibration.data.faults import reading
from bmnetu.calibration.data.images import SUFFIXES, open_images
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.calibration.run.crew import ALONE, Crew
from bmnetu.errors import InputFileError
from dialects.blob import Array
from dialects.ufw.shapes import Shape


class Source(Protocol):
    """The samples of one net input, in order. It can be pickled, to be read in other processes."""

    @property
    def count(self) -> int:
        """How many samples there are, at least one."""
        ...

    @property
    def labels(self) -> Array | None:
        """The class of every sample, if the source has them. Raises :class:`InputFileError`."""
        ...

    def name(self, index: int) -> str:
        """A sample's name for messages."""
        ...

    def read(self, start: int, stop: int) -> Array:
        """The samples from start to before stop, or the last one, as finite float32 numbers.

        Reading forwards is quick. Raises :class:`InputFileError`.
        """
        ...


@dataclass(frozen=True)
class CalibrationData:
    """Samples for every net input, in batches of the inputs' own shapes.

    Nothing is held in memory but one batch; every walk reads the files again. ``count`` is the
    number of batches, ``contract`` what was done to the samples (None: nothing), ``crew`` who
    computes over them.
    """

    inputs: Mapping[str, Shape]
    sources: Mapping[str, Source]
    count: int
    contract: Preprocess | None = None
    crew: Crew = ALONE
    order: tuple[int, ...] | None = None

    def batch(self, index: int) -> dict[str, Array]:
        """A batch by input name; the last one repeats its samples when there are too few."""
        index = index if self.order is None else self.order[index]
        found: dict[str, Array] = {}
        for name, shape in self.inputs.items():
            samples = self.sources[name].read(index * shape[0], (index + 1) * shape[0])
            found[name] = np.resize(samples, shape)
        return found

    def batches(self) -> Iterator[dict[str, Array]]:
        """All batches in order."""
        return map(self.batch, range(self.count))

    def labels(self) -> Array | None:
        """The class of every sample in the batches, without repeated ones; None: not known."""
        name, shape = next(iter(self.inputs.items()))
        found = self.sources[name].labels
        return None if found is None else found[: self.count * shape[0]]

    @property
    def samples(self) -> int:
        """How many samples are in the batches, without repeated ones."""
        name, shape = next(iter(self.inputs.items()))
        return min(self.sources[name].count, self.count * shape[0])

    def chosen(self, batches: Sequence[int]) -> CalibrationData:
        """Some of the batches alone."""
        return replace(self, count=len(batches), order=tuple(batches))

    def new(self, index: int) -> int:
        """How many samples of a batch are not there a second time, to fill it."""
        name, shape = next(iter(self.inputs.items()))
        place = index if self.order is None else self.order[index]
        return min(shape[0], self.sources[name].count - place * shape[0])

    def limited(self, samples: int) -> CalibrationData:
        """The first batches that hold so many samples, at least one batch."""
        size = next(iter(self.inputs.values()))[0]
        return replace(self, count=min(self.count, max(1, samples // size)))

    @property
    def fragile(self) -> Path | None:
        """A file that can end the process that reads it, if it is damaged."""
        found = (source.path for source in self.sources.values() if isinstance(source, Datums))
        return next(found, None)


def holds_arrays(path: Path) -> bool:
    """Whether the data are an .npy or .npz."""
    return path.is_file() and path.suffix in (".npy", ".npz")


def open_data(
    path: Path,
    inputs: Mapping[str, Shape],
    limit: int,
    contract: Preprocess | None = None,
    crew: Crew = ALONE,
) -> CalibrationData:
    """The data at a path for the net's inputs, at most ``limit`` batches.

    An image, a folder of images, an LMDB and an .npy are for a net of one input; an .npz holds one
    array an input. Without a contract arrays are the inputs as they are, and images are resized to
    the input. Raises :class:`InputFileError` with one sentence.
    """
    if contract is None and not holds_arrays(path):
        contract = _default(path, inputs)
    sources = _open(path, inputs, contract)
    counts = {name: -(-sources[name].count // shape[0]) for name, shape in inputs.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f'{count} of "{name}"' for name, count in counts.items())
        raise InputFileError(f"{path}: has a different number of batches for the inputs: {listed}")
    return CalibrationData(inputs, sources, min(limit, *counts.values()), contract, crew)


def _default(path: Path, inputs: Mapping[str, Shape]) -> Preprocess:
    """What is done to images when nobody says it."""
    if not path.exists():
        raise InputFileError(
            f"{path}: no such file or folder; images, an LMDB, an .npy or an .npz are expected"
        )
    if not (path.is_dir() or path.suffix.lower() in SUFFIXES or is_lmdb(path)):
        raise InputFileError(
            f"{path}: is neither an image or a folder of images, nor an LMDB, .npy or .npz"
        )
    _check_alone(path, inputs)
    with reading(path, "images"):
        return Preprocess().resolved(next(iter(inputs.values())))


def _open(
    path: Path, inputs: Mapping[str, Shape], contract: Preprocess | None
) -> Mapping[str, Source]:
    if path.is_file() and path.suffix == ".npz":
        return open_npz(path, inputs, contract)
    _check_alone(path, inputs)
    ((name, shape),) = inputs.items()
    if contract is None or holds_arrays(path):
        return {name: open_npy(path, name, shape, contract)}
    opener = open_datums if is_lmdb(path) else open_images
    return {name: opener(path, contract, shape[1])}


def _check_alone(path: Path, inputs: Mapping[str, Shape]) -> None:
    if len(inputs) != 1:
        names = ", ".join(inputs)
        raise InputFileError(
            f"{path}: gives one input, the net has {len(inputs)} ({names}); "
            "give an .npz with one array an input"
        )
