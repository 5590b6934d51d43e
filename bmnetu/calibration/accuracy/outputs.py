"""The outputs of a float net beside those of its integer net."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from bmnetu.calibration.accuracy.closeness import Closeness
from bmnetu.calibration.accuracy.regions import Regions, with_regions
from bmnetu.calibration.data.accumulate import Mergeable
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.calibration.run.portable import PortableFunction
from dialects.constant import Array
from dialects.execute import execute, names_of
from dialects.meaning import evaluate_whole


class OutputWatcher(Mergeable, Protocol):
    """What is gathered of the outputs."""

    def watch(self, first: int, expected: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        """Takes in the outputs of a batch, whose first sample is the data's ``first``."""
        ...


WatcherT = TypeVar("WatcherT", bound=OutputWatcher)


@dataclass(frozen=True)
class Outputs(Generic[WatcherT]):
    """Both nets, run over a batch; ``make`` can be pickled. Repeated samples are left out.

    What is watched of the outputs are they themselves, and their ``regions``.
    """

    net: PortableFunction
    int8: Int8Net
    data: CalibrationData
    make: Callable[[], WatcherT]
    regions: Regions = field(default_factory=dict[str, Mapping[str, Array]])

    def run(self, index: int) -> WatcherT:
        found, batch, function = self.make(), self.data.batch(index), self.net.function
        size = len(next(iter(batch.values())))
        count = self.data.new(index)
        outputs = names_of(function, "output_names")
        expected = dict(zip(outputs, execute(function, batch, evaluate_whole), strict=True))
        pairs = [
            {name: array[:count] if len(array) == size else array for name, array in each.items()}
            for each in (expected, self.int8.run(batch))
        ]
        found.watch(index * size, *(with_regions(each, self.regions) for each in pairs))
        return found


@dataclass
class OutputErrors:
    """How close every output is, by name, and every operand that an output is joined of."""

    outputs: dict[str, Closeness] = field(default_factory=dict[str, Closeness])

    def watch(self, first: int, expected: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        for name, array in expected.items():
            self.outputs.setdefault(name, Closeness()).add(array, found[name])

    @property
    def noise(self) -> float:
        """The mean noise relative to the signal over all that have one."""
        return float(np.mean(list(self._noises.values()) or [0.0]))

    @property
    def worst(self) -> str:
        """What has the largest noise relative to its signal."""
        return max(self._noises, key=self._noises.__getitem__, default="")

    @property
    def worst_noise(self) -> float:
        """The largest noise relative to the signal."""
        return max(self._noises.values(), default=0.0)

    @property
    def cosine(self) -> float:
        """The smallest cosine."""
        return min((each.cosine for each in self.outputs.values() if each.signal), default=1.0)

    @property
    def _noises(self) -> dict[str, float]:
        return {name: each.relative_noise for name, each in self.outputs.items() if each.signal}

    def merge(self, other: OutputErrors) -> None:
        for name, closeness in other.outputs.items():
            self.outputs.setdefault(name, Closeness()).merge(closeness)
