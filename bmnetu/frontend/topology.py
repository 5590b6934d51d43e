"""A prototxt as a list of layers in order, with unique blob names and checked connections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend.inputs import Input, declared_inputs, input_tops
from bmnetu.frontend.phases import inference_state, takes_part
from bmnetu.frontend.text import TextFile, read_text
from bmnetu.frontend.ufw_pb2 import LayerParameter, NetParameter
from bmnetu.frontend.upgrade import upgraded

INPUT_TYPES = ("Input", "DummyData", "Data")
ONLY_CONSUME = ("Accuracy", "SoftmaxWithLoss", "HDF5Output")
"""Layers of training and testing; so are all whose type ends with "Loss"."""


@dataclass(frozen=True)
class Layer:
    """One layer: bottoms and tops are unique blob names, ``where`` is file:line."""

    param: LayerParameter
    line: int
    where: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.param.name

    def fault(self, sentence: str) -> str:
        """A message that names file, line and layer."""
        return f'{self.where}: layer "{self.name}" ({self.param.type}): {sentence}'


@dataclass(frozen=True)
class Topology:
    """What a prototxt says: the net's message, its inputs, layers and outputs, and remarks.

    ``outputs`` are the unique blobs that no layer reads, and those of ``output_whitelist``.
    """

    path: Path
    net: NetParameter
    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...]


def read_topology(path: Path) -> Topology:
    """Reads a prototxt. Raises :class:`InputFileError` with file and line."""
    net = NetParameter()
    text = read_text(path, net)
    notes: list[str] = []
    params = _without_consumers(_inference_layers(net, text, notes), text, notes)
    read = {bottom for param, _ in params for bottom in param.bottom}
    inputs = declared_inputs(net, text)
    for param, line in params:
        if param.type in INPUT_TYPES:
            inputs += input_tops(param, text, line, read)
    params = [(param, line) for param, line in params if param.type not in INPUT_TYPES]
    names = _Names(text, inputs, [param for param, _ in params])
    layers = [names.connect(param, line) for param, line in params]
    if not layers:
        raise InputFileError(f"{path}: the net has no layers to compile")
    outputs = names.outputs(layers, net.output_whitelist)
    return Topology(path, net, tuple(inputs), tuple(layers), outputs, tuple(notes))


def _inference_layers(
    net: NetParameter, text: TextFile, notes: list[str]
) -> list[tuple[LayerParameter, int]]:
    """The layers of the TEST phase, all as V2 messages, with their lines."""
    if net.layer and net.layers:
        line = text.line("layers", 0)
        raise InputFileError(f"{text.path}:{line}: has both 'layer' and 'layers'; one is wanted")
    kind = "layers" if net.layers else "layer"
    params = [upgraded(old) for old in net.layers] if net.layers else list(net.layer)
    state = inference_state(net.state)
    kept = {i for i, param in enumerate(params) if takes_part(param, state)}
    for where, line, name in text.unknown:
        if where[:1] != (kind,) or where[1] in kept:
            notes.append(f"{text.path}:{line}: unknown field {name} is skipped")
    return [(params[i], text.line(kind, i)) for i in sorted(kept)]


def _without_consumers(
    params: list[tuple[LayerParameter, int]], text: TextFile, notes: list[str]
) -> list[tuple[LayerParameter, int]]:
    """Drops losses and accuracies, unless a layer that stays reads them."""
    kept = [(param, line) for param, line in params if not _only_consumes(param)]
    read = {bottom for param, _ in kept for bottom in param.bottom}
    for param, line in params:
        if not _only_consumes(param):
            continue
        used = sorted(read & set(param.top))
        if used:
            raise UnsupportedError(
                f'{text.path}:{line}: layer "{param.name}" ({param.type}) is not for inference, '
                f'but its blob "{used[0]}" is read'
            )
        notes.append(
            f'{text.path}:{line}: layer "{param.name}" ({param.type}) is left out: '
            "it is not for inference"
        )
    return kept


def _only_consumes(param: LayerParameter) -> bool:
    return param.type in ONLY_CONSUME or param.type.endswith("Loss")


class _Names:
    """Gives every top a name of its own, as a walk over the layers in order.

    An in-place layer writes the blob it reads; its top becomes ``conv1_1``, the next one
    ``conv1_2``, with a higher number where such a blob already exists.
    """

    def __init__(
        self, text: TextFile, inputs: Iterable[Input], params: list[LayerParameter]
    ) -> None:
        self.text = text
        self.current: dict[str, str] = {}
        self.taken = {top for param in params for top in param.top}
        self.later = {top: param.name for param in reversed(params) for top in param.top}
        for blob in inputs:
            self.taken.add(blob.name)
            if blob.name in self.current:
                raise InputFileError(f'{blob.where}: input "{blob.name}" is declared twice')
            self.current[blob.name] = blob.name

    def connect(self, param: LayerParameter, line: int) -> Layer:
        where = f"{self.text.path}:{line}"
        layer = Layer(param, line, where, (), ())
        bottoms = tuple(self.read(layer, bottom) for bottom in param.bottom)
        if len(set(param.top)) != len(param.top):
            raise InputFileError(layer.fault("two of its tops have the same name"))
        tops = tuple(self.produce(layer, top) for top in param.top)
        self.current |= dict(zip(param.top, tops, strict=True))
        return Layer(param, line, where, bottoms, tops)

    def read(self, layer: Layer, bottom: str) -> str:
        if bottom in self.current:
            return self.current[bottom]
        if bottom in self.later:
            raise InputFileError(
                layer.fault(
                    f'reads blob "{bottom}", which layer "{self.later[bottom]}" makes only later: '
                    "the graph is cyclic or not in order"
                )
            )
        raise InputFileError(layer.fault(f'reads blob "{bottom}", which no layer makes'))

    def produce(self, layer: Layer, top: str) -> str:
        if not top:
            raise InputFileError(layer.fault("a top has an empty name"))
        if top not in self.current:
            return top
        if top not in layer.param.bottom:
            raise InputFileError(layer.fault(f'makes blob "{top}", which is already made before'))
        number = 1
        while f"{top}_{number}" in self.taken:
            number += 1
        self.taken.add(f"{top}_{number}")
        return f"{top}_{number}"

    def outputs(self, layers: list[Layer], whitelist: Iterable[str]) -> tuple[str, ...]:
        read = {bottom for layer in layers for bottom in layer.bottoms}
        tops = [top for layer in layers for top in layer.tops]
        wanted = {self.current.get(name, name) for name in whitelist}
        missing = sorted(wanted - set(tops))
        if missing:
            raise InputFileError(
                f'{self.text.path}: output_whitelist names "{missing[0]}", which no layer makes'
            )
        return tuple(top for top in tops if top not in read or top in wanted)
