"""The report of a calibration: what was measured, as values for the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from xdsl.ir import Operation

from bmnetu.calibration.accuracy.layer_table import Row
from bmnetu.calibration.accuracy.losses import Loss
from bmnetu.calibration.accuracy.sensitivity import Cost
from bmnetu.calibration.int8.quantized_net import QuantizedNet, layer_name
from bmnetu.calibration.int8.quantizer import Quantizer
from bmnetu.command_line.calibrate_flags import CALIBRATE_FLAGS
from bmnetu.note import Note
from bmnetu.options import CalibrateOptions
from bmnetu.report.html.network import INPUT, graph, nodes_of
from bmnetu.report.html.page import Verdict, page
from bmnetu.report.html.provenance import hash_row, options_rows, versions
from bmnetu.report.html.verdict import size_text
from bmnetu.report.numbers import cosine, digits

BARS = 64
"""Of a histogram on the page."""
LEAST = -99.0
"""What stands for the SQNR in dB of numbers that have no signal."""
TYPES = {"signed": "int8", "unsigned": "uint8", "float": "float32"}


@dataclass(frozen=True)
class Found:
    """What a calibration found; ``rows`` were measured on ``looked_at`` of ``samples``."""

    made: Quantizer
    quantized: QuantizedNet
    rows: Sequence[Row]
    costs: Sequence[Cost]
    losses: Sequence[Loss]
    looked_at: int
    samples: int

    @property
    def outputs(self) -> list[Row]:
        """The rows of the blobs that the net is judged by."""
        judged = self.made.net.judged
        return [row for row in self.rows if row.blob in judged]


def report_page(
    found: Found, options: CalibrateOptions, notes: Sequence[Note], stored: Sequence[Path]
) -> bytes:
    """The page about a calibration whose files are stored."""
    net = found.made.net
    messages = {op.top_names[0]: message for op, message in net.layers.items()}
    nodes = nodes_of(net.function, messages)
    rows = {row.blob: row for row in found.rows}
    places = {top.name: at for at, node in enumerate(nodes) for top in node.outputs}
    layers = [node.record() for node in nodes]
    makers = {row.layer: places[row.blob] for row in found.rows if row.blob in places}
    for at, (node, layer) in enumerate(zip(nodes, layers, strict=True)):
        row = rows.get(node.outputs[0].name) if node.outputs else None
        if row is not None:
            layer |= _measured(row)
        elif makers.get(node.name, at) != at:  # one integer layer with a ReLU behind it
            layer["part_of"] = makers[node.name]
            layer["dtype"] = TYPES[rows[nodes[makers[node.name]].outputs[0].name].held]
    for op, integers in found.quantized.coefficients.items():
        layers[places[op.top_names[0]]]["shift"] = integers.shift
    for cost in found.costs:
        node = cost.part.nodes[0]
        name = net.names[node.results[0] if isinstance(node, Operation) else node]
        layers[places[name]]["cost"] = _sqnr(cost.sqnr)
    sources = [("model", options.model), ("weights", options.weight), ("data", options.data)]
    hashed = [*sources, *((path.suffix[1:], path) for path in stored)]
    data: dict[str, Any] = {
        "kind": "calibrate",
        "net": net.message.name,
        "layers": layers,
        "graph": graph(nodes),
        "losses": [loss.record() for loss in found.losses],
        "outputs": [
            [row.blob, _sqnr(row.accumulated.sqnr), row.accumulated.cosine]
            for row in found.outputs
        ],
        "costs": [[cost.part.name, _sqnr(cost.sqnr), cost.cosine] for cost in found.costs],
        "histograms": list(_histograms(found, places, rows)),
        "samples": found.looked_at,
        "options": options_rows(options, CALIBRATE_FLAGS),
        "versions": versions(),
        "hashes": [hash_row(what, path) for what, path in hashed if path is not None],
        "notes": [note.coded for note in (*notes, *found.quantized.notes)],
    }
    count = sum(node.kind != INPUT for node in nodes)
    return page(f"{net.message.name}: calibration report", _verdict(found, stored, count), data)


def _sqnr(value: float) -> float:
    return max(value, LEAST)


def _measured(row: Row) -> dict[str, Any]:
    return {
        "held": row.held,
        "dtype": TYPES[row.held],
        "threshold": row.threshold,
        "used": row.used,
        "saturated": row.saturated,
        "sqnr": _sqnr(row.isolated.sqnr),
        "cosine": row.isolated.cosine,
        "sqnr_all": _sqnr(row.accumulated.sqnr),
        "cosine_all": row.accumulated.cosine,
    }


def _histograms(
    found: Found, places: Mapping[str, int], rows: Mapping[str, Row]
) -> Iterator[dict[str, Any]]:
    """The histograms that thresholds were chosen from, in the order of the net."""
    made = found.made
    for value, name in made.net.names.items():
        counts = made.histograms.counts.get(name)
        if counts is None:
            continue
        numbers, largest = found.quantized.numbers[value], made.histograms.largest[name]
        centres = (np.arange(len(counts)) + 0.5) * (largest / len(counts))
        total = made.channels.counts[name] * len(made.channels.peaks[name])
        row = rows.get(name)
        yield {
            "blob": name,
            "layer": places.get(name, -1),
            "counts": counts.reshape(BARS, -1).sum(axis=1).tolist(),
            "largest": largest,
            "threshold": None if numbers.is_float else numbers.threshold,
            "held": "float" if numbers.is_float else TYPES[_kind(numbers.unsigned)],
            "beyond": 0.0
            if numbers.is_float
            else float(counts[centres > numbers.threshold].sum()) / max(1, total),
        } | ({} if row is None or numbers.is_float else {"sqnr": _sqnr(row.isolated.sqnr)})


def _kind(unsigned: bool) -> str:
    return "unsigned" if unsigned else "signed"


def _verdict(found: Found, stored: Sequence[Path], count: int) -> Verdict:
    net, losses = found.made.net, found.losses
    head = f"{net.message.name}: calibrated, nothing looks lost in 8 bits"
    said = "No blob saturates much, no channel has few levels, no output is poor."
    if losses:
        lost = "1 thing looks" if len(losses) == 1 else f"{len(losses)} things look"
        head = f"{net.message.name}: calibrated, {lost} lost in 8 bits"
        said = f"The worst: {losses[0].said}; {losses[0].help}."
    floats = [layer_name(op) for op in found.quantized.floats]
    figures: list[tuple[str, str, str]] = []
    compared = [row for row in found.outputs if row.accumulated.signal]
    if compared:
        worst = min(compared, key=lambda row: row.accumulated.sqnr)
        close = worst.accumulated
        value = f"{digits(close.sqnr)} dB" if np.isfinite(close.sqnr) else "exact"
        figures.append(("SQNR of the worst output", value,
                        f"{worst.blob}, INT8 against FP32 on {found.looked_at} samples; its cosine"
                        f" is {cosine(close.cosine)}"))
    names = ", ".join(floats[:4]) + (", ..." if len(floats) > 4 else "")
    umodel = next((path for path in stored if path.suffix == ".int8umodel"), None)
    figures += [
        ("Layers in 8 bits", str(count - len(floats)), f"of {count}, BatchNorm and Scale folded"
         " where they can be"),
        ("Layers in float", str(len(floats)), names or "none"),
        ("Thresholds by", found.made.recipe.method, found.made.recipe.flags()),
        ("Data", f"{found.samples}", "samples"),
        ("int8umodel", "" if umodel is None else size_text(umodel.stat().st_size),
         str(umodel or "")),
    ]
    return Verdict(None if losses else True, head, [said], figures)
