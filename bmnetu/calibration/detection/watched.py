"""What is counted of the outputs of both nets, which are detections or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bmnetu.calibration.accuracy.scores import Scores
from bmnetu.calibration.annotations.truth import Truth
from bmnetu.calibration.detection.boxes import by_image
from bmnetu.calibration.detection.matches import Matches
from bmnetu.calibration.detection.outputs import DetectionOutput
from bmnetu.calibration.detection.precision import Precision
from dialects.constant import Array


@dataclass
class OfOutput:
    """What is counted of an output: FP32 beside INT8, and each beside what is there."""

    matches: Matches = field(default_factory=Matches)
    fp32: Precision = field(default_factory=Precision)
    int8: Precision = field(default_factory=Precision)

    def merge(self, other: OfOutput) -> None:
        self.matches.merge(other.matches)
        self.fp32.merge(other.fp32)
        self.int8.merge(other.int8)


@dataclass
class Watched:
    """What is counted over ``samples``, in batches of ``batch``: of the ``outputs`` that are
    detections in ``found``, of the others in ``scores``, see there for ``classes`` and ``labels``.
    ``truths`` are what is to be detected in every sample, None where it is not known."""

    classes: Sequence[str]
    labels: Array | None
    outputs: Mapping[str, DetectionOutput]
    samples: int
    batch: int
    truths: Sequence[Truth] | None = None
    found: dict[str, OfOutput] = field(default_factory=dict[str, OfOutput])
    scores: Scores = field(init=False)

    def __post_init__(self) -> None:
        self.scores = Scores(classes=self.classes, labels=self.labels)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"truths": None}  # what was counted goes to other processes alone

    def watch(self, first: int, expected: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        others = {name: array for name, array in expected.items() if name not in self.outputs}
        self.scores.watch(first, others, found)
        images = min(self.batch, self.samples - first)
        for name, output in self.outputs.items():
            counted = self.found.setdefault(name, OfOutput())
            pairs = zip(
                by_image(expected[name], images, output.centred),
                by_image(found[name], images, output.centred),
                strict=True,
            )
            for i, (fp32, int8) in enumerate(pairs):
                counted.matches.watch(fp32, int8)
                if self.truths is not None:
                    counted.fp32.watch(fp32, self.truths[first + i])
                    counted.int8.watch(int8, self.truths[first + i])

    def merge(self, other: Watched) -> None:
        self.scores.merge(other.scores)
        for name, counted in other.found.items():
            self.found.setdefault(name, OfOutput()).merge(counted)
