"""A prototxt as a list of layers in order, with unique blob names and checked connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bmnetu.errors import InputFileError, UnsupportedError, UsageError
from bmnetu.frontend.prototxt.cut import cut_note, split_needed
from bmnetu.frontend.prototxt.inputs import INPUT_TYPES, Input, declared_inputs, input_tops
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.prototxt.phases import inference_state, takes_part
from bmnetu.frontend.prototxt.rewrite.axpy import without_axpy
from bmnetu.frontend.prototxt.rewrite.crelu import without_crelu
from bmnetu.frontend.prototxt.rewrite.dense_block import without_blocks
from bmnetu.frontend.prototxt.rewrite.fused import without_fused
from bmnetu.frontend.prototxt.rewrite.python_layers import as_known
from bmnetu.frontend.prototxt.rewrite.region import without_region
from bmnetu.frontend.prototxt.rewrite.regions import without_defects
from bmnetu.frontend.prototxt.rewrite.yolo import without_yolo
from bmnetu.frontend.prototxt.text import TextFile, read_text
from bmnetu.frontend.prototxt.unique_names import UniqueNames
from bmnetu.frontend.prototxt.unknown import UnknownSetting
from bmnetu.frontend.prototxt.upgrade import upgraded, v2_type
from bmnetu.frontend.prototxt.upgrade_v0 import V0Error, from_v0, padding_folded
from bmnetu.frontend.ufw_pb2 import LayerParameter, NetParameter, V1LayerParameter
from bmnetu.note import Note
from dialects.names import quoted

ONLY_CONSUME = ("Accuracy", "SoftmaxWithLoss", "HDF5Output")
"""Layers of training and testing; so are all whose type ends with "Loss"."""

DECODERS = {"CTCGreedyDecoder": "it picks the best class of every step and drops repeated ones"}
"""Layers that the NPU has no commands for, and the host does in a few lines."""


@dataclass(frozen=True)
class Topology:
    """What a prototxt says: the net's message, its inputs, layers and outputs, and remarks.

    ``outputs`` are the unique blobs that no layer reads, or those of ``output_whitelist``;
    ``unknown`` is what of the text is not known. ``blocks`` are layers that stand for many, which
    are in their place: their weights may be under the block's name.
    """

    path: Path
    net: NetParameter
    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    notes: tuple[Note, ...]
    unknown: tuple[UnknownSetting, ...] = ()
    blocks: tuple[LayerParameter, ...] = ()

    def unknown_of(self, layers: Sequence[Layer]) -> tuple[UnknownSetting, ...]:
        """What is not known of these layers, and of the net."""
        names = {None, *(layer.name for layer in layers)}
        return tuple(each for each in self.unknown if each.layer in names)


Placed = tuple[LayerParameter, int]
"""A layer and its line."""


def read_topology(path: Path, whitelist: Sequence[str] = (), host: bool = True) -> Topology:
    """Reads a prototxt; the net ends at the blobs of ``whitelist``, before those of its own
    ``output_whitelist``. Unless ``host``, layers of the host stay as the user wrote them: the net
    is to end before them.

    Raises :class:`InputFileError` with file and line, and :class:`UsageError` for a name in
    ``whitelist`` that no layer makes.
    """
    net = NetParameter()
    text = read_text(path, net)
    notes: list[Note] = []
    params, unknown = _inference_layers(net, text)
    params = _without_consumers(params, text, notes)
    params = _without_decoders(params, text, notes)
    params = [(each, line) for param, line in params for each in without_fused(as_known(param))]
    params = [(each, line) for param, line in params for each in without_axpy(param)]
    params = [(each, line) for param, line in params for each in without_crelu(param)]
    params = [(each, line) for param, line in params for each in without_region(param)]
    if host:
        params = [(each, line) for param, line in params for each in without_yolo(param)]
        params = [(each, line) for param, line in params for each in without_defects(param)]
    blocks = tuple(param for param, _ in params if param.type == "DenseBlock")
    params = [(each, line) for param, line in params for each in without_blocks(param)]
    read = {bottom for param, _ in params for bottom in param.bottom}
    inputs = declared_inputs(net, text)
    for param, line in params:
        if param.type in INPUT_TYPES:
            inputs += input_tops(param, text, line, read)
    params = [(param, line) for param, line in params if param.type not in INPUT_TYPES]
    names = UniqueNames(inputs, [param for param, _ in params])
    layers = [names.connect(param, line, f"{path}:{line}") for param, line in params]
    if not layers:
        fields = [str(each.unknown) for each in unknown if each.layer is None]
        hint = f"; unknown is {', '.join(fields[:3])}" if fields else ""
        raise InputFileError(f"{path}: the net has no layers to compile{hint}")
    try:
        outputs = names.outputs(layers, whitelist or net.output_whitelist)
    except ValueError as error:
        if whitelist:
            raise UsageError(f"-output_whitelist {error}") from error
        raise InputFileError(f"{path}: output_whitelist {error}") from error
    dropped: list[Layer] = []
    if whitelist or net.output_whitelist:
        layers, dropped = split_needed(layers, outputs)
    if not outputs:
        outputs = _silenced(layers, path, notes)
    layers, outputs = names.named_as_outputs(layers, outputs)
    if dropped:
        why = "-output_whitelist" if whitelist else "output_whitelist"
        notes.append(cut_note(path, why, dropped, outputs))
    inputs = tuple(names.inputs)
    found = Topology(path, net, inputs, tuple(layers), outputs, tuple(notes), unknown, blocks)
    return replace(found, unknown=found.unknown_of(layers)) if dropped else found


def _silenced(layers: Sequence[Layer], path: Path, notes: list[Note]) -> tuple[str, ...]:
    """The blobs that only Silence layers read, as the outputs of a net that has no others."""
    made = {top for layer in layers for top in layer.tops}
    read = {blob for layer in layers if layer.param.type != "Silence" for blob in layer.bottoms}
    silent = [layer for layer in layers if layer.param.type == "Silence"]
    found = dict.fromkeys(blob for layer in silent for blob in layer.bottoms if blob in made - read)
    if not found:
        raise InputFileError(f"{path}: the net has no outputs: no layer makes a blob")
    names = ", ".join(map(quoted, found))
    notes.append(
        Note("silenced-outputs", f"{path}: all outputs are silenced; {names} is compiled")
    )
    return tuple(found)


def _inference_layers(
    net: NetParameter, text: TextFile
) -> tuple[list[Placed], tuple[UnknownSetting, ...]]:
    """The layers of the TEST phase, all as V2 messages, and what of them is not known."""
    if net.layer and net.layers:
        line = text.line("layers", 0)
        raise InputFileError(f"{text.path}:{line}: has both 'layer' and 'layers'; one is required")
    kind = "layers" if net.layers else "layer"
    params: list[LayerParameter | None] = list(net.layer)
    if net.layers:
        params = _upgraded_layers(list(net.layers), text)
    state = inference_state(net.state)
    kept = {i: param for i, param in enumerate(params) if param and takes_part(param, state)}
    unknown: list[UnknownSetting] = []
    for each in text.unknown:
        if each.where[:1] != (kind,):
            unknown.append(UnknownSetting(each, f"{text.path}:{each.line}"))
            continue
        param = kept.get(int(each.where[1]))
        if param is None:
            continue
        if len(each.where) == 2 and each.name == "type":
            param.type = v2_type(each.value or "")  # of an old layer; refused where unknown
        else:
            where = f"{text.path}:{each.line}"
            unknown.append(UnknownSetting(each, where, param.name, param.type))
    return [(param, text.line(kind, i)) for i, param in kept.items()], tuple(unknown)


def _upgraded_layers(old: list[V1LayerParameter], text: TextFile) -> list[LayerParameter | None]:
    """V1 and V0 layers as V2 messages; None for V0's padding layers, which are folded."""
    oldest = [each for each in old if each.HasField("layer")]
    if not oldest:
        return [upgraded(each) for each in old]
    if len(oldest) != len(old):
        line = next(text.line("layers", i) for i, x in enumerate(old) if not x.HasField("layer"))
        raise InputFileError(
            f"{text.path}:{line}: a V1 layer among V0 layers (layers {{ layer {{ }} }}); run"
            " Caffe's upgrade_net_proto_text over the file"
        )
    params: list[LayerParameter] = []
    for i, each in enumerate(old):
        try:
            params.append(from_v0(each))
        except V0Error as error:
            where = f"{text.path}:{text.line('layers', i)}: layer {quoted(each.layer.name)}"
            raise InputFileError(f"{where} {error}") from error
    try:
        return padding_folded(params)
    except V0Error as error:
        raise InputFileError(f"{text.path}: {error}") from error


def _without_consumers(
    params: list[Placed], text: TextFile, notes: list[Note]
) -> list[Placed]:
    """Drops losses and accuracies, unless a layer that stays reads them."""
    kept = [(param, line) for param, line in params if not _only_consumes(param)]
    read = {bottom for param, _ in kept for bottom in param.bottom}
    for param, line in params:
        if not _only_consumes(param):
            continue
        used = sorted(read & set(param.top))
        if used:
            raise UnsupportedError(
                f"{text.path}:{line}: layer {quoted(param.name)} ({param.type}) is not for "
                f"inference, but its blob {quoted(used[0])} is read"
            )
        notes.append(Note(
            "not-for-inference",
            f"{text.path}:{line}: layer {quoted(param.name)} ({param.type}) is left out: "
            "it is not for inference",
        ))  # fmt: skip
    return kept


def _without_decoders(params: list[Placed], text: TextFile, notes: list[Note]) -> list[Placed]:
    """Drops the layers of DECODERS at the end of the net: what they read is its output then."""
    read = {bottom for param, _ in params for bottom in param.bottom}
    kept: list[Placed] = []
    for param, line in params:
        if param.type not in DECODERS or not read.isdisjoint(param.top):
            kept.append((param, line))
            continue
        notes.append(Note(
            "decoder",
            f"{text.path}:{line}: layer {quoted(param.name)} ({param.type}) is left out:"
            f" {DECODERS[param.type]}, which the host does with the output"
            f" {quoted(param.bottom[0] if param.bottom else '')}",
        ))  # fmt: skip
    return kept


def _only_consumes(param: LayerParameter) -> bool:
    return param.type in ONLY_CONSUME or param.type.endswith("Loss")
