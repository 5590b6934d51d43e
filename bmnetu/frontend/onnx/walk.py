"""The walk over the nodes of a net: each becomes layers, or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf

import numpy as np
from onnx import TensorProto, helper
from xdsl.ir import Block
from xdsl.utils.exceptions import VerifyException

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend.importer import input_shape
from bmnetu.frontend.onnx.fold import SHAPE_ONLY, fold
from bmnetu.frontend.onnx.graph import FLOATS, NO_PADS, Blob, Graph, fresh, pad_param
from bmnetu.frontend.onnx.inputs import element_name
from bmnetu.frontend.onnx.nodes.expand import body_of, expanded, is_function, sizes_of
from bmnetu.frontend.onnx.nodes.infer import TensorKind, inferred
from bmnetu.frontend.onnx.nodes.node import NO_OPERATOR, Node, Refusal
from bmnetu.frontend.onnx.nodes.quantised import KEEPERS
from bmnetu.frontend.onnx.operators.table import Operator, all_operators
from bmnetu.frontend.onnx.reading.file import OnnxFile, widened
from bmnetu.frontend.onnx.refusals import Refusals
from bmnetu.frontend.onnx.site import Site
from bmnetu.frontend.prototxt.inputs import Input
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.constant import Array
from dialects.quant.types import is_index
from dialects.ufw.layer import Top

LIMIT, LIMIT_FACTOR = 1 << 27, 4
"""What is computed of constants takes at most so many bytes, and this times the files' size."""
MAX_EXPANDED = 1 << 16
"""Functions make at most so many nodes."""
NARROW = {TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16}
WRAPPING = ("Add", "Sub", "Mul")
"""Sums and products of narrow integers wrap around, which float32 does not."""
MAX_RANK = 8
"""No tensor of the net has more dimensions."""


class Walk:
    """A walk over the nodes. One that cannot be compiled is noted, and the walk goes on: what it
    makes stands there like an input of the net where onnx knows its shape.

    ``lost`` are tensors of unknown shape; ``unsure`` those that come from such a shape alone, and
    may be constants. ``made`` are the bytes that were computed of constants; ``expanded`` the
    nodes that came out of functions.
    """

    def __init__(
        self,
        file: OnnxFile,
        nodes: Sequence[Node],
        inputs: Sequence[Input],
        refusals: Refusals,
    ) -> None:
        self.file = file
        self.refusals = refusals
        self.unsure: set[str] = set()
        self.operators = all_operators()
        self.made = self.expanded = 0
        self.sizes = sizes_of(file.functions)
        names = {name for node in nodes for name in (*node.inputs, *node.outputs)}
        given = {blob.name for blob in inputs}
        self.lost = set(file.inputs) - given
        read = {name for node in nodes for name in node.inputs}
        self.graph = Graph(read, set(file.outputs), blobs=names | given, names=given)
        self.block = Block(arg_types=[Top(blob.name).type(input_shape(blob)) for blob in inputs])
        self.inputs = len(inputs)
        for blob, value in zip(inputs, self.block.args, strict=True):
            self.graph.known[blob.name] = Blob(blob.name, value)
            self.note_element(blob.name, file.inputs[blob.name].type.tensor_type.elem_type)

    def convert(self, node: Node) -> None:
        """Makes the node's outputs known, or notes why it cannot."""
        for name in node.inputs:
            self.find(node, name)
        if not {*node.inputs}.isdisjoint(self.lost | self.unsure):
            self.convert_unknown(node)
            return
        try:
            self.graph.known.update(self.results(node))
        except Refusal as error:
            self.refuse(node, node.fault(str(error)), advise=error.advise)
        except VerifyException as error:
            self.refuse(node, node.fault(str(error)), advise=False)
        except UnsupportedError as error:
            rule = isinstance(error.__cause__, VerifyException)  # of the layer, whatever its form
            self.refuse(node, error.message, advise=not rule)
        except InputFileError as error:
            if not self.refusals.sentences:
                raise
            self.refuse(node, error.message, advise=False)

    def convert_unknown(self, node: Node) -> None:
        """A node behind one whose result has an unknown shape."""
        computed = self.lost.isdisjoint(node.inputs) and not any(
            isinstance(self.graph.known.get(name), Blob) for name in node.inputs
        )
        if computed or node.op in SHAPE_ONLY:
            self.unsure.update(filter(None, node.outputs))
            return
        if node.op not in self.operators and not is_function(node, self.file.functions):
            self.refusals.add(node.fault(NO_OPERATOR), node)
        self.lost.update(filter(None, node.outputs))

    def refuse(self, node: Node, sentence: str, *, advise: bool = True) -> None:
        """Notes a node, and lets those behind it go on with the shapes of its results."""
        self.refusals.add(sentence, node, advise=advise)
        kinds = self.results_of(node) or [None] * len(node.outputs)
        for name, kind in zip(node.outputs, kinds, strict=True):
            shape = kind.shape if kind is not None else None
            if not name:
                continue
            if kind is None or not shape or len(shape) > MAX_RANK or min(shape) < 1:
                self.lost.add(name)
                continue
            value = self.block.insert_arg(Top(name).type(shape), len(self.block.args))
            self.graph.known[name] = Blob(name, value)
            self.note_element(name, kind.element)

    def kind(self, name: str) -> Array | TensorKind | None:
        """What is known of a tensor."""
        found = self.graph.known[name] if name else None
        if not isinstance(found, Blob):
            return found
        return TensorKind(self.graph.elements.get(name, TensorProto.FLOAT), found.shape)

    def results_of(self, node: Node) -> list[TensorKind] | None:
        """What onnx says of a node's outputs."""
        try:
            return inferred(node, [self.kind(name) for name in node.inputs])
        except Exception:  # a node that breaks a rule of its operator
            return None

    def note_element(self, name: str, element: int) -> None:
        """Keeps the element type of a tensor that is no float."""
        if element not in FLOATS:
            self.graph.elements[name] = element

    def find(self, node: Node, name: str) -> None:
        """Looks for a tensor that a node reads."""
        known = self.graph.known
        if not name or name in known or name in self.lost or name in self.unsure:
            return
        if name not in self.file.tensors:
            raise InputFileError(node.fault(f'reads "{name}", which no node makes before'))
        known[name] = self.file.array(self.file.tensors[name])

    def results(self, node: Node) -> dict[str, Blob | Array]:
        """What stands for the node's outputs."""
        inputs = [self.graph.known.get(name) if name else None for name in node.inputs]
        if node.op in SHAPE_ONLY:
            inputs = [_any_of_shape(each) for each in inputs]
        if node.op == "CastLike" and isinstance(inputs[-1], Blob):
            inputs[-1] = self.any_of_type(node.inputs[-1])
        arrays = [each for each in inputs if not isinstance(each, Blob)]
        if node.op == "Constant" and node.tensor("value") is not None:
            found = [self.file.array(node.tensor("value") or TensorProto())]
        elif len(arrays) == len(inputs):
            found = self.folded(node, arrays)
            if found is None:
                return {}
        else:
            operator = self.operators.get(node.op)
            beyond = self.graph.used(node.outputs[operator.outputs :]) if operator else []
            if operator is None or (beyond and is_function(node, self.file.functions)):
                self.expand(node)
                return {}
            if beyond:
                raise Refusal(f'its output "{beyond[0]}" is used')
            found = self.layers(node, operator)
            beyond = self.graph.used(node.outputs[len(found) :])
            if beyond:
                raise Refusal(f'its output "{beyond[0]}" is used')
        return {name: each for name, each in zip(node.outputs, found, strict=False) if name}

    def folded(self, node: Node, arrays: Sequence[Array | None]) -> list[Array] | None:
        """What a node makes of constants; None where it is a function of the file, whose nodes are
        converted."""
        if node.op in self.file.functions:
            self.expand(node)
            return None
        found = fold(node, arrays, LIMIT + LIMIT_FACTOR * self.file.size - self.made)
        if node.op == "DequantizeLinear" and arrays[1] is not None:
            zero = arrays[2] if len(arrays) > 2 else None
            self.graph.quantised.add_weights(node.name, found[0], arrays[1], zero)
        self.made += sum(array.nbytes for array in found)
        return [widened(array) for array in found]

    def any_of_type(self, name: str) -> Array:
        """An array that only has its type in common with the tensor."""
        element = self.graph.elements.get(name, TensorProto.FLOAT)
        return np.zeros(1, helper.tensor_dtype_to_np_dtype(element))

    def layers(self, node: Node, operator: Operator) -> Sequence[Blob | Array]:
        """The node as layers."""
        least, most = operator.inputs
        if not least <= len(node.inputs) <= most:
            raise InputFileError(node.fault(f"has {len(node.inputs)} input(s)"))
        if not node.outputs[0] and operator.outputs == 1:
            raise Refusal("its first output is left out")
        site = Site(node, self.graph)
        real = self.graph.quantised.real
        integers = [name for name in node.inputs if name in self.graph.elements]
        others = {self.graph.elements[name] for name in integers if name not in real}
        stands_for = {real[name] for name in integers if name in real}
        if stands_for and node.op not in KEEPERS:
            raise Refusal("it reads integers that a QuantizeLinear makes")
        joined = node.inputs if node.op == "Concat" else node.inputs[:1]
        if stands_for and (len(stands_for) > 1 or not all(name in real for name in joined)):
            raise Refusal("it joins integers of different scales")
        wrong = others if not operator.integers else others & NARROW
        if wrong and (not operator.integers or node.op in WRAPPING):
            names = ", ".join(sorted(map(element_name, wrong)))
            wraps = ", which wraps around" if operator.integers else ""
            raise Refusal(f"it computes with {names}{wraps}; cast to float before it", advise=False)
        made = operator.convert(site)
        if stands_for and node.op != "DequantizeLinear":
            real.update(dict.fromkeys(node.outputs, *stands_for))
        if others or stands_for or operator.integers:
            for name, kind in zip(node.outputs, self.results_of(node) or [], strict=False):
                self.note_element(name, kind.element or TensorProto.FLOAT)
        return [made] if isinstance(made, (Blob, np.ndarray)) else made

    def expand(self, node: Node) -> None:
        """Converts the nodes that a node stands for."""
        kinds = [self.kind(name) for name in node.inputs]
        body = body_of(node, self.file.functions, kinds)
        if body is None:
            raise Refusal(NO_OPERATOR)
        nodes = expanded(node, body)
        self.expanded += len(nodes)
        if isinf(self.sizes.get(node.op, 0)):
            raise Refusal("it is a function that calls itself")
        if max(self.expanded, self.sizes.get(node.op, 0)) > MAX_EXPANDED:
            raise Refusal(f"functions make more than {MAX_EXPANDED} nodes")
        for inner in nodes:
            self.graph.read.update(inner.inputs)
            self.graph.blobs.update((*inner.inputs, *inner.outputs))
        for inner in nodes:
            self.convert(inner)

    def name_outputs(self) -> None:
        """Gives every output of the net a layer that makes a blob of its name."""
        graph = self.graph
        made = {top for layer in graph.layers for top in layer.tops}
        for name in dict.fromkeys(self.file.outputs):
            if name in self.lost or name in self.unsure or name in made:
                continue
            found, where = graph.known.get(name), f'{self.file.path}: output "{name}"'
            if found is None and name not in self.file.tensors:
                raise InputFileError(f"{where} is made by no node")
            if not isinstance(found, Blob):
                self.refusals.add(f"{where} is a constant; leave it out of the net's outputs")
                continue
            if found.value in self.block.args[self.inputs :]:
                continue
            if found.name == name:
                self.refusals.add(f"{where} is an input of the net")
                continue
            kind = "Cast" if is_index(found.value) else "Split"
            param = LayerParameter(name=fresh(name, graph.names), type=kind)
            if found.pads != NO_PADS:
                around = pad_param(found.pads)
                param = LayerParameter(name=param.name, type="Pad", pad_param=around)
            layer = Layer(param, 0, f"{self.file.path}:0", (found.name,), (name,))
            graph.add(layer, [found], [])


def _any_of_shape(found: Blob | Array | None) -> Array | None:
    """An array that only has its shape in common with the tensor, and takes no memory."""
    return np.broadcast_to(np.float32(0), found.shape) if isinstance(found, Blob) else found
