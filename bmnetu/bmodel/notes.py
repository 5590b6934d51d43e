"""What our compiler leaves in a stage for tools, as JSON in the field that is made for a map of
tensors (``NetParameter.tensor_loc``), which the runtime does not read: where the file comes from,
which layer each command belongs to, and where tensors lie.

No paths and no times are in it: equal networks and options give equal bytes on any machine.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, groupby
from typing import Any, TypeVar, cast

from bmnetu.bmodel.model import MAX_RANK
from bmnetu.version import VERSION

MOST_BYTES = 1 << 23
"""Longer notes are not read."""
ENGINES = ("tiu", "gdma")
RECORD = "record"
"""The engine of a dynamic stage, whose only group holds its records."""


@dataclass(frozen=True)
class NamedTensor:
    """A tensor in DDR that is final after a command of ``engine`` in a group (the last one that
    says so), or the result of a record. Shape, dtype and packed (4N) as the network has it."""

    name: str
    group: int
    engine: str
    number: int
    address: int
    shape: tuple[int, ...]
    dtype: str
    packed: bool


@dataclass(frozen=True)
class Notes:
    """``layers``: their names, and the lines of the prototxt. ``runs``: for each group and engine
    runs of commands, in the order of their ids, as (place in ``layers``, count). ``options``: the
    flags that decide what is made. ``sha256``: hashes of the files it was made from."""

    layers: tuple[tuple[str, int], ...] = ()
    runs: tuple[Mapping[str, tuple[tuple[int, int], ...]], ...] = ()
    tensors: tuple[NamedTensor, ...] = ()
    version: str = VERSION
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sha256: Mapping[str, str] = field(default_factory=dict[str, str])

    def pack(self) -> bytes:
        """The bytes."""
        tensors = [[t.name, t.group, t.engine, t.number, t.address, t.shape, t.dtype, t.packed]
                   for t in self.tensors]  # fmt: skip
        found = {
            "bmnetu": self.version, "options": self.options, "sha256": self.sha256,
            "layers": self.layers, "runs": self.runs, "tensors": tensors,
        }  # fmt: skip
        return json.dumps(found, separators=(",", ":")).encode()

    @staticmethod
    def parse(data: bytes) -> Notes | None:
        """The notes in these bytes; None for what is not ours, or not of this form."""
        if not 0 < len(data) <= MOST_BYTES:
            return None
        try:
            found = json.loads(data)
            return _checked(found)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def layer(self, group: int, engine: str, number: int) -> tuple[str, int] | None:
        """Name and line of the layer of a command, counted from 1; None where that is not said."""
        ends = self._ends[group].get(engine) if group < len(self._ends) else None
        at = bisect_right(ends, number - 1) if ends else 0
        if not ends or at >= len(ends):
            return None
        return self.layers[self.runs[group][engine][at][0]]

    @cached_property
    def _ends(self) -> list[dict[str, list[int]]]:
        """Where each run ends."""
        return [
            {engine: [*accumulate(count for _, count in some)] for engine, some in group.items()}
            for group in self.runs
        ]


def runs_of(places: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Places of layers, a command each, as runs."""
    return tuple((place, len([*some])) for place, some in groupby(places))


def _checked(found: Any) -> Notes | None:
    """Raises one of many errors for a wrong form."""
    if not isinstance(found, dict) or "bmnetu" not in found:
        return None
    given = cast(dict[str, Any], found)
    layers = tuple((_is(str, name), _is(int, line)) for name, line in given["layers"])
    runs = tuple(
        {_is(str, engine): tuple(_run(run, len(layers)) for run in some)
         for engine, some in group.items()}
        for group in given["runs"]
    )  # fmt: skip
    tensors = tuple(_tensor(*each) for each in given["tensors"])
    options = cast(dict[str, Any], _is(dict, given["options"]))
    hashes = cast(dict[str, Any], _is(dict, given["sha256"]))
    sha256 = {name: _is(str, value) for name, value in hashes.items()}
    return Notes(layers, runs, tensors, _is(str, given["bmnetu"]), options, sha256)


def _run(run: Any, layers: int) -> tuple[int, int]:
    place, count = (_is(int, number) for number in run)
    if not 0 <= place < layers or count < 0:
        raise ValueError("no run")
    return place, count


def _tensor(
    name: Any, group: Any, engine: Any, number: Any, address: Any, shape: Any, dtype: Any,
    packed: Any,
) -> NamedTensor:  # fmt: skip
    extents = tuple(_is(int, extent) for extent in shape)
    if not 1 <= len(extents) <= MAX_RANK or min(extents) < 1:
        raise ValueError("no shape")
    return NamedTensor(
        _is(str, name), _is(int, group), _is(str, engine), _is(int, number), _is(int, address),
        extents, _is(str, dtype), _is(bool, packed),
    )  # fmt: skip


T = TypeVar("T")


def _is(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
