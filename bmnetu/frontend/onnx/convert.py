"""An .onnx file as a topology of UFW layers and their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bmnetu.errors import InputFileError, UnsupportedError, UsageError
from bmnetu.frontend.onnx.graph import Blob, Graph
from bmnetu.frontend.onnx.inputs import declared_shape, element_name, inputs_of
from bmnetu.frontend.onnx.nodes.node import Node
from bmnetu.frontend.onnx.reading.file import OnnxFile, read_file
from bmnetu.frontend.onnx.refusals import Refusals
from bmnetu.frontend.onnx.rewrite import rewritten
from bmnetu.frontend.onnx.walk import Walk
from bmnetu.frontend.prototxt.inputs import Input, blaming_shapes, reshaped
from bmnetu.frontend.prototxt.topology import Topology
from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.frontend.weights.blobs import ArrayWeights
from bmnetu.nearest import nearest
from bmnetu.note import Note
from dialects.names import quoted
from dialects.quant.types import is_index


def read_onnx(
    path: Path,
    shapes: Sequence[Sequence[int]] | None,
    max_n: int | None,
    whitelist: Sequence[str] = (),
) -> tuple[Topology, ArrayWeights]:
    """Reads a net for inputs of these shapes; see :func:`load_network`. It ends at the tensors of
    ``whitelist``.

    Raises :class:`InputFileError` for a faulty file, :class:`UnsupportedError` that lists every
    node which cannot be compiled, :class:`UsageError` when the shapes do not fit the inputs.
    """
    topology, weights, refusals = convert_onnx(path, shapes, max_n, whitelist)
    if refusals.sentences:
        with blaming_shapes(refusals.inputs, shapes):
            raise UnsupportedError(refusals.message())
    return topology, weights


def convert_onnx(
    path: Path,
    shapes: Sequence[Sequence[int]] | None,
    max_n: int | None,
    whitelist: Sequence[str] = (),
) -> tuple[Topology, ArrayWeights, Refusals]:
    """As :func:`read_onnx`, with what cannot be compiled beside the layers that can."""
    file = read_file(path)
    notes: list[Note] = []
    if whitelist:
        whole, file = len(_live(file)), _ending_at(file, whitelist)
        left_out = whole - len(_live(file))
        if left_out > 0:
            notes.append(Note(
                "left-out",
                f"{path}: -output_whitelist: {left_out} node(s) are left out; the outputs are"
                f" {', '.join(map(quoted, file.outputs))}",
            ))  # fmt: skip
    _live(file)
    file = rewritten(file)
    nodes = _live(file)
    read = {name for node in nodes for name in node.inputs} | set(file.outputs)
    refusals = Refusals(path)
    inputs = reshaped(inputs_of(file, read, notes, refusals, shapes is None), shapes, max_n)
    if shapes is None and max_n is None:
        notes += [
            Note("any-batch",
                 f'{path}: input "{blob.name}" has any batch; 1 is taken without -shapes')
            for blob in inputs if declared_shape(file.inputs[blob.name])[0] == 0
        ]  # fmt: skip
    refusals.inputs += [
        replace(blob, shape=declared_shape(file.inputs[blob.name])) for blob in inputs
    ]
    walk = Walk(file, nodes, inputs, refusals)
    with blaming_shapes(refusals.inputs, shapes):
        for node in nodes:
            walk.convert(node)
    walk.name_outputs()
    graph = walk.graph
    notes += [
        Note(
            "element-type",
            f'{path}: output "{name}" is {element_name(graph.elements[name])}; the bmodel gives'
            f" the same numbers as {_given_as(graph, name)}",
        )
        for name in file.outputs if name in graph.elements
    ]  # fmt: skip
    net = NetParameter()
    taken = {bottom for layer in graph.layers for bottom in layer.bottoms}
    outputs = tuple(top for layer in graph.layers for top in layer.tops if top in graph.outputs)
    if taken & graph.outputs:
        net.output_whitelist.extend(outputs)
    notes += [Note(note.code, f"{path}: {note}") for note in graph.quantised.notes()]
    inputs = _with_thresholds(graph, inputs)
    topology = Topology(path, net, tuple(inputs), tuple(graph.layers), outputs, tuple(notes))
    return topology, graph.weights, refusals


def _with_thresholds(graph: Graph, inputs: Sequence[Input]) -> list[Input]:
    """Gives the layers the thresholds of what they make; the inputs with theirs."""
    thresholds = graph.quantised.thresholds
    for layer in graph.layers:
        given = [thresholds[top] for top in layer.tops if top in thresholds]
        if given:
            layer.param.threshold = max(given)
    return [replace(blob, threshold=thresholds.get(blob.name)) for blob in inputs]


def _ending_at(file: OnnxFile, names: Sequence[str]) -> OnnxFile:
    """The file with these tensors as its outputs. Raises :class:`UsageError` for one that no node
    makes."""
    made = [name for node in file.nodes for name in node.outputs if name]
    for name in names:
        if name not in made:
            node = next((node for node in file.nodes if node.name == name), None)
            if node is not None:
                tensors = ", ".join(quoted(each) for each in node.outputs if each)
                raise UsageError(
                    f"-output_whitelist names {quoted(name)}, a node; it makes {tensors}"
                )
            near = nearest(name, made)
            hint = f"; did you mean {quoted(near)}?" if near else ""
            raise UsageError(f"-output_whitelist names {quoted(name)}, which no node makes{hint}")
    return replace(file, outputs=tuple(name for name in made if name in names))


def _live(file: OnnxFile) -> list[Node]:
    """The nodes that take part in the outputs, in order."""
    makers: dict[str, Node] = {}
    for node in file.nodes:
        for name in filter(None, node.outputs):
            if name in makers or name in file.inputs or name in file.tensors:
                raise InputFileError(node.fault(f'makes "{name}", which is already there'))
            makers[name] = node
    todo, live = list(file.outputs), set[int]()
    while todo:
        node = makers.get(todo.pop())
        if node is not None and node.number not in live:
            live.add(node.number)
            todo += node.inputs
    return [node for node in file.nodes if node.number in live]


def _given_as(graph: Graph, name: str) -> str:
    """The type of an output in the bmodel: INT32 where a layer of the host makes it."""
    found = graph.known.get(name)
    return "INT32" if isinstance(found, Blob) and found.name == name and is_index(found.value) \
        else "FLOAT"  # fmt: skip
