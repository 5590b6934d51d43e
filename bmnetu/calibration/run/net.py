"""The float net that is calibrated."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from copy import copy
from functools import cached_property
from typing import Any

from xdsl.context import Context
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from bmnetu.calibration.run.function_message import function_message
from bmnetu.calibration.run.judged import judged, judged_values
from bmnetu.frontend import Network
from bmnetu.frontend.prototxt.inputs import INPUT_TYPES
from bmnetu.frontend.ufw_pb2 import LayerParameter, NetParameter
from dialects.host.base import HostOp
from dialects.ufw.activation import PointwiseOp
from dialects.ufw.facts import CarriesOn, JoinsOperands, PassesOn, TakesReLU
from dialects.ufw.layer import LayerOp, shape_of
from dialects.ufw.movement import CastOp
from dialects.ufw.shapes import Shape
from passes.module.functions import main_function, names
from passes.ufw.ufw_fold_batch_norm import UfwFoldBatchNormPass
from passes.ufw.ufw_fuse_functions import fuse_functions

Node = Operation | SSAValue
"""A layer, or an input of the net."""


class FloatNet:
    """A loaded net and the prototxt's message of every layer that stays.

    BatchNorm, Scale and Bias are folded into the Convolution or InnerProduct before them, unless
    ``keep_bn``; a chain of layers that is a function of one tensor is one layer. ``floats`` are the
    layers, and the inputs, that stay float whatever the data says. ``parts`` names the layer that
    each of the others became part of.
    """

    def __init__(self, network: Network, keep_bn: bool) -> None:
        self.message: NetParameter = network.net
        self.module = network.module
        self.function: FuncOp = main_function(network.module)
        block = self.function.body.block
        messages = messages_of(network)
        feeders = {op: op.operands[0].owner for op in _layers(self.function) if op.operands}
        if not keep_bn:
            UfwFoldBatchNormPass().apply(Context(), network.module)
        fused = fuse_functions(self.function)
        messages |= {new: _of_fused(new, messages[op]) for op, new in fused.items()
                     if isinstance(op, LayerOp) and op.top_names == new.top_names}  # fmt: skip
        parts: dict[Node, Node] = {**fused}
        stay = set(_layers(self.function))
        for node, message in messages.items():
            if node not in fused and message.HasField("threshold"):
                messages[_folded_into(node, stay, feeders)].threshold = message.threshold
        self.layers: dict[LayerOp, LayerParameter] = {
            op: messages[op] for op in _layers(self.function)
        }
        self.parts: dict[str, str] = {
            message.name: messages[_folded_into(parts.get(node, node), stay, feeders)].name
            for node, message in messages.items()
            if isinstance(node, Operation) and node not in stay
        }
        self.inputs: dict[str, SSAValue] = dict(
            zip(names(self.function, "input_names"), block.args, strict=True)
        )
        self._kept: dict[Node, LayerParameter] = {
            node: messages[node] for node in (*self.layers, *block.args)
        }
        self.floats: set[Node] = {op for op in self.layers if not op.has_integers}
        self.floats |= set(_read_by_host(self.layers))
        self.floats |= set(_read_as_indices(self.layers))
        self.keep_float(
            _folded_into(parts.get(node, node), self.layers, feeders)
            for node, message in messages.items()
            if message.forward_with_float
        )

    def copy(self) -> FloatNet:
        """A net of its own, so that its weights can be changed; messages are shared."""
        found = copy(self)
        found.__dict__.pop("names", None)
        found.__dict__.pop("makers", None)
        found.module = self.module.clone()
        found.function = main_function(found.module)
        nodes: dict[Node, Node] = dict(
            zip(
                [*self.layers, *self.inputs.values()],
                [*_layers(found.function), *found.function.body.block.args],
                strict=True,
            )
        )
        found.layers = dict(zip(_layers(found.function), self.layers.values(), strict=True))
        arguments = found.function.body.block.args
        found.inputs = dict(zip(self.inputs, arguments, strict=True))
        found._kept = {nodes[node]: message for node, message in self._kept.items()}
        found.floats = {nodes[node] for node in self.floats}
        return found

    def keep_float(self, nodes: Iterable[Node]) -> None:
        """Adds to the floats, and marks their messages."""
        for node in nodes:
            self.floats.add(node)
            self._kept[node].forward_with_float = True

    @property
    def judged(self) -> dict[str, SSAValue]:
        """By name, the blobs that the net is judged by, see :func:`judged_values`."""
        return judged_values(self.function)

    def judged_function(self) -> FuncOp:
        """The function that gives these blobs; a copy, with the weights of this moment."""
        return main_function(judged(self.module.clone()))

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shapes of the inputs by name."""
        return {name: shape_of(value) for name, value in self.inputs.items()}

    @cached_property
    def names(self) -> dict[SSAValue, str]:
        """The name of every blob, inputs first."""
        found = {value: name for name, value in self.inputs.items()}
        for op in self.layers:
            found |= dict(zip(op.results, op.top_names, strict=True))
        return found

    @cached_property
    def makers(self) -> dict[SSAValue, LayerParameter]:
        """The message of the layer that makes a blob, of Input layers too. A ReLU without a
        threshold has that of the layer that computes it."""
        found = dict[SSAValue, LayerParameter]()
        found.update({value: self._kept[value] for value in self.function.body.block.args})
        for op, param in self.layers.items():
            found.update((y, param) for y in op.results)
            if is_computed_before(op) and not param.HasField("threshold"):
                before = found[op.operands[0]]
                if before.HasField("threshold"):
                    found[op.results[0]] = own = LayerParameter()
                    own.CopyFrom(param)
                    own.threshold = before.threshold
        return found


def is_computed_before(op: LayerOp) -> bool:
    """Whether a layer is a ReLU that the layer before it computes in 8 bits."""
    if not op.is_relu:
        return False
    owner = op.operands[0].owner
    takes = isinstance(owner, LayerOp) and owner.has_trait(TakesReLU)
    return takes and op.operands[0].has_one_use()


def _of_fused(new: PointwiseOp, message: LayerParameter) -> LayerParameter:
    """The message of layers that became one, held in 8 bits as the last one's says."""
    found = function_message(new)
    for name in ("th_strategy", "th_scale", "threshold"):
        if message.HasField(name):
            setattr(found, name, getattr(message, name))
    return found


def messages_of(network: Network) -> dict[Node, LayerParameter]:
    """The prototxt's message of every input and layer of a net as it was loaded."""
    function = main_function(network.module)
    of_inputs = [each for each in network.net.layer if each.type in INPUT_TYPES]
    of_layers = [each for each in network.net.layer if each.type not in INPUT_TYPES]
    nodes: list[Node] = [*function.body.block.args, *_layers(function)]
    return dict(zip(nodes, of_inputs + of_layers, strict=True))


def _read_by_host(layers: Iterable[LayerOp]) -> Iterator[Node]:
    """Inputs of the net that a host layer reads, and joins of what it reads: the host takes floats,
    and what is joined keeps scales of its own."""
    left = [x for op in layers if isinstance(op, HostOp) for x in op.operands]
    seen: set[SSAValue] = set()
    while left:
        value = left.pop()
        if value in seen:
            continue
        seen.add(value)
        owner = value.owner
        if isinstance(owner, Block):
            if any(isinstance(use.operation, HostOp) for use in value.uses):
                yield value
        elif isinstance(owner, LayerOp) and (owner.has_trait(PassesOn) or not owner.has_integers):
            if owner.has_trait(JoinsOperands):
                yield owner
            left += owner.operands


def _read_as_indices(layers: Iterable[LayerOp]) -> Iterator[Node]:
    """Inputs of the net, and layers that move or change numbers one by one, of which the indices
    of host layers are computed: 8 bits do not hold them."""
    left = [op.bottom for op in layers if isinstance(op, CastOp) and op.to_integers]
    seen: set[SSAValue] = set()
    while left:
        value = left.pop()
        if value in seen:
            continue
        seen.add(value)
        owner = value.owner
        if isinstance(owner, Block):
            yield value
        elif isinstance(owner, LayerOp) and any(map(owner.has_trait, (PassesOn, CarriesOn))):
            yield owner
            left += owner.operands


def _folded_into(
    node: Node, layers: Container[Node], feeders: Mapping[Any, Operation | Block]
) -> Node:
    """The layer that a layer was folded into, or itself."""
    while isinstance(node, Operation) and node not in layers:
        feeder = feeders[node]
        assert isinstance(feeder, Operation)
        node = feeder
    return node


def _layers(function: FuncOp) -> list[LayerOp]:
    return [op for op in function.body.block.ops if isinstance(op, LayerOp)]
