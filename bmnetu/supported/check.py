"""``bmnetu -check``: which layers of a network can be compiled, and how, without its weights."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import prod
from pathlib import Path

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from bmnetu.errors import BmnetuError, InputFileError, UnsupportedError
from bmnetu.frontend.cut import WHOLE, Cut
from bmnetu.frontend.importer import foreign_notes, import_layer, input_shape
from bmnetu.frontend.layers.advice import advice_on, code_of
from bmnetu.frontend.layers.importers import IMPORTERS
from bmnetu.frontend.layers.site import LayerSite
from bmnetu.frontend.network import ONNX, host_note, placeholder_notes, requiring_onnx
from bmnetu.frontend.prototxt.inputs import reshaped
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.prototxt.readings import reading_notes, readings
from bmnetu.frontend.prototxt.topology import Topology
from bmnetu.frontend.weights.blobs import BlobSource, Coefficients, Required
from bmnetu.note import Note
from dialects.host.ops import HostOp
from dialects.names import shown
from dialects.ufw.ops import LayerOp, Top
from dialects.ufw.shapes import Shape
from passes.convert_quant_to_tile import ConvertQuantToTilePass
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.module.locations import LayerError


class Status(StrEnum):
    """How a layer is computed."""

    INT8 = "INT8"  # in 8 bits in an INT8 net, else in float
    FP32 = "FP32"  # in float in both
    HOST = "host"  # on the host's processor, by the runtime: part of the bmodel
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"  # it reads what an unsupported layer makes


MOST_WEIGHTS = 1 << 30
"""Of one layer: 4 GiB, the chip's memory."""
COMPILED = (Status.INT8, Status.FP32, Status.HOST)


@dataclass(frozen=True)
class LayerCheck:
    """One layer: where it stands, what it is, how it is computed, and why not."""

    where: str
    name: str
    type: str
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class Check:
    """A network's layers in their order, and remarks."""

    model: str
    layers: tuple[LayerCheck, ...]
    notes: tuple[Note, ...]

    @property
    def ok(self) -> bool:
        """Whether the whole network can be compiled."""
        return all(layer.status in COMPILED for layer in self.layers)

    @property
    def verdict(self) -> str:
        """How many layers cannot be compiled."""
        bad = sum(layer.status not in COMPILED for layer in self.layers)
        if not bad:
            return f"{self.model}: all {len(self.layers)} layers can be compiled"
        return f"{self.model}: {bad} of {len(self.layers)} layers cannot be compiled"

    def text(self) -> str:
        """A line a layer, and a line a type with its count."""
        rows = [(x.where, shown(x.name), shown(x.type), x.status, x.reason) for x in self.layers]
        counts = Counter((layer.type, layer.status) for layer in self.layers)
        sums = [(str(n), shown(kind), status) for (kind, status), n in counts.most_common()]
        lines = [*_columns(rows), "in all:", *_columns(sums, "  ")]
        return "\n".join([*lines, self.verdict] if self.ok else lines)

    def json(self) -> str:
        """The same as JSON: model, ok, layers, notes."""
        layers = [asdict(layer) for layer in self.layers]
        notes = [note.record() for note in self.notes]
        found = {"model": self.model, "ok": self.ok, "layers": layers, "notes": notes}
        return json.dumps(found, indent=2, ensure_ascii=False)


def _columns(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Lines whose fields stand under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([f"{field:{w}}" for field, w in zip(row, widths, strict=True)] for row in rows)
    return [indent + "  ".join(row).rstrip() for row in padded]


def check_network(
    model: Path,
    shapes: Sequence[Sequence[int]] | None = None,
    max_n: int | None = None,
    cut: Cut = WHOLE,
) -> Check:
    """Checks every layer of a prototxt or an .onnx that its outputs need; ``cut`` says where it
    ends.

    Raises :class:`InputFileError` for a file that is no network, :class:`UsageError` when the
    shapes do not fit the inputs, or it cannot end there.
    """
    from bmnetu.plugins import plugins  # which needs the frontend itself

    plugins()
    if model.suffix.lower() == ONNX:
        return _check_onnx(model, shapes, max_n, cut)
    topology = cut.read(model)
    return Check(str(model), *_checked(topology, NoWeights(), shapes, max_n))


def _check_onnx(
    model: Path, shapes: Sequence[Sequence[int]] | None, max_n: int | None, cut: Cut
) -> Check:
    with requiring_onnx(model):
        from bmnetu.frontend.onnx import convert_onnx
    topology, weights, refusals = convert_onnx(model, shapes, max_n, cut.outputs)
    topology = cut.applied(topology)
    layers, notes = _checked(topology, weights, None, None)
    refused = tuple(
        LayerCheck(str(model), name, kind, Status.UNSUPPORTED, sentence)
        for name, kind, sentence in refusals.entries
    )
    return Check(str(model), (*layers, *refused), notes)


class NoWeights:
    """Coefficients of ones: with them, every layer can be imported."""

    def is_integer(self, layer: Layer) -> bool:
        return False

    def shapes(self, layer: Layer) -> Sequence[Shape] | None:
        return None

    def take(self, layer: Layer, required: tuple[Required, ...]) -> Coefficients:
        numbers = sum(prod(each.shape) for each in required)
        if numbers > MOST_WEIGHTS:
            what = f"it has {numbers} weights; at most {MOST_WEIGHTS} can be compiled"
            raise UnsupportedError(layer.fault(what))
        return Coefficients(tuple(np.ones(each.shape, np.float32) for each in required))


def _checked(
    topology: Topology,
    source: BlobSource,
    shapes: Sequence[Sequence[int]] | None,
    max_n: int | None,
) -> tuple[tuple[LayerCheck, ...], tuple[Note, ...]]:
    read = {bottom for layer in topology.layers for bottom in layer.bottoms}
    inputs = [blob for blob in reshaped(topology.inputs, shapes, max_n) if blob.name in read]
    block = Block(arg_types=[Top(blob.name).type(input_shape(blob)) for blob in inputs])
    values: dict[str, SSAValue] = dict(zip([x.name for x in inputs], block.args, strict=True))

    def walked() -> tuple[tuple[LayerCheck, ...], list[Note]]:
        walk = _Walk(topology, source, dict(values))
        return tuple(walk.check(layer) for layer in topology.layers), walk.notes

    possible, (layers, host_notes) = readings(topology.layers), walked()
    for reading in possible:
        if _faults(layers):
            reading.take(second=True)
            again, notes_again = walked()
            better = _faults(again) < _faults(layers)
            layers, host_notes = (again, notes_again) if better else (layers, host_notes)
            reading.take(second=better)
    notes = [*topology.notes, *reading_notes(topology.path, possible)]
    notes += [] if shapes else placeholder_notes(topology, inputs)
    known = [layer for layer in topology.layers if layer.param.type in IMPORTERS]
    notes += [*foreign_notes(known), *host_notes]
    return layers, tuple(notes)


def _faults(layers: tuple[LayerCheck, ...]) -> int:
    """Layers that cannot be compiled, and those behind them."""
    return sum(layer.status in (Status.UNSUPPORTED, Status.UNKNOWN) for layer in layers)


class _Walk:
    """A walk over the layers. ``values`` are the blobs whose shapes are known, ``notes`` remarks of
    host layers."""

    def __init__(
        self, topology: Topology, source: BlobSource, values: dict[str, SSAValue]
    ) -> None:
        self.source = source
        self.values = values
        self.faults: dict[str | None, list[str]] = {}
        self.seen: dict[object, str] = {}
        self.notes: list[Note] = []
        for each in topology.unknown:
            if each.is_error:
                self.faults.setdefault(each.layer, []).append(str(each.unknown))

    def check(self, layer: Layer) -> LayerCheck:
        status, reason = self.status(layer)
        return LayerCheck(layer.where, layer.name, layer.param.type, status, reason)

    def status(self, layer: Layer) -> tuple[Status, str]:
        """How one layer is computed, and why not; its tops become known where it can be."""
        kind = layer.param.type
        if kind not in IMPORTERS:
            code = code_of(layer.param).removeprefix(" of ")
            return Status.UNSUPPORTED, f"{code} {advice_on(kind)}" if code else advice_on(kind)
        if layer.name in self.faults:
            return Status.UNSUPPORTED, f"unknown field {', '.join(self.faults[layer.name])}"
        lost = [bottom for bottom in layer.bottoms if bottom not in self.values]
        if lost:
            return Status.UNKNOWN, f'the shape of its bottom "{lost[0]}" is not known'
        bottoms = [self.values[bottom] for bottom in layer.bottoms]
        try:
            op = import_layer(LayerSite(layer, bottoms, [Top(t) for t in layer.tops], self.source))
        except (UnsupportedError, InputFileError) as error:
            return Status.UNSUPPORTED, _reason(error, layer)
        self.values |= dict(zip(layer.tops, op.results, strict=True))
        if isinstance(op, HostOp):
            self.notes += [host_note(layer, op.note)] if op.note else []
            return Status.HOST, ""
        reason = self.refusal(op)
        if reason:
            return Status.UNSUPPORTED, reason
        return Status.INT8 if op.has_integers else Status.FP32, ""

    def refusal(self, op: LayerOp) -> str:
        """Why the layer cannot become commands; "" where it can. Equal layers are tried once."""
        kinds = tuple(value.type for value in (*op.operands, *op.results))
        settings = tuple((k, v) for k, v in op.properties.items() if k != "tops")
        key = (type(op), kinds, settings)
        if key not in self.seen:
            self.seen[key] = _lowering_error(op)
        return self.seen[key]


def _reason(error: BmnetuError, layer: Layer) -> str:
    """The sentence without file, line and layer."""
    return error.message.removeprefix(layer.fault(""))


def _lowering_error(op: LayerOp) -> str:
    """Lowers a copy of the layer alone, in float, as far as its tiles."""
    block = Block(arg_types=[value.type for value in op.operands])
    copy = op.clone(dict(zip(op.operands, block.args, strict=True)))
    block.add_ops([copy, ReturnOp(*copy.results)])
    kinds = ([x.type for x in block.args], [x.type for x in copy.results])
    function = FuncOp("main", kinds, Region(block))
    names = [f"operand {i}" for i, _ in enumerate(block.args)]
    function.attributes["input_names"] = ArrayAttr(map(StringAttr, names))
    function.attributes["output_names"] = copy.tops
    module, context = ModuleOp([function]), Context()
    try:
        ConvertUfwToQuantPass().apply(context, module)
        ConvertQuantToTilePass().apply(context, module)
    except LayerError as error:
        return error.message
    return ""
