"""Loads a prototxt and its weights as a ufw module."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from bmnetu.errors import UnsupportedError, UsageError
from bmnetu.frontend.cut import WHOLE, Cut
from bmnetu.frontend.importer import build_module, check_known
from bmnetu.frontend.prototxt.inputs import INPUT_TYPES, Input, blaming_shapes, reshaped
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.prototxt.readings import reading_notes, readings
from bmnetu.frontend.prototxt.topology import Topology
from bmnetu.frontend.ufw_pb2 import BlobShape, LayerParameter, NetParameter, Preprocess
from bmnetu.frontend.weights.blobs import Weights
from bmnetu.frontend.weights.scales import prototxt_scale_note
from bmnetu.frontend.weights.weight_file import read_weights
from bmnetu.note import Note
from dialects.host.ops import HostOp
from dialects.names import quoted
from dialects.ufw.ops import Top
from dialects.ufw.shapes import Shape, show

ONNX = ".onnx"
"""How the name of a model ends that is no prototxt and has its weights itself."""


class Precision(StrEnum):
    FP32 = "FP32"
    INT8 = "INT8"


@dataclass(frozen=True, repr=False)
class Network:
    """A net as loaded: its ufw module, its precision and remarks for the user.

    ``net`` is the prototxt as it is compiled: V2 layers of the TEST phase, unique tops, Input
    layers with the shapes in use, no weights. ``preprocess`` is what the weights' file records.
    ``input_shapes`` are those of all inputs, also of the ones that no layer reads.
    """

    module: ModuleOp
    precision: Precision
    notes: tuple[Note, ...]
    net: NetParameter
    preprocess: Preprocess | None = None
    input_shapes: tuple[Shape, ...] = ()

    def __repr__(self) -> str:
        return f'<Network "{self.net.name}", {self.precision}, {len(self.net.layer)} layers>'


Files = tuple[Topology, Weights]
"""What the user's files say."""


def load_network(
    model: Path,
    weight: Path | None,
    *,
    shapes: Sequence[Sequence[int]] | None = None,
    max_n: int | None = None,
    net_name: str | None = None,
    cut: Cut = WHOLE,
) -> Network:
    """Reads a prototxt and a caffemodel, fp32umodel or int8umodel; or an .onnx and no weight.

    ``shapes`` are one shape an input, in order; ``max_n`` is the batch of every input; ``cut`` says
    where the net ends. Raises
    :class:`InputFileError` for a faulty file, :class:`UnsupportedError` for what cannot be
    compiled, :class:`UsageError` when the shapes do not fit the inputs.
    """
    return build_network(read_files(model, weight, shapes, max_n, cut), shapes, max_n, net_name)


def loader(
    model: Path, weight: Path | None, net_name: str | None = None, cut: Cut = WHOLE
) -> Callable[..., Network]:
    """What loads a net at several ``(shapes, max_n)``; see :func:`load_network`. The files of a
    prototxt are read once."""
    files: Files | None = None

    def load(
        shapes: Sequence[Sequence[int]] | None, max_n: int | None = None
    ) -> Network:
        nonlocal files
        if files is None or model.suffix.lower() == ONNX:
            files = read_files(model, weight, shapes, max_n, cut)
        return build_network(files, shapes, max_n, net_name)

    return load


def read_files(
    model: Path,
    weight: Path | None,
    shapes: Sequence[Sequence[int]] | None,
    max_n: int | None,
    cut: Cut = WHOLE,
) -> Files:
    """The layers and the weights of a net; an ONNX net is made of UFW layers for these shapes.

    The layers can be those of plug-ins, which are loaded here.
    """
    from bmnetu.plugins import plugins  # which needs the frontend itself

    plugins()
    if model.suffix.lower() != ONNX:
        if weight is None:
            raise UsageError(f"-weight must be given: {model} has no weights")
        return cut.read(model), read_weights(weight)
    if weight is not None:
        raise UsageError(f"-weight={weight}: leave it out, {model} has its weights itself")
    with requiring_onnx(model):
        from bmnetu.frontend.onnx import read_onnx
    topology, weights = read_onnx(model, shapes, max_n, cut.outputs)
    return cut.applied(topology), weights


@contextmanager
def requiring_onnx(model: Path) -> Generator[None]:
    """Imports of the ONNX frontend stand in here: a UsageError where its packages are missing."""
    try:
        yield
    except ImportError as error:
        raise UsageError(f"-model={model}: requires pip install 'bmnetu[onnx]'") from error


def build_network(
    files: Files,
    shapes: Sequence[Sequence[int]] | None,
    max_n: int | None,
    net_name: str | None,
) -> Network:
    """The net of the files; see :func:`load_network`."""
    topology, weights = files
    weights.expand(topology.blocks)
    weights.share(topology.layers)
    notes = [*topology.notes, *check_known(topology), *weights.notes]
    model = topology.path
    scales = weights.scales()
    inputs = reshaped(topology.inputs, shapes, max_n)
    used, unread = _split_unread(topology, inputs)
    notes += [
        Note("unread-input",
             f"{blob.where}: input {quoted(blob.name)} is left out: no layer reads it")
        for blob in unread
    ]
    if scales and topology.net.HasField("int8_scale") and used:
        note = prototxt_scale_note(used[0].name, topology.net.int8_scale, scales)
        notes += [Note("int8-scale", f"{model}: {note}")] if note else []
    name = net_name or topology.net.name or model.stem
    kinds = scales.top if scales else Top
    hints = [] if shapes else placeholder_notes(topology, used)
    possible = readings(topology.layers)
    try:
        with blaming_shapes(topology.inputs, shapes):
            module = build_module(topology, used, weights, kinds, name)
    except UnsupportedError as error:
        raise UnsupportedError("\n".join([error.message, *hints])) from error
    notes += hints + reading_notes(model, possible) + host_notes(module, topology.layers)
    precision = Precision.INT8 if scales else Precision.FP32
    compiled = as_compiled(topology, used, name)
    shapes_in_use = tuple(tuple(blob.shape) for blob in inputs)
    return Network(module, precision, tuple(notes), compiled, weights.preprocess, shapes_in_use)


def placeholder_notes(topology: Topology, inputs: Sequence[Input]) -> list[Note]:
    """A hint for every input of one pixel that windows are meant to go over: such a shape often
    stands for one that is set at run time."""
    params = [layer.param for layer in topology.layers]
    kernels = [max(p.convolution_param.kernel_size, default=0) for p in params]
    kernels += [p.pooling_param.kernel_size for p in params]
    if max(kernels, default=0) <= 1:
        return []
    return [
        Note(
            "placeholder-shape",
            f"{blob.where}: input {quoted(blob.name)} is {show(blob.shape)}; if that is a"
            f" placeholder, give the real one with -shapes=[{blob.shape[0]},{blob.shape[1]},H,W]",
        )
        for blob in inputs
        if len(blob.shape) == 4 and blob.shape[2:] == (1, 1)
    ]


def host_notes(module: ModuleOp, layers: Sequence[Layer]) -> list[Note]:
    """The remarks of the module's host layers, each with the place of its layer."""
    makers = {top: layer for layer in layers for top in layer.tops}
    ops = (op for op in module.walk() if isinstance(op, HostOp))
    return [host_note(makers[op.top_names[0]], op.note) for op in ops if op.note]


def host_note(layer: Layer, remark: str) -> Note:
    """The remark of a host layer with its place."""
    return Note("host-limit", layer.fault(remark))


def _split_unread(topology: Topology, inputs: Sequence[Input]) -> tuple[list[Input], list[Input]]:
    """The inputs that a layer reads, and the others."""
    read = {bottom for layer in topology.layers for bottom in layer.bottoms}
    used = [blob for blob in inputs if blob.name in read]
    return used, [blob for blob in inputs if blob.name not in read]


def as_compiled(topology: Topology, inputs: Sequence[Input], name: str) -> NetParameter:
    """The net's message with Input layers, unique tops and only what takes part."""
    net = NetParameter(name=name)
    for field, value in topology.net.ListFields():
        if field.name in ("model_type", "int8_scale"):
            setattr(net, field.name, value)
    for blob in inputs:
        layer = net.layer.add(name=blob.name, type=INPUT_TYPES[0], top=[blob.name])
        layer.input_param.shape.append(BlobShape(dim=blob.shape))
        if blob.transform is not None:
            layer.transform_param.CopyFrom(blob.transform)
        if blob.threshold is not None:
            layer.threshold = blob.threshold
    for each in topology.layers:
        layer = LayerParameter()
        layer.CopyFrom(each.param)
        for field in ("bottom", "top", "blobs", "include", "exclude"):
            layer.ClearField(field)
        layer.bottom.extend(each.bottoms)
        layer.top.extend(each.tops)
        net.layer.append(layer)
    read = {bottom for layer in topology.layers for bottom in layer.bottoms}
    if topology.net.output_whitelist or not read.isdisjoint(topology.outputs):
        net.output_whitelist.extend(topology.outputs)
    return net
