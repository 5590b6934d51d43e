"""A run of records, whatever those of a file hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.chip import BM1684
from dialects.bm1684.record.local import LocalGroup
from dialects.bm1684.record.machine import Machine, MachineError
from dialects.bm1684.record.stream import Stream

Array = NDArray[Any]
Observe = Callable[[int, list[Array]], None]
"""Is shown the results of each record."""


def launched(stream: Stream, memory: Array, inputs: Sequence[Array]) -> Machine:
    """A launch, of which nothing has run. ``memory`` are the bytes from the start of the network's
    memory on, ``inputs`` stand in the network's order."""
    given = dict(zip(stream.inputs, inputs, strict=True))
    return Machine(stream, memory, BM1684.context_start, given)


def run_record(machine: Machine, index: int) -> list[Array]:
    """The results of a record. Raises MachineError, whatever it holds."""
    try:
        with np.errstate(all="ignore"):
            return machine.run(index)
    except MachineError:
        raise
    except (ValueError, ArithmeticError) as error:
        group = machine.stream.groups[index]
        what = "" if isinstance(group, LocalGroup) else f"{group.kind.name}: "
        raise MachineError(index, f"{what}{error}") from None


def execute_records(
    stream: Stream,
    memory: Array,
    inputs: Sequence[Array],
    observe: Observe = lambda index, results: None,
) -> dict[int, Array]:
    """The network's results by id, as :func:`launched` and :func:`run_record` give them."""
    machine = launched(stream, memory, inputs)
    for index in range(len(stream.groups)):
        observe(index, run_record(machine, index))
    return machine.outputs
