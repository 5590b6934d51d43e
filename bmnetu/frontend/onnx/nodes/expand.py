"""Nodes that stand for a graph: functions of the file, and operators that ONNX defines by others.

Both become the nodes of their body, with names of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
from onnx import AttributeProto, FunctionProto, NodeProto, defs, helper

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.nodes.infer import TensorKind
from bmnetu.frontend.onnx.nodes.node import DOMAINS, Node, Refusal, operator_of
from bmnetu.frontend.onnx.nodes.quantised import BODIES
from dialects.constant import Array

MAX_DEPTH = 16
"""A function whose nodes are functions, and so on: no deeper than this."""

Kinds = Sequence[Array | TensorKind | None]


def body_of(
    node: Node, functions: Mapping[str, FunctionProto], kinds: Kinds
) -> FunctionProto | None:
    """The function that a node stands for, the file's own first; None where there is none.
    ``kinds`` are what the node's inputs are."""
    if node.op in functions:
        return functions[node.op]
    if node.op in BODIES:
        return BODIES[node.op](node)
    schema = _schema(node)
    if schema is None:
        return None
    data = _defined(node, schema, kinds)
    if data is None:
        return None
    body = FunctionProto.FromString(data)
    defaults = [each.default_value for each in schema.attributes.values()]
    body.attribute_proto.extend(each for each in defaults if each.name)
    return body


def _schema(node: Node) -> Any:
    """What onnx says of an operator: as it is in the node's operator set, or, where only a newer
    one says what it is defined by, as it is there, with the same inputs and attributes. None for
    an operator that onnx does not know. (onnx's stubs lack most of an OpSchema.)"""
    try:
        schema: Any = defs.get_schema(node.op, node.opset, "")
        newest: Any = defs.get_schema(node.op, defs.onnx_opset_version(), "")
    except defs.SchemaError:
        return None
    defined = schema.has_function or schema.has_context_dependent_function
    alike = len(schema.inputs) == len(newest.inputs) and {*schema.attributes} == {
        *newest.attributes
    }
    return newest if alike and not defined else schema


def _defined(node: Node, schema: Any, kinds: Kinds) -> bytes | None:
    """What ONNX defines an operator by."""
    plain = _versions(schema.function_opset_versions, node.opset)
    if plain:
        return schema.get_function_with_opset_version(plain[-1])
    versions = _versions(schema.context_dependent_function_opset_versions, node.opset)
    types = [_type(kind) for kind in kinds if kind is not None]
    known = [each for each in types if each is not None]
    if not versions or len(known) < len(types):
        return None
    proto = node.anonymous([kind is not None for kind in kinds])
    return schema.get_context_dependent_function_with_opset_version(
        versions[-1], proto.SerializeToString(), known
    )


def _versions(versions: Sequence[int], opset: int) -> list[int]:
    """Those up to an operator set; else the first one."""
    return [v for v in versions if v <= opset] or [*versions][:1]


def is_function(node: Node, functions: Mapping[str, FunctionProto]) -> bool:
    """Whether a node may stand for others."""
    schema = _schema(node)
    if schema is None or node.op in BODIES:
        return node.op in functions or node.op in BODIES
    return schema.has_function or schema.has_context_dependent_function


def sizes_of(functions: Mapping[str, FunctionProto]) -> dict[str, float]:
    """How many nodes each function stands for, with those of the functions that it calls; infinite
    for one that calls itself."""
    found: dict[str, float] = {}

    def size(name: str, depth: int) -> float:
        if depth > MAX_DEPTH:
            return inf
        if name not in found:
            inner = [operator_of(node.domain, node.op_type) for node in functions[name].node]
            found[name] = sum(
                1 + (size(each, depth + 1) if each in functions else 0) for each in inner
            )
        return found[name]

    for name in functions:
        size(name, 0)
    return found


def _type(kind: Array | TensorKind) -> bytes | None:
    if isinstance(kind, TensorKind):
        if kind.shape is None:
            return None
        return helper.make_tensor_type_proto(kind.element, kind.shape).SerializeToString()
    element = helper.np_dtype_to_tensor_dtype(np.dtype(kind.dtype))
    return helper.make_tensor_type_proto(element, kind.shape).SerializeToString()


def expanded(node: Node, body: FunctionProto) -> list[Node]:
    """The nodes of a function that the node's outputs depend on, in order.

    A tensor of the body is called as the node, a slash, and its own name. Raises
    :class:`InputFileError` for a body that does not fit the node, :class:`Refusal` for one that is
    too deep.
    """
    if node.depth >= MAX_DEPTH:
        raise Refusal("it is a function of functions, more than 16 deep")
    if len(node.inputs) > len(body.input) or len(node.outputs) > len(body.output):
        raise InputFileError(node.fault("has more inputs or outputs than its function"))
    given = [*node.inputs, *[""] * len(body.input)]
    names: dict[str, str] = {"": ""}
    names |= dict(zip(body.input, given, strict=False))
    names |= {inner: name for inner, name in zip(body.output, node.outputs, strict=False) if name}
    attributes = {each.name: each for each in (*body.attribute_proto, *node.proto.attribute)}
    opset = next((each.version for each in body.opset_import if each.domain in DOMAINS), node.opset)
    found: list[Node] = []
    for place, proto in enumerate(_live(body, node), 1):
        inner = NodeProto(op_type=proto.op_type, domain=proto.domain)
        inner.name = f"{node.name}/{proto.name or f'{proto.op_type}_{place}'}"
        inner.input.extend(names.get(name, f"{node.name}/{name}") for name in proto.input)
        inner.output.extend(names.get(name, f"{node.name}/{name}") for name in proto.output)
        inner.attribute.extend(_settled(proto, attributes))
        made = Node.of(inner, node.number, node.file, opset, node.depth + 1)
        found.append(made)
    return found


def _live(body: FunctionProto, node: Node) -> list[NodeProto]:
    """The nodes of the body that the node's outputs depend on."""
    wanted = {inner for inner, name in zip(body.output, node.outputs, strict=False) if name}
    live: list[NodeProto] = []
    for proto in reversed(body.node):
        if not wanted.isdisjoint(proto.output):
            live.append(proto)
            wanted.update(filter(None, proto.input))
    return live[::-1]


def _settled(proto: NodeProto, given: Mapping[str, AttributeProto]) -> list[AttributeProto]:
    """A node's attributes, with those of the function's node in place of references to them."""
    found: list[AttributeProto] = []
    for attribute in proto.attribute:
        if not attribute.ref_attr_name:
            found.append(attribute)
        elif attribute.ref_attr_name in given:
            settled = AttributeProto()
            settled.CopyFrom(given[attribute.ref_attr_name])
            settled.name = attribute.name
            found.append(settled)
    return found


def functions_by_operator(functions: Sequence[FunctionProto]) -> dict[str, FunctionProto]:
    """A file's own functions by the operator that calls them."""
    return {operator_of(each.domain, each.name): each for each in functions}
