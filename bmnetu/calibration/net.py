"""The float net that is calibrated."""

from __future__ import annotations

from functools import cached_property

from xdsl.context import Context
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from bmnetu.frontend import Network
from bmnetu.frontend.topology import INPUT_TYPES
from bmnetu.frontend.ufw_pb2 import LayerParameter, NetParameter
from dialects.ufw import ops
from dialects.ufw.layer import LayerOp, shape_of
from dialects.ufw.shapes import Shape
from passes.support.program import main_function, names
from passes.ufw.ufw_fold_batch_norm import UfwFoldBatchNormPass


class FloatNet:
    """A loaded net and the prototxt's message of every layer that stays.

    BatchNorm, Scale and Bias are folded into the Convolution or InnerProduct before them, unless
    ``keep_bn``.
    """

    def __init__(self, network: Network, keep_bn: bool) -> None:
        self.message: NetParameter = network.net
        self.module = network.module
        self.function: FuncOp = main_function(network.module)
        block = self.function.body.block
        params = [layer for layer in network.net.layer if layer.type not in INPUT_TYPES]
        messages = dict(zip(_layers(self.function), params, strict=True))
        if not keep_bn:
            UfwFoldBatchNormPass().apply(Context(), network.module)
        self.layers: dict[LayerOp, LayerParameter] = {
            op: messages[op] for op in _layers(self.function)
        }
        self.inputs: dict[str, SSAValue] = dict(
            zip(names(self.function, "input_names"), block.args, strict=True)
        )

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
        """The message of the layer that makes a blob; none for inputs."""
        return {value: param for op, param in self.layers.items() for value in op.results}

    @cached_property
    def floats(self) -> set[Operation]:
        """The layers that stay float whatever the data says."""
        return {op for op, param in self.layers.items() if _stays_float(op, param)}


def _layers(function: FuncOp) -> list[LayerOp]:
    return [op for op in function.body.block.ops if isinstance(op, LayerOp)]


def _stays_float(op: LayerOp, param: LayerParameter) -> bool:
    """Softmax, a two-input Scale with a bias, and what the prototxt wants in float."""
    two_inputs = isinstance(op, ops.ScaleOp) and op.operand is not None and op.bias is not None
    return isinstance(op, ops.SoftmaxOp) or two_inputs or param.forward_with_float
