"""The report of a compilation, also of one whose compare fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import ModuleOp, NameLoc

from bmnetu.command_line.flags import COMPILE_FLAGS
from bmnetu.emit.border import network_name
from bmnetu.files.reading import write_atomically
from bmnetu.frontend import Network
from bmnetu.options import CompileOptions
from bmnetu.report.html.memory import ddr, local_memory
from bmnetu.report.html.network import INPUT, Node, graph, nodes_of, takers
from bmnetu.report.html.page import Verdict, page
from bmnetu.report.html.provenance import Row, hash_row, of_bytes, options_rows, versions
from bmnetu.report.html.timeline import Timed, timeline
from bmnetu.report.profile import LayerProfile, Profile, profile, scheduled
from bmnetu.report.result import LayerResult, layers_of, summary
from passes.image.groups import Sites
from passes.module.functions import main_function
from passes.module.locations import location_text
from passes.verification.findings import FLOAT_TOLERANCE, Findings

Key = tuple[str, str]
"""A layer's name, and its file:line."""

NOT_KNOWN = "not estimated"


@dataclass
class CompileReport:
    """A report to be: the network as it was read, before the passes change it."""

    options: CompileOptions
    path: Path
    notes: tuple[str, ...]
    nodes: list[Node]
    hashes: list[Row]
    name: str
    made_up: bool
    added: dict[Key, int] = field(default_factory=dict[Key, int])

    @staticmethod
    def of(options: CompileOptions, network: Network, path: Path) -> CompileReport:
        """Looks at the network and its files."""
        sources = [("model", options.model), ("weights", options.weight)]
        sources += [("input of the compare", options.cmp_data)]
        messages = {layer.top[0]: layer for layer in network.net.layer if layer.top}
        return CompileReport(
            options,
            path,
            network.notes,
            list(nodes_of(main_function(network.module), messages)),
            [hash_row(what, source) for what, source in sources if source is not None],
            network_name(network.module),
            options.cmp_data is None,
        )

    def store(self, module: ModuleOp, findings: Findings | None, bmodel: bytes | None) -> None:
        """Writes the page about a module at its last level. ``bmodel`` is the file that was
        stored; None where the compare failed.

        Raises InputFileError when the page cannot be written.
        """
        write_atomically(self.path, self.page(module, findings, bmodel))

    def page(self, module: ModuleOp, findings: Findings | None, bmodel: bytes | None) -> bytes:
        """The page's bytes."""
        results = layers_of(findings) if findings is not None else ()
        compared = {(each.name, each.where): each for each in results}
        costs = None if self.options.dyn else profile(module)
        spent = {} if costs is None else {_key(each): each for each in costs.layers}
        keys = {(node.name, node.where): at for at, node in enumerate(self.nodes)}
        for key in (*spent, *compared):
            if key not in keys:
                keys[key] = len(self.nodes) + len(self.added)
                self.added[key] = keys[key]
        total = costs.total.cycles if costs is not None else 0
        layers = [
            node.record() | self._spent(spent.get(key), total) | _compared(compared.get(key))
            for key, node in ((((node.name, node.where)), node) for node in self.nodes)
        ]
        layers += [
            {"name": name, "type": "(added)", "where": where, "place": "NPU"}
            | self._spent(spent.get((name, where)), total)
            | _compared(compared.get((name, where)))
            for name, where in self.added
        ]
        for at, taker in takers(self.nodes, _makers(module, keys, self.options.dyn)).items():
            if "cycles" not in layers[at] and "verdict" not in layers[at]:
                layers[at]["part_of"] = taker
        first = None if findings is None else findings.first_bad
        data: dict[str, Any] = {
            "kind": "compile",
            "net": self.name,
            "layers": layers,
            "graph": graph(self.nodes),
            "first_bad": None if first is None else keys.get((first.layer, first.where)),
            "tolerance": FLOAT_TOLERANCE,
            "options": options_rows(self.options, COMPILE_FLAGS),
            "versions": versions(),
            "hashes": [*self.hashes, *_bmodel_row(bmodel)],
            "notes": list(self.notes),
        }
        if costs is not None:
            commands = list(_commands(module, keys))
            data["time"] = {
                "total": total,
                "mhz": costs.mhz,
                "unknown": costs.unknown,
                "engines": timeline(commands, total),
            }
            data["memory"] = local_memory(commands) | {"ddr": ddr(module)}
        verdict = self._verdict(findings, costs, data, bmodel)
        return page(f"{self.name}: bmnetu report", verdict, data)

    @staticmethod
    def _spent(cost: LayerProfile | None, total: int) -> dict[str, Any]:
        if cost is None:
            return {}
        return {
            "cycles": cost.cycles,
            "share": cost.cycles / max(1, total),
            "tiu": cost.tiu_cycles,
            "gdma": cost.gdma_cycles,
            "read": cost.ddr_read,
            "written": cost.ddr_written,
            "macs": cost.macs,
            "use": cost.multiplier_use,
            "bound": cost.bound,
        }

    def _verdict(
        self,
        findings: Findings | None,
        costs: Profile | None,
        data: Mapping[str, Any],
        bmodel: bytes | None,
    ) -> Verdict:
        figures = list(self._figures(costs, data, bmodel))
        if findings is None:
            said = "The NPU's results were not compared with the CPU's (-cmp=false)."
            return Verdict(None, f"{self.name}: compiled, not compared", [said], figures)
        if findings.ok:
            lines = [line.removeprefix("note: ") for line in summary(findings, self.made_up)]
            lines = [line[0].upper() + line[1:] + "." for line in lines]
            head = f"{self.name}: passed, the NPU computes what the CPU computes"
            return Verdict(True, head, lines, figures)
        first, head = findings.first_bad, f"{self.name}: failed"
        if first is not None:
            head += f', layer "{first.layer}" is the first that differs from the CPU'
        bad = sum(not each.ok for each in layers_of(findings))
        lines = [
            findings.verdict() + ".",
            f"{bad} of {len(layers_of(findings))} compared layers differ by themselves. A layer"
            " that only reads wrong numbers has a small isolated error and a large accumulated"
            " one.",
            "No bmodel was stored (exit code 5). This is a fault of the compiler: send this page"
            " with the model.",
        ]
        return Verdict(False, head, lines, figures)

    def _figures(
        self, costs: Profile | None, data: Mapping[str, Any], bmodel: bytes | None
    ) -> Iterator[tuple[str, str, str]]:
        if costs is not None:
            batch = self.nodes[0].outputs[0].shape[:1] if self.nodes else ()
            slow = costs.slow_ddr_cycles / costs.mhz / 1e3
            yield (
                "Estimated time",
                f"{costs.milliseconds:.3f} ms",
                f"batch {batch[0] if batch else 1}; {costs.total.cycles:,} cycles at"
                f" {costs.mhz:g} MHz; {slow:.3f} ms with DDR at 60 % of its rate. A cost model,"
                " no measurement",
            )
            use = costs.total.needed_cycles / max(1, costs.total.cycles)
            yield "Multipliers used", f"{use:.1%}", f"{costs.total.macs:,} products"
            memory = data["memory"]
            yield (
                "Local memory, peak",
                f"{memory['peak'] / 1024:.0f} KiB",
                f"of {memory['lane_bytes'] // 1024} KiB in each of {memory['lanes']} lanes",
            )
            sizes = memory["ddr"]["sizes"]
            yield (
                "DDR",
                size_text(memory["ddr"]["total"]),
                f"{size_text(sizes['coefficients'])} of them coefficients;"
                f" {size_text(costs.total.ddr_read + costs.total.ddr_written)} moved in a run",
            )
        else:
            yield "Estimated time", NOT_KNOWN, "the chip makes the commands at every launch (-dyn)"
        yield (
            "bmodel",
            "not stored" if bmodel is None else size_text(len(bmodel)),
            "" if bmodel is None else str(self.options.outdir / "compilation.bmodel"),
        )
        layers = [node for node in self.nodes if node.kind != INPUT]
        host = sum(node.on_host for node in layers)
        yield (
            "Layers",
            str(len(layers)),
            f"{len(layers) - host} on the NPU, {host} on the CPU; {self.options.prec},"
            f" opt {self.options.opt}",
        )


def size_text(size: int) -> str:
    """Bytes in the unit that gives a short number."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _key(cost: LayerProfile) -> Key:
    return cost.layer, cost.where


def _compared(found: LayerResult | None) -> dict[str, Any]:
    if found is None:
        return {}
    size = sum(each.size for each in found.tensors)
    verdict = "differs" if not found.ok else "none" if found.undefined == size else "equal"
    if found.ok and found.isolated > 0:
        verdict = "within tolerance"
    return {
        "isolated": found.isolated,
        "accumulated": found.accumulated,
        "undefined": found.undefined,
        "held": found.dtype,
        "verdict": verdict,
        "tensors": [
            [t.top, "x".join(map(str, t.shape)), t.dtype, t.isolated.error, t.accumulated.error,
             t.isolated.unequal, t.size]
            for t in found.tensors
        ],
        "sentence": next((t.sentence() for t in found.tensors if not t.ok), ""),
    }  # fmt: skip


def _bmodel_row(bmodel: bytes | None) -> Sequence[Row]:
    if bmodel is None:
        return [("bmodel", "not stored", "")]
    return [("bmodel", f"compilation.bmodel ({len(bmodel):,} bytes)", of_bytes(bmodel))]


def _location_key(location: Any) -> Key:
    if isinstance(location, NameLoc):
        return location.desc.data, location_text(location.location)
    return "", location_text(location)


def _commands(module: ModuleOp, keys: Mapping[Key, int]) -> Iterator[Timed]:
    """All commands with their spans and the numbers of their layers."""
    groups, found = scheduled(module)
    pairs = zip(chain.from_iterable(groups), chain.from_iterable(found.spans), strict=True)
    for op, span in pairs:
        yield Timed(op.instruction, span, keys[_location_key(op.location)])


def _makers(module: ModuleOp, keys: Mapping[Key, int], dyn: bool) -> dict[str, int]:
    """By a tensor's name, the number of the layer whose commands make it; and every layer with
    commands, by its own name."""
    if dyn:
        return {}
    found: dict[str, int] = {}
    for group in Sites.of(module).groups:
        for op in group.commands:
            at = keys[_location_key(op.location)]
            found.setdefault(f"\0{at}", at)
            found |= {each.top: at for each in op.observations}
    return found

