"""Statistics over all batches, whoever computes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from xdsl.dialects.func import FuncOp

from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.run.crew import Job
from bmnetu.calibration.run.portable import PortableFunction
from bmnetu.calibration.run.progress import progress
from dialects.constant import Array
from dialects.execute import execute
from dialects.meaning import evaluate_whole


class Mergeable(Protocol):
    """What is found over some batches. It can be pickled."""

    def merge(self, other: Self) -> None:
        """Takes in what another one has of the batches that follow."""
        ...


class Accumulator(Mergeable, Protocol):
    """What is gathered of the blobs."""

    def watch(self, name: str, array: Array) -> None:
        """Takes in a blob of a batch, its inputs first."""
        ...


MergeableT = TypeVar("MergeableT", bound=Mergeable)
AccumulatorT = TypeVar("AccumulatorT", bound=Accumulator)


@dataclass(frozen=True)
class _Pass(Generic[AccumulatorT]):
    """A net run over batches of data; without a net, only the inputs are watched."""

    net: PortableFunction | None
    data: CalibrationData
    make: Callable[[], AccumulatorT]

    def run(self, index: int) -> AccumulatorT:
        found, batch = self.make(), self.data.batch(index)
        for name, array in batch.items():
            found.watch(name, array)
        if self.net is not None:
            execute(self.net.function, batch, evaluate_whole, found.watch)
        return found


def accumulate(
    function: FuncOp | None,
    data: CalibrationData,
    make: Callable[[], AccumulatorT],
    what: str = "calibrating",
) -> AccumulatorT:
    """What ``make()`` gathers of all blobs of a ufw function, by name, over all batches.

    Every batch has an accumulator of its own; they are merged in the order of the batches, so that
    the result is the same to the last bit whoever computes, see :class:`Crew`. ``make`` can be
    pickled: a class, or a partial of one. Without a function only the inputs are watched. ``what``
    is the title of the progress bar.
    """
    job = _Pass(PortableFunction(function) if function is not None else None, data, make)
    return merged(job, data, make(), what, data.fragile if function is None else None)


def merged(
    job: Job[MergeableT],
    data: CalibrationData,
    found: MergeableT,
    what: str,
    fragile: Path | None = None,
) -> MergeableT:
    """``found``, with what the job gives for each batch of the data merged into it in order."""
    with data.crew.results(job, data.count, fragile) as results:
        for part in progress(results, data.count, what):
            found.merge(part)
    return found
