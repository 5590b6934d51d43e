"""How two bmodels differ, stage by stage."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.bmodel import Stage, Tensor
from bmnetu.errors import UnsupportedError
from bmnetu.inspect.alike import same_commands
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.commands.info import stage_record, tensor_record
from bmnetu.inspect.commands.profile import stage_profile
from bmnetu.inspect.execution import run_stage
from bmnetu.inspect.inputs import as_stored
from bmnetu.inspect.steps import host_name
from bmnetu.report.profile import LayerProfile, Profile
from passes.verification.inputs import random_inputs

Array = NDArray[Any]
Record = dict[str, Any]
NOT_COUNTED = {"name", "made", "placed"}
"""What may differ where the same runs: the name of the net, where it comes from, and ``placed``:
the bytes of weights, which stand elsewhere, or of which some are read by nothing."""
PLACED = {"weights", "other_weights", "other_places", "other_commands", "other_subnets"}
"""What differs in two stages with the same commands where their weights stand elsewhere."""


@dataclass(frozen=True)
class Pair:
    """A stage of the first file and of the second; one is None where only the other has it."""

    a: Chosen | None
    b: Chosen | None

    def __str__(self) -> str:
        return str(self.a or self.b)


def pairs(some: Sequence[Chosen], others: Sequence[Chosen]) -> list[Pair]:
    """The stages of two files: those of one net's name and number; where both have one net, its
    name may be another; one stage of each belong together."""
    if len(some) == len(others) == 1:
        return [Pair(some[0], others[0])]
    nets = [list(dict.fromkeys(each.net for each in found)) for found in (some, others)]
    names = dict(zip(nets[1], nets[0], strict=True)) if [*map(len, nets)] == [1, 1] else {}
    first = {(each.net, each.number): each for each in some}
    second = {(names.get(each.net, each.net), each.number): each for each in others}
    return [Pair(first.get(key), second.get(key)) for key in first | second]


def stage_difference(a: Chosen, b: Chosen) -> Record:
    """What differs: each item is missing where it does not. ``made``: the options and hashes in
    the notes. Those of NOT_COUNTED do not change what runs."""
    found: Record = {"name": [a.net, b.net]} if a.net != b.net else {}
    for what in ("inputs", "outputs"):
        tensors = list(_tensors(getattr(a.stage, what), getattr(b.stage, what)))
        found |= {what: tensors} if tensors else {}
    first, second = map(_facts, (a.stage, b.stage))
    found |= {name: [first[name], second[name]] for name in first if first[name] != second[name]}
    for what, same in _contents(a.stage, b.stage):
        found |= {} if same else {f"other_{what}": True}
    differs = found.keys() - NOT_COUNTED
    if differs and differs <= PLACED and _same_commands(a.stage, b.stage):
        found = {key: value for key, value in found.items() if key in NOT_COUNTED}
        found["placed"] = [first["weights"], second["weights"]]
    found |= _layers(a, b) if found.keys() - NOT_COUNTED else {}
    made = {
        key: [left.get(key), right.get(key)]
        for left, right in zip(_made(a), _made(b), strict=True)
        for key in {**left, **right} if left.get(key) != right.get(key)
    }  # fmt: skip
    return found | ({"made": made} if made else {})


def _made(found: Chosen) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return found.notes.options, found.notes.sha256


def _tensors(some: Sequence[Tensor], others: Sequence[Tensor]) -> Iterator[Record]:
    for a, b in _matched(some, others):
        if a is None or b is None or a != replace(b, address=a.address):
            yield {"a": a and tensor_record(a), "b": b and tensor_record(b)}


def _matched(
    some: Sequence[Tensor], others: Sequence[Tensor]
) -> list[tuple[Tensor | None, Tensor | None]]:
    """Tensors of one name; of the others, where they are as many in both files, in their order."""
    first, second = ({t.name: t for t in tensors} for tensors in (some, others))
    ours, theirs = ([t for t in x if t.name not in y]
                    for x, y in ((some, second), (others, first)))  # fmt: skip
    common = [(t, second[t.name]) for t in some if t.name in second]
    if len(ours) == len(theirs):
        return [*common, *zip(ours, theirs, strict=True)]
    return [*common, *((t, None) for t in ours), *((None, t) for t in theirs)]


def _facts(stage: Stage) -> Record:
    record = stage_record(stage)
    commands = record["commands"]
    return {
        "dynamic": stage.is_dynamic,
        "weights": record["weights"]["bytes"],
        "neurons": record["memory"]["bytes"],
        "groups": len(commands["groups"]),
        "tiu": commands["tiu"],
        "gdma": commands["gdma"],
        "records": len(stage.records),
        "host": [host_name(s.host) for s in stage.subnets if s.host is not None],
    }


def _contents(a: Stage, b: Stage) -> Iterator[tuple[str, bool]]:
    """Whether what the runtime gets is equal, beside inputs and outputs."""
    yield "weights", (a.coeff_address, a.coeff) == (b.coeff_address, b.coeff)
    yield "places", _places(a) == _places(b)
    yield "commands", (a.groups, a.records) == (b.groups, b.records)
    yield "subnets", a.subnets == b.subnets


def _same_commands(a: Stage, b: Stage) -> bool:
    """Of static stages."""
    return not a.is_dynamic and not b.is_dynamic and same_commands(a, b)


def _places(stage: Stage) -> list[int]:
    return [stage.context_address, *(t.address for t in (*stage.inputs, *stage.outputs))]


# -- layers ----------------------------------------------------------------------------------------


def _layers(a: Chosen, b: Chosen) -> Record:
    """The cycles of both, of each row of their profiles; where both files name layers, which are
    there and where."""
    if a.stage.is_dynamic or b.stage.is_dynamic:
        first, second = ({name: None for name, _ in each.notes.layers} for each in (a, b))
        return _named(a, b, list(first), list(second))
    profiles = stage_profile(a), stage_profile(b)
    first, second = map(_rows, profiles)
    rows: list[Record] = [
        {"layer": name, "a": _cycles(first, name), "b": _cycles(second, name)}
        for name in first | second
    ]
    rows.sort(key=lambda row: -abs(row["b"] - row["a"]))
    cycles = {"total": [each.total.cycles for each in profiles],
              "layers": [row for row in rows if row["a"] != row["b"]]}  # fmt: skip
    if not a.notes.layers or not b.notes.layers:
        return {"cycles": cycles}
    orders = [sorted(found, key=lambda name: found[name].end) for found in (first, second)]
    engines = {
        name: [_engines(first[name]), _engines(second[name])]
        for name in first if name in second and _engines(first[name]) != _engines(second[name])
    }  # fmt: skip
    return {"cycles": cycles} | ({"engines": engines} if engines else {}) | _named(a, b, *orders)


def _rows(profile: Profile) -> dict[str, LayerProfile]:
    """The rows by the names of their layers; of one name, with the line of the prototxt."""
    found: dict[str, LayerProfile] = {}
    for row in profile.layers:
        found[f"{row.layer} {row.where}" if row.layer in found else row.layer] = row
    return found


def _cycles(rows: dict[str, LayerProfile], name: str) -> int:
    return rows[name].cycles if name in rows else 0


def _engines(row: LayerProfile) -> list[str]:
    return [name for name, cycles in (("TIU", row.tiu_cycles), ("GDMA", row.gdma_cycles)) if cycles]


def _named(a: Chosen, b: Chosen, first: list[str], second: list[str]) -> Record:
    """What became of the layers, whose names are given in the order in which they end. Of one
    and the same prototxt, a layer without commands of its own is part of another."""
    model = a.notes.sha256.get("model")
    same = model is not None and model == b.notes.sha256.get("model")
    only = [n for n in first if n not in second], [n for n in second if n not in first]
    places = {name: place for place, name in enumerate(second)}
    common = [name for name in first if name in places]
    kept = _rising([places[name] for name in common])
    moved = [name for index, name in enumerate(common) if index not in kept]
    kinds = ("fused", "split") if same else ("gone", "new")
    found = dict(zip(kinds, only, strict=True)) | {"moved": moved}
    return {what: names for what, names in found.items() if names}


def _rising(numbers: Sequence[int]) -> set[int]:
    """The places of a longest part of the numbers that rises."""
    ends: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for place, number in enumerate(numbers):
        at = bisect_left(ends, number)
        ends[at : at + 1], places[at : at + 1] = [number], [place]
        before.append(places[at - 1] if at else -1)
    found: set[int] = set()
    place = places[-1] if places else -1
    while place >= 0:
        found.add(place)
        place = before[place]
    return found


# -- run -------------------------------------------------------------------------------------------


def run_difference(a: Chosen, b: Chosen, seed: int) -> list[Record]:
    """Both on the model of the NPU with the same made-up inputs: of each output the largest
    difference of real numbers, and the largest number of the first file. Raises UnsupportedError
    where their inputs cannot be the same; FaultError."""
    matched = _matched(a.stage.inputs, b.stage.inputs)
    first: dict[str, Array] = {}
    second: dict[str, Array] = {}
    for number, (left, right) in enumerate(matched):
        if left is None or right is None or left.shape != right.shape:
            raise UnsupportedError(f"--run: {a} and {b} have other inputs, or other shapes of them")
        alike = (left.data_type, left.scale) == (right.data_type, right.scale)
        kind = left.data_type.numpy if alike else np.dtype(np.float32)
        (made,) = random_inputs([(left.shape, kind)], seed + number)
        first[left.name] = as_stored(made, left, "")
        second[right.name] = as_stored(made, right, "")
    ours, theirs = run_stage(a, first).outputs, run_stage(b, second).outputs
    return [
        {"output": left.name}
        | _apart(_real(ours[left.name], left), _real(theirs[right.name], right))
        for left, right in _matched(a.stage.outputs, b.stage.outputs)
        if left is not None and right is not None
    ]


def _real(array: Array, tensor: Tensor) -> Array:
    """Integers as the real numbers that they stand for."""
    return array.astype(np.float64) * (tensor.scale if array.dtype.kind in "iu" else 1.0)


def _apart(a: Array, b: Array) -> Record:
    if a.shape != b.shape:
        return {"shapes": [list(a.shape), list(b.shape)]}
    with np.errstate(invalid="ignore"):
        gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    gap = np.where(np.isnan(gap), np.inf, gap)
    at = np.unravel_index(int(np.argmax(gap)), gap.shape) if gap.size else ()
    largest = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    difference = float(gap[at]) if gap.size else 0.0
    return {"difference": difference, "at": [int(i) for i in at], "largest": largest}
