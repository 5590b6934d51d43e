"""The table of all blobs: how each is held in 8 bits and what that costs."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from xdsl.ir import Operation, SSAValue

from bmnetu.calibration.accuracy.closeness import Closeness
from bmnetu.calibration.accuracy.isolated import blob_values, float_blobs, isolated_tensors
from bmnetu.calibration.data.accumulate import merged
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.int8.int8_net import Int8Net, real
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.run.portable import PortableFunction
from bmnetu.frontend.weights.scales import FULL_SCALE_SIGNED, FULL_SCALE_UNSIGNED
from dialects.constant import Array
from dialects.execute import execute
from dialects.host.base import HostOp
from dialects.meaning import evaluate_whole
from dialects.quant import types
from passes.module.locations import layer_name

DIGITS = 6
"""Significant digits of the numbers in the JSON."""


@dataclass
class Held:
    """What is counted of one blob.

    ``isolated``: its layer reads the float net's blobs, rounded. ``accumulated``: it reads what the
    layers before it computed. ``largest`` is the largest integer, ``saturated`` how many of
    ``count`` are at the end of the integer range.
    """

    isolated: Closeness = field(default_factory=Closeness)
    accumulated: Closeness = field(default_factory=Closeness)
    largest: int = 0
    saturated: int = 0
    count: int = 0

    def merge(self, other: Held) -> None:
        self.isolated.merge(other.isolated)
        self.accumulated.merge(other.accumulated)
        self.largest = max(self.largest, other.largest)
        self.saturated += other.saturated
        self.count += other.count

    def watch(self, array: Array, full_scale: int) -> None:
        """Counts an integer tensor."""
        magnitude = np.abs(array.astype(np.int16))
        self.largest = max(self.largest, int(magnitude.max(initial=0)))
        self.saturated += int(np.count_nonzero(magnitude >= full_scale))
        self.count += array.size


@dataclass
class Blobs:
    """What is counted of all blobs, by name."""

    blobs: dict[str, Held] = field(default_factory=dict[str, Held])

    def merge(self, other: Blobs) -> None:
        for name, found in other.blobs.items():
            self.blobs.setdefault(name, Held()).merge(found)


@dataclass(frozen=True)
class _Comparison:
    """Both nets, run over a batch."""

    net: PortableFunction
    int8: Int8Net
    data: CalibrationData

    def run(self, index: int) -> Blobs:
        blobs = float_blobs(self.net.function, self.data.batch(index))
        values = _values(self.int8, blobs)
        found = {name: Held() for name in values}
        for name, array in isolated_tensors(self.int8, blobs).items():
            if name in found:
                found[name].isolated.add(blobs[name], real(array, values[name]))

        def watch(name: str, array: Array) -> None:
            value = values.get(name)
            if value is not None:
                found[name].accumulated.add(blobs[name], real(array, value))
                if not types.is_float(value):
                    found[name].watch(array, full_scale(value))

        inputs = self.int8.held(blobs)
        for name, array in inputs.items():
            watch(name, array)
        execute(self.int8.function, inputs, evaluate_whole, watch)
        return Blobs(found)


def full_scale(value: SSAValue) -> int:
    """The largest integer that stands for the threshold."""
    return FULL_SCALE_UNSIGNED if types.is_unsigned(value) else FULL_SCALE_SIGNED


@dataclass(frozen=True)
class Row:
    """A blob: the layer that makes it, how it is held, and its errors.

    ``used`` is the largest integer over the threshold's, ``saturated`` the share of numbers at the
    end of the range; both and ``threshold`` are None for a float blob.
    """

    layer: str
    blob: str
    held: str
    threshold: float | None
    used: float | None
    saturated: float | None
    isolated: Closeness
    accumulated: Closeness


def layer_table(net: FloatNet, int8: Int8Net, data: CalibrationData) -> tuple[Row, ...]:
    """A row a blob of the integer net, in the order of its layers, the inputs first.

    ``int8`` is what the net is judged by, see :func:`judged_net`. Host layers have no rows: they
    compute the same in both nets, and the places of what they find may differ.
    """
    job = _Comparison(PortableFunction(net.judged_function()), int8, data)
    found = merged(job, data, Blobs(), "layer table")
    values = _values(int8, set(net.names.values()))
    return tuple(_row(name, value, found.blobs[name]) for name, value in values.items())


def _values(int8: Int8Net, names: Container[str]) -> dict[str, SSAValue]:
    found = blob_values(int8, names)
    return {name: x for name, x in found.items() if not isinstance(x.owner, HostOp)}


def _row(name: str, value: SSAValue, found: Held) -> Row:
    owner = value.owner
    layer = layer_name(owner) if isinstance(owner, Operation) else name
    if types.is_float(value):
        return Row(layer, name, "float", None, None, None, found.isolated, found.accumulated)
    kind = "unsigned" if types.is_unsigned(value) else "signed"
    scale = types.scale_of(value) or 1.0
    used = min(1.0, found.largest / full_scale(value))
    saturated = found.saturated / max(1, found.count)
    threshold = scale * full_scale(value)
    return Row(layer, name, kind, threshold, used, saturated, found.isolated, found.accumulated)


def table_lines(rows: Sequence[Row]) -> list[str]:
    """The table as text, a line a blob."""
    layers = max(len("layer"), *(len(row.layer) for row in rows))
    blobs = max(len("blob"), *(len(row.blob) for row in rows))
    head = f"{'layer':{layers}}  {'blob':{blobs}}  held as   "
    over = f"{'':{len(head)}}{'range':>29}  {'isolated':>16}  {'accumulated':>16}"
    errors = f"  {'SQNR dB':>7}  {'cosine':>7}"
    lines = [over, f"{head}{'threshold':>10}  {'used':>6}  {'saturated':>8}{errors * 2}"]
    for row in rows:
        ranges = f"{'-':>10}  {'-':>6}  {'-':>9}"
        if row.threshold is not None:
            ranges = f"{row.threshold:10.4g}  {row.used:6.1%}  {row.saturated:9.3%}"
        both = (row.isolated, row.accumulated)
        errors = "".join(f"  {each.sqnr:7.1f}  {each.cosine:7.5f}" for each in both)
        lines.append(f"{row.layer:{layers}}  {row.blob:{blobs}}  {row.held:8}  {ranges}{errors}")
    return lines


def table_json(
    name: str, samples: int, rows: Sequence[Row], lost: Sequence[Mapping[str, str]] = ()
) -> bytes:
    """The table as JSON, described in docs/calibration.md."""
    found: Mapping[str, Any] = {
        "net": name,
        "samples": samples,
        "blobs": [blob_record(row) for row in rows],
        "losses": list(lost),
    }
    return (json.dumps(found, indent=1, sort_keys=True) + "\n").encode()


def blob_record(row: Row) -> dict[str, Any]:
    """A row as JSON has it."""
    return {
        "layer": row.layer,
        "blob": row.blob,
        "held": row.held,
        "threshold": json_number(row.threshold),
        "used": json_number(row.used),
        "saturated": json_number(row.saturated),
        "isolated": closeness_record(row.isolated),
        "accumulated": closeness_record(row.accumulated),
    }


def closeness_record(found: Closeness) -> dict[str, float | None]:
    """The errors of a blob as JSON has them."""
    return {"sqnr_db": json_number(found.sqnr), "cosine": json_number(found.cosine)}


def json_number(value: float | None) -> float | None:
    """A number that JSON has: None for what is infinite, which is exact."""
    return None if value is None or not isfinite(value) else float(f"{value:.{DIGITS}g}")
