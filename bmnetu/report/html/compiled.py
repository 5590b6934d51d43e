"""The report of a compilation, also of one whose compare fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from bmnetu.command_line.compile_flags import COMPILE_FLAGS
from bmnetu.emit.border import network_name
from bmnetu.files.reading import write_atomically
from bmnetu.frontend import Network
from bmnetu.note import Note
from bmnetu.options import CompileOptions
from bmnetu.report.html.layers import Layers, layers_table
from bmnetu.report.html.memory import ddr, local_memory
from bmnetu.report.html.network import Node, graph, nodes_of
from bmnetu.report.html.page import Figure, page
from bmnetu.report.html.provenance import Row, hash_row, of_bytes, options_rows, versions
from bmnetu.report.html.timeline import Timed, timeline
from bmnetu.report.html.verdict import cost_figures, file_figures, verdict
from bmnetu.report.profile import Profile, profile, scheduled
from dialects.bm1684.cycles import ScheduleError
from passes.module.functions import main_function
from passes.verification.findings import FLOAT_TOLERANCE, Findings


@dataclass(frozen=True)
class CompileReport:
    """A report to be: the network as it was read, before the passes change it."""

    options: CompileOptions
    path: Path
    notes: tuple[Note, ...]
    nodes: tuple[Node, ...]
    hashes: tuple[Row, ...]
    name: str

    @staticmethod
    def of(options: CompileOptions, network: Network, path: Path) -> CompileReport:
        """Looks at the network and its files."""
        sources = {
            "model": options.model,
            "weights": options.weight,
            "input of the compare": options.cmp_data,
        }
        messages = {layer.top[0]: layer for layer in network.net.layer if layer.top}
        return CompileReport(
            options,
            path,
            network.notes,
            nodes_of(main_function(network.module), messages),
            tuple(hash_row(what, each) for what, each in sources.items() if each is not None),
            network_name(network.module),
        )

    def store(self, module: ModuleOp, findings: Findings | None, bmodel: bytes | None) -> None:
        """Writes the page about a module at its last level. ``findings`` is None without the
        compare, ``bmodel`` is the file that was stored, None where the compare failed.

        Raises InputFileError when the page cannot be written.
        """
        write_atomically(self.path, self.page(module, findings, bmodel))

    def page(self, module: ModuleOp, findings: Findings | None, bmodel: bytes | None) -> bytes:
        """The page's bytes; see :meth:`store`."""
        costs, reason = self._costs(module)
        layers = layers_table(self.nodes, module, costs, findings)
        data: dict[str, Any] = {
            "kind": "compile",
            "net": self.name,
            "layers": layers.rows,
            "graph": graph(self.nodes),
            "first_bad": layers.first_bad(findings),
            "tolerance": FLOAT_TOLERANCE,
            "options": options_rows(self.options, COMPILE_FLAGS),
            "versions": versions(),
            "hashes": [*self.hashes, _bmodel_row(bmodel)],
            "notes": [note.coded for note in self.notes],
        }
        figures: list[Figure] = []
        if costs is None:
            figures.append(("Estimated time", "not estimated", reason))
        else:
            commands = _commands(module, layers)
            data["time"] = {
                "total": costs.total.cycles,
                "mhz": costs.mhz,
                "unknown": costs.unknown,
                "engines": timeline(commands, costs.total.cycles),
            }
            data["memory"] = local_memory(commands) | {"ddr": ddr(module)}
            figures += cost_figures(costs, data["memory"], self.nodes)
        figures += file_figures(self.options, self.nodes, bmodel)
        found = verdict(self.name, findings, made_up=self.options.cmp_data is None)
        return page(f"{self.name}: bmnetu report", replace(found, figures=figures), data)

    def _costs(self, module: ModuleOp) -> tuple[Profile | None, str]:
        """The estimate, or why there is none."""
        if self.options.dyn:
            return None, "the chip makes the commands at every launch (-dyn)"
        try:
            return profile(module), ""
        except ScheduleError as error:  # the compare has found that as well
            return None, str(error)


def _bmodel_row(bmodel: bytes | None) -> Row:
    if bmodel is None:
        return "bmodel", "not stored", ""
    return "bmodel", f"compilation.bmodel ({len(bmodel):,} bytes)", of_bytes(bmodel)


def _commands(module: ModuleOp, layers: Layers) -> Sequence[Timed]:
    """All commands with their spans and the numbers of their layers."""
    groups, found = scheduled(module)
    pairs = zip(chain.from_iterable(groups), chain.from_iterable(found.spans), strict=True)
    return [Timed(op.instruction, span, layers.number(op.location)) for op, span in pairs]
