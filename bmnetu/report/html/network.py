"""The layers of a network as the report shows them, and who reads whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf import text_format
from xdsl.dialects.builtin import NameLoc
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from bmnetu.frontend.ufw_pb2 import LayerParameter
from bmnetu.report.html.layout import layout
from dialects.host.base import HostOp
from dialects.quant import types
from dialects.ufw.layer import LayerOp, shape_of
from passes.module.functions import named_inputs
from passes.module.locations import layer_name, location_text

INPUT = "Input"
LONGEST_SETTINGS = 1500
"""Characters of a layer's settings that are shown."""
NOT_SETTINGS = ("name", "type", "bottom", "top", "blobs", "param", "include", "exclude", "phase")


@dataclass(frozen=True)
class Tensor:
    """A tensor's name, shape and element type ("float32", "int8", ...)."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    def record(self) -> list[str]:
        """Name, shape as in 1x3x224x224, type."""
        return [self.name, "x".join(map(str, self.shape)), self.dtype]


@dataclass(frozen=True)
class Node:
    """A layer or an input of the network: ``where`` is file:line, ``before`` are the positions of
    the nodes that make its operands."""

    name: str
    kind: str
    where: str
    settings: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    before: tuple[int, ...]
    on_host: bool = False

    def record(self) -> dict[str, object]:
        """By name, for the page."""
        return {
            "name": self.name,
            "type": self.kind,
            "where": self.where,
            "settings": self.settings,
            "in": [each.record() for each in self.inputs],
            "out": [each.record() for each in self.outputs],
            "dtype": self.outputs[0].dtype if self.outputs else "",
            "place": "CPU" if self.on_host else "NPU",
        }


def nodes_of(function: FuncOp, messages: Mapping[str, LayerParameter]) -> tuple[Node, ...]:
    """The inputs and layers of a function of the ufw level, in their order. ``messages`` give the
    layers' types and settings as in the prototxt, by the layers' first tops."""
    made: dict[SSAValue, tuple[int, Tensor]] = {}
    nodes: list[Node] = []
    for value, name in named_inputs(function):
        tensor = _tensor(value, name)
        made[value] = len(nodes), tensor
        nodes.append(Node(name, INPUT, "", "", (), (tensor,), ()))
    for op in function.body.block.ops:
        if not isinstance(op, LayerOp | HostOp):
            continue
        found = [made[value] for value in op.operands if value in made]
        tops = [_tensor(x, name) for x, name in zip(op.results, op.top_names, strict=True)]
        message = messages.get(op.top_names[0]) if tops else None
        where = location_text(op.location.location) if isinstance(op.location, NameLoc) else ""
        nodes.append(
            Node(
                name=layer_name(op),
                kind=message.type if message and message.type else op.name.partition(".")[2],
                where=where,
                settings=settings_text(message) if message else "",
                inputs=tuple(tensor for _, tensor in found),
                outputs=tuple(tops),
                before=tuple(dict.fromkeys(at for at, _ in found)),
                on_host=isinstance(op, HostOp),
            )
        )
        for value, tensor in zip(op.results, tops, strict=True):
            made[value] = len(nodes) - 1, tensor
    return tuple(nodes)


def _tensor(value: SSAValue, name: str) -> Tensor:
    return Tensor(name, tuple(shape_of(value)), np.dtype(types.dtype_of(value)).name)


def settings_text(message: LayerParameter) -> str:
    """A layer's parameters in the words of the prototxt."""
    kept = LayerParameter()
    kept.CopyFrom(message)
    for name in NOT_SETTINGS:
        if name in LayerParameter.DESCRIPTOR.fields_by_name:
            kept.ClearField(name)
    text = text_format.MessageToString(kept).strip()
    return text if len(text) <= LONGEST_SETTINGS else f"{text[:LONGEST_SETTINGS]} ..."


def graph(nodes: Sequence[Node]) -> dict[str, object]:
    """Where the nodes are drawn, and the lines between them."""
    return layout([node.before for node in nodes]).record()


def takers(nodes: Sequence[Node], computed: Mapping[str, int]) -> dict[int, int]:
    """For each node that computes nothing of its own, the one that computes it.

    ``computed``: by a tensor's name, the node whose commands make it. A layer that is not there is
    one with the layer that makes its tensor, or else with the only one that reads it.
    """
    alive = set(computed.values())
    readers: list[list[int]] = [[] for _ in nodes]
    for at, node in enumerate(nodes):
        for before in node.before:
            readers[before].append(at)
    found: dict[int, int] = {}
    for at in reversed(range(len(nodes))):
        node = nodes[at]
        if at in alive or node.kind == INPUT or node.on_host:
            continue
        makers = {computed[t.name] for t in node.outputs if t.name in computed}
        behind = {found.get(reader, reader) for reader in readers[at]}
        for group in (makers, behind if len(readers[at]) == 1 else set[int]()):
            if len(group) == 1 and (taker := next(iter(group))) in alive:
                found[at] = taker
                break
    return found
