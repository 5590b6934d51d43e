"""The outputs of a float net beside those of its integer net."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from bmnetu.calibration.accumulate import Mergeable
from bmnetu.calibration.closeness import Closeness
from bmnetu.calibration.data import CalibrationData
from bmnetu.calibration.integer_net import IntegerNet
from bmnetu.calibration.portable import PortableFunction
from dialects.blob import Array
from dialects.execute import execute, names_of
from dialects.ufw.reference import evaluate


class OutputWatcher(Mergeable, Protocol):
    """What is gathered of the outputs."""

    def watch(self, first: int, wanted: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        """Takes in the outputs of a batch, whose first sample is the data's ``first``."""
        ...


WatcherT = TypeVar("WatcherT", bound=OutputWatcher)


@dataclass(frozen=True)
class Outputs(Generic[WatcherT]):
    """Both nets, run over a batch; ``make`` can be pickled. Repeated samples are left out."""

    net: PortableFunction
    int8: IntegerNet
    data: CalibrationData
    make: Callable[[], WatcherT]

    def run(self, index: int) -> WatcherT:
        found, batch, function = self.make(), self.data.batch(index), self.net.function
        size = len(next(iter(batch.values())))
        count = min(size, self.data.samples - index * size)
        outputs = names_of(function, "output_names")
        wanted = dict(zip(outputs, execute(function, batch, evaluate), strict=True))
        pairs = [
            {name: array[:count] if len(array) == size else array for name, array in each.items()}
            for each in (wanted, self.int8.run(batch))
        ]
        found.watch(index * size, *pairs)
        return found


@dataclass
class OutputErrors:
    """How close every output is, by name."""

    outputs: dict[str, Closeness] = field(default_factory=dict[str, Closeness])

    def watch(self, first: int, wanted: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        for name, array in wanted.items():
            self.outputs.setdefault(name, Closeness()).add(array, found[name])

    @property
    def noise(self) -> float:
        """The mean noise relative to the signal over all outputs that have one."""
        found = [each.relative_noise for each in self.outputs.values() if each.signal]
        return float(np.mean(found)) if found else 0.0

    @property
    def cosine(self) -> float:
        """The cosine of the output that has the smallest."""
        return min((each.cosine for each in self.outputs.values()), default=1.0)

    def merge(self, other: OutputErrors) -> None:
        for name, closeness in other.outputs.items():
            self.outputs.setdefault(name, Closeness()).merge(closeness)
