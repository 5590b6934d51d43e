"""The shapes of a node's results, by the onnx package's own rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import TensorProto, TypeProto, defs, helper, numpy_helper
from onnx.shape_inference import infer_node_outputs

from bmnetu.frontend.onnx.nodes.node import Node
from dialects.constant import Array
from dialects.ufw.shapes import Shape

KNOWN_NUMBERS = 4096
"""The numbers of an input with more than these do not make a shape."""


@dataclass(frozen=True)
class TensorKind:
    """A tensor's element type (``TensorProto.DataType``), and its shape: None where a size is not
    known.
    """

    element: int
    shape: Shape | None


def inferred(node: Node, inputs: Sequence[Array | TensorKind | None]) -> list[TensorKind] | None:
    """What the node's outputs are, given its inputs in their order (None: left out).

    None where onnx does not know the operator. Raises whatever onnx raises for a faulty node.
    """
    try:
        schema = defs.get_schema(node.op, node.opset, "")
    except defs.SchemaError:
        return None
    proto = node.anonymous([each is not None for each in inputs])
    types: dict[str, TypeProto] = {}
    data: dict[str, TensorProto] = {}
    for name, each in zip(proto.input, inputs, strict=True):
        if isinstance(each, TensorKind):
            types[name] = helper.make_tensor_type_proto(each.element, each.shape)
        elif each is not None:
            element = helper.np_dtype_to_tensor_dtype(each.dtype)
            types[name] = helper.make_tensor_type_proto(element, each.shape)
            if each.size <= KNOWN_NUMBERS:
                data[name] = numpy_helper.from_array(each)
    opsets = [helper.make_opsetid("", node.opset)]
    found = infer_node_outputs(schema, proto, types, data, opset_imports=opsets)
    return [_kind(found[name]) if name in found else TensorKind(0, None) for name in proto.output]


def _kind(found: TypeProto) -> TensorKind:
    tensor = found.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    known = tensor.HasField("shape") and min(sizes, default=0) >= 0
    return TensorKind(tensor.elem_type, tuple(sizes) if known else None)
