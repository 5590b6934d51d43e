"""A run of records, whatever those of a file hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.chip import BM1684
from dialects.bm1684.record.local import LocalGroup
from dialects.bm1684.record.machine import MachineError, execute
from dialects.bm1684.record.stream import Stream

Array = NDArray[Any]
Observe = Callable[[int, list[Array]], None]
"""Is shown the results of each record."""


def execute_records(
    stream: Stream,
    memory: Array,
    inputs: Sequence[Array],
    observe: Observe = lambda index, results: None,
) -> dict[int, Array]:
    """The network's results by id, for inputs in the network's order. ``memory`` are the bytes from
    the start of the network's memory on. Raises MachineError, whatever the records hold."""
    done = 0

    def counted(index: int, results: list[Array]) -> None:
        nonlocal done
        observe(index, results)
        done = index + 1

    given = dict(zip(stream.inputs, inputs, strict=True))
    try:
        with np.errstate(all="ignore"):
            return execute(stream, memory, BM1684.context_start, given, counted)
    except MachineError:
        raise
    except (ValueError, ArithmeticError) as error:
        group = stream.groups[done] if done < len(stream.groups) else None
        what = "" if group is None or isinstance(group, LocalGroup) else f"{group.kind.name}: "
        raise MachineError(done, f"{what}{error}") from None
