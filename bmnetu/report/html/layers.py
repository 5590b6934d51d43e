"""A row a layer: what it costs, and what the compare found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import LocationAttr, ModuleOp, NameLoc

from bmnetu.report.html.network import Node, takers
from bmnetu.report.profile import Profile
from bmnetu.report.result import LayerResult, layers_of
from passes.image.groups import Sites
from passes.module.locations import location_text
from passes.verification.findings import Findings

Key = tuple[str, str]
"""A layer's name, and its file:line."""
ADDED = "(added)"
"""The type of what is no layer of the network: conversions that the compiler adds."""


@dataclass(frozen=True)
class Layers:
    """The rows of the page, and the number of each by its key. The nodes of the graph come first,
    then what the compiler added."""

    rows: list[dict[str, Any]]
    numbers: dict[Key, int]

    def number(self, location: LocationAttr) -> int:
        """The row of an op."""
        if isinstance(location, NameLoc):
            return self.numbers[location.desc.data, location_text(location.location)]
        return self.numbers["", location_text(location)]

    def first_bad(self, findings: Findings | None) -> int | None:
        """The row of the first layer that differs by itself."""
        bad = None if findings is None else findings.first_bad
        return None if bad is None else self.numbers.get((bad.layer, bad.where))


def layers_table(
    nodes: Sequence[Node], module: ModuleOp, costs: Profile | None, findings: Findings | None
) -> Layers:
    """The rows; ``costs`` and ``findings`` are None where nothing was estimated or compared."""
    results = () if findings is None else layers_of(findings)
    spent = {} if costs is None else {(each.layer, each.where): each for each in costs.layers}
    compared = {(each.name, each.where): each for each in results}
    rows = [node.record() for node in nodes]
    numbers = {(node.name, node.where): at for at, node in enumerate(nodes)}
    for name, where in (*spent, *compared):
        if (name, where) not in numbers:
            numbers[name, where] = len(rows)
            rows.append({"name": name, "type": ADDED, "where": where, "place": "NPU"})
    for key, at in numbers.items():
        if costs is not None and key in spent:
            rows[at] |= _spent(spent[key].record(), costs.total.cycles)
        if key in compared:
            rows[at] |= _compared(compared[key])
    found = Layers(rows, numbers)
    if costs is not None:
        for at, taker in takers(nodes, _makers(module, found)).items():
            rows[at]["part_of"] = taker
            if "verdict" in rows[at] and "verdict" not in rows[taker]:
                rows[taker]["compared_as"] = at
    return found


def _spent(cost: Mapping[str, Any], total: int) -> dict[str, Any]:
    """Cycles, bytes and products."""
    names = {"cycles": "cycles", "tiu": "tiu_cycles", "gdma": "gdma_cycles", "read": "ddr_read",
             "written": "ddr_written", "macs": "macs", "use": "multiplier_use",
             "bound": "bound"}  # fmt: skip
    share = cost["cycles"] / max(1, total)
    return {short: cost[name] for short, name in names.items()} | {"share": share}


def _compared(found: LayerResult) -> dict[str, Any]:
    size = sum(each.size for each in found.tensors)
    verdict = "within tolerance" if found.isolated else "equal"
    if not found.ok:
        verdict = "differs"
    elif found.undefined == size:
        verdict = "none"
    return {
        "verdict": verdict,
        "isolated": found.isolated,
        "accumulated": found.accumulated,
        "undefined": found.undefined,
        "held": found.dtype,
        "tensors": [
            [t.top, "x".join(map(str, t.shape)), t.dtype, t.isolated.error, t.accumulated.error,
             t.isolated.unequal, t.size]
            for t in found.tensors
        ],
        "sentence": next((t.sentence() for t in found.tensors if not t.ok), ""),
    }  # fmt: skip


def _makers(module: ModuleOp, layers: Layers) -> dict[str, int]:
    """By a tensor's name, the row whose commands make it; every row with commands is there, also
    one that makes no tensor that is compared."""
    found: dict[str, int] = {}
    for group in Sites.of(module).groups:
        for op in group.commands:
            at = layers.number(op.location)
            found.setdefault(f"\0{at}", at)
            found |= {each.top: at for each in op.observations}
    return found
