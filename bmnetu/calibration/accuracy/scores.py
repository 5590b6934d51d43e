"""How well a net and its integer net find classes, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bmnetu.calibration.accuracy.closeness import Closeness
from bmnetu.calibration.accuracy.outputs import OutputErrors
from dialects.constant import Array

RANKS = (1, 5)
"""The label has to be among so many best classes; RANKS that are no fewer than the classes do not
count."""


@dataclass
class Hits:
    """Counts over the samples of an output: of all, of those where both nets choose one class, and
    by rank of those whose label FP32 and INT8 find."""

    samples: int = 0
    same: int = 0
    fp32: dict[int, int] = field(default_factory=dict[int, int])
    int8: dict[int, int] = field(default_factory=dict[int, int])

    def merge(self, other: Hits) -> None:
        self.samples += other.samples
        self.same += other.same
        for mine, more in ((self.fp32, other.fp32), (self.int8, other.int8)):
            for rank, count in more.items():
                mine[rank] = mine.get(rank, 0) + count


@dataclass
class Scores(OutputErrors):
    """What is counted: ``classes`` are the outputs that choose one, ``labels`` those of all
    samples."""

    classes: Sequence[str] = ()
    labels: Array | None = None
    hits: dict[str, Hits] = field(default_factory=dict[str, Hits])

    def watch(self, first: int, expected: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        super().watch(first, expected, found)
        for name in self.classes:
            fp32, int8 = (each[name].reshape(len(each[name]), -1) for each in (expected, found))
            labels = None if self.labels is None else self.labels[first : first + len(fp32)]
            self.hits[name] = _hits(fp32, int8, labels)

    def merge(self, other: OutputErrors) -> None:
        super().merge(other)
        if isinstance(other, Scores):
            for name, hits in other.hits.items():
                self.hits.setdefault(name, Hits()).merge(hits)


def _hits(fp32: Array, int8: Array, labels: Array | None) -> Hits:
    """Counts of one batch: N x classes, and N labels. Of equal numbers the first class counts."""
    orders = [np.argsort(-scores, axis=1, kind="stable") for scores in (fp32, int8)]
    hits = Hits(len(fp32), int(np.sum(orders[0][:, 0] == orders[1][:, 0])))
    if labels is not None:
        for rank in (rank for rank in RANKS if rank < fp32.shape[1]):
            found = [np.any(order[:, :rank] == labels[:, None], axis=1) for order in orders]
            hits.fp32[rank], hits.int8[rank] = (int(each.sum()) for each in found)
    return hits


@dataclass(frozen=True)
class Accuracy:
    """What FP32 and INT8 find, in percent: of the labels of samples, or mean average precision."""

    fp32: float
    int8: float

    @property
    def drop(self) -> float:
        """What INT8 loses, in percentage points."""
        return self.fp32 - self.int8


@dataclass(frozen=True)
class OutputScore:
    """An output: ``agreement`` is the percentage of samples where both nets choose one class, None
    where it does not choose classes; ``top`` the accuracy by rank, 1 and 5, empty without labels.
    """

    name: str
    closeness: Closeness
    agreement: float | None
    top: dict[int, Accuracy]


def score_of(name: str, found: Scores) -> OutputScore:
    """What was counted of an output."""
    hits = found.hits.get(name)
    if hits is None:
        return OutputScore(name, found.outputs[name], None, {})
    percent = 100 / hits.samples
    top = {
        rank: Accuracy(count * percent, hits.int8[rank] * percent)
        for rank, count in hits.fp32.items()
    }
    return OutputScore(name, found.outputs[name], hits.same * percent, top)
