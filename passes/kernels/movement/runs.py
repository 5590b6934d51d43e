"""Lists of indices as runs: elements at equal steps that come from elements at equal steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

MOST_PHASES = 64
"""Steps of the result that are tried."""
Indices = NDArray[np.int32]


@dataclass(frozen=True)
class Run:
    """Results ``first``, ``first + step`` ... (``count`` of them) come from operand elements
    ``source``, ``source + source_step`` ...; all have the same ``weight`` for the element behind
    theirs. A ``source`` of -1 is no element."""

    first: int
    step: int
    count: int
    source: int
    source_step: int
    weight: float = 0.0

    def within(self, begin: int, end: int) -> Run | None:
        """The results of the run from ``begin`` to ``end - 1``; None where it has none there."""
        skipped = max(0, -(-(begin - self.first) // self.step))
        left = min(self.count, -(-(end - self.first) // self.step)) - skipped
        if left <= 0:
            return None
        source = self.source + skipped * self.source_step
        return replace(
            self, first=self.first + skipped * self.step, count=left, source=source
        )


def runs_of(indices: Sequence[int], weights: Sequence[float] | None = None) -> list[Run]:
    """The fewest runs that one step of the results gives; steps of operand elements are not
    negative."""
    index = np.asarray(indices, np.int64)
    weight = np.zeros(len(index)) if weights is None else np.asarray(weights, np.float64)
    steps = range(1, min(len(index), MOST_PHASES) + 1)
    best: list[Run] | None = None
    for step in steps:
        found: list[Run] = []
        for phase in range(step):
            found += _segments(index, weight, phase, step)
            if best is not None and len(found) >= len(best):
                break
        else:
            best = found
    assert best is not None
    return best


def _segments(
    index: NDArray[np.int64], weight: NDArray[np.float64], phase: int, step: int
) -> Iterator[Run]:
    """The runs of every ``step``-th result from ``phase`` on."""
    own, weights = index[phase::step], weight[phase::step]
    begin, count = 0, len(own)
    while begin < count:
        end, by = begin + 1, 0
        if end < count and _follows(own, weights, begin, end):
            by = int(own[end] - own[begin])
            while end < count and own[end] - own[end - 1] == by and weights[end] == weights[begin]:
                end += 1
        first = phase + begin * step
        yield Run(first, step, end - begin, int(own[begin]), by, float(weights[begin]))
        begin = end


def _follows(
    index: NDArray[np.int64], weight: NDArray[np.float64], one: int, other: int
) -> bool:
    """Whether two results can be of one run."""
    alike = bool(index[one] < 0) == bool(index[other] < 0)
    return bool(weight[one] == weight[other] and alike and index[other] >= index[one])
