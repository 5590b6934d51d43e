"""Statistics over all batches, whoever computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from xdsl.context import Context
from xdsl.dialects.func import FuncOp
from xdsl.parser import Parser

from bmnetu.calibration.data import CalibrationData
from bmnetu.calibration.progress import progress
from bmnetu.dump import blobs_of, fill_blobs, module_text
from bmnetu.pipeline import DIALECTS
from dialects.blob import Array
from dialects.execute import execute
from dialects.ufw.reference import evaluate
from passes.support.program import main_function


class Accumulator(Protocol):
    """What is gathered over the batches. It can be pickled."""

    def watch(self, name: str, array: Array) -> None:
        """Takes in a blob of a batch, its inputs first."""
        ...

    def merge(self, other: Self) -> None:
        """Takes in what another one has of the batches that follow."""
        ...


AccumulatorT = TypeVar("AccumulatorT", bound=Accumulator)


class PortableFunction:
    """A function that can be pickled: as text with its weights, which is exact."""

    def __init__(self, function: FuncOp) -> None:
        self.function = function

    def __reduce__(self) -> tuple[Callable[..., PortableFunction], tuple[Any, ...]]:
        return _unpacked, (module_text(self.function), blobs_of(self.function))


def _unpacked(text: str, weights: Mapping[str, Array]) -> PortableFunction:
    context = Context()
    for dialect in DIALECTS:
        context.load_dialect(dialect)
    module = Parser(context, text).parse_module()
    fill_blobs(module, weights)
    return PortableFunction(main_function(module))


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
            execute(self.net.function, batch, evaluate, found.watch)
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
    found = make()
    fragile = data.fragile if function is None else None
    with data.crew.results(job, data.count, fragile) as results:
        for part in progress(results, data.count, what):
            found.merge(part)
    return found
