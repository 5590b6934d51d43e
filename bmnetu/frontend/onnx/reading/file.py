"""Reads an .onnx file: hostile until looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from onnx import (
    FunctionProto,
    GraphProto,
    ModelProto,
    TensorProto,
    ValueInfoProto,
    defs,
    helper,
    numpy_helper,
)

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.files.reading import read_bytes
from bmnetu.frontend.onnx.nodes.expand import functions_by_operator
from bmnetu.frontend.onnx.nodes.node import DOMAINS, Node
from bmnetu.frontend.onnx.reading.external import Outside
from bmnetu.frontend.weights.wire import check_messages
from dialects.constant import Array
from dialects.ufw.shapes import show

OLDEST = 6
"""The first operator set whose operators are known here."""

MAX_NUMBERS = 1 << 29
"""The largest constant tensor: as floats it fills the largest file."""

NUMBERS = {
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16,
    TensorProto.BOOL,
    TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
    TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
}  # fmt: skip
"""What a constant may hold."""
HALVES = {
    helper.tensor_dtype_to_np_dtype(kind) for kind in (TensorProto.FLOAT16, TensorProto.BFLOAT16)
}


@dataclass(frozen=True)
class OnnxFile:
    """What a file says: nodes in order, constants (``tensors``) and inputs by name, outputs."""

    path: Path
    name: str
    nodes: tuple[Node, ...]
    tensors: dict[str, TensorProto]
    inputs: dict[str, ValueInfoProto]
    outputs: tuple[str, ...]
    outside: Outside
    own_size: int
    functions: dict[str, FunctionProto] = field(default_factory=dict[str, FunctionProto])
    """The file's own functions, by the operator that calls them."""

    @property
    def size(self) -> int:
        """The bytes of the file, and those that were read beside it."""
        return self.own_size + self.outside.size

    def array(self, tensor: TensorProto) -> Array:
        """The numbers of a tensor, in this file or below its folder; halves as float32. Raises
        InputFileError."""
        return widened(to_array(self.path, tensor, self.outside))


def read_file(path: Path) -> OnnxFile:
    """Reads a file, and nothing beside it yet.

    Raises :class:`InputFileError` for a damaged file, :class:`UnsupportedError` for an operator set
    that is not known.
    """
    data = read_bytes(path, "an ONNX net")
    check_messages(path, data, ModelProto)
    try:
        model = ModelProto.FromString(data)
    except DecodeError as error:
        raise InputFileError(f"{path}: is damaged or cut short, or is no ONNX net") from error
    graph = model.graph
    _check_names(path, graph)
    for function in model.functions:
        _check_names(path, function)
    if not graph.node:
        raise InputFileError(f"{path}: has no nodes; an ONNX net is required")
    opset = _opset(path, model)
    nodes = tuple(Node.of(node, i, str(path), opset) for i, node in enumerate(graph.node, 1))
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    inputs = {value.name: value for value in graph.input if value.name not in tensors}
    outputs = tuple(value.name for value in graph.output)
    if not outputs:
        raise InputFileError(f"{path}: has no outputs; an ONNX net is required")
    functions = functions_by_operator(model.functions)
    outside = Outside(path)
    return OnnxFile(
        path, graph.name, nodes, tensors, inputs, outputs, outside, len(data), functions
    )


def widened(array: Array) -> Array:
    """Float16 and bfloat16 as float32, in which they are computed."""
    return array.astype(np.float32) if array.dtype in HALVES else array


def _check_names(path: Path, graph: GraphProto | FunctionProto) -> None:
    """Protobuf gives bytes for a text that is not UTF-8."""
    for text in _names(graph):
        if not isinstance(text, str):
            raise InputFileError(f"{path}: is damaged: a name is not UTF-8 ({text!r})")


def _names(graph: GraphProto | FunctionProto) -> Iterator[object]:
    yield graph.name
    for node in graph.node:
        yield from (node.name, node.domain, node.op_type, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.t.name)
            yield from (tensor.name for tensor in attribute.tensors)
    if isinstance(graph, FunctionProto):
        yield from (graph.domain, *graph.input, *graph.output)
        return
    yield from (tensor.name for tensor in graph.initializer)
    yield from (value.name for value in (*graph.input, *graph.output))


def _opset(path: Path, model: ModelProto) -> int:
    newest = defs.onnx_opset_version()
    found = [item.version for item in model.opset_import if item.domain in DOMAINS]
    if len(found) != 1:
        raise InputFileError(f"{path}: is damaged: it does not say which operator set it uses")
    if not OLDEST <= found[0] <= newest:
        raise UnsupportedError(
            f"{path}: operator set {found[0]} cannot be compiled; export the net with one of "
            f"{OLDEST} to {newest}"
        )
    return found[0]


def to_array(path: Path, tensor: TensorProto, outside: Outside) -> Array:
    """The numbers of a tensor. Raises :class:`InputFileError`."""
    where = f'{path}: tensor "{tensor.name}"'
    if tensor.data_type not in NUMBERS or tensor.HasField("segment"):
        raise InputFileError(f"{where} holds no numbers that are known here")
    shape = tuple(tensor.dims)
    if min(shape, default=0) < 0 or prod(shape) > MAX_NUMBERS:
        raise InputFileError(f"{where} has the shape {list(shape)}, which no tensor can have")
    if tensor.data_location == TensorProto.EXTERNAL:
        return outside.array(tensor)
    damage = f"{where} is damaged: its numbers do not fill {show(shape)}"
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputFileError(damage) from error
    if array.shape != shape:
        raise InputFileError(damage)
    return array
