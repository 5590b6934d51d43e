"""Networks of few channels on large images, each a function of the precision."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from dialects.quant import types
from dialects.quant.eltwise import BinaryKind
from dialects.ufw import ops as ufw
from tests.branch_nets import BranchNet


def narrow_net(integer: bool, channels: int, size: tuple[int, int]) -> BranchNet:
    """Two 8-bit images, or one of floats."""
    return BranchNet((2 if integer else 1, channels, *size), integer)


def relu(net: BranchNet, x: SSAValue) -> SSAValue:
    return net.add(ufw.ReLUOp(x, net.top()))


def separable(integer: bool) -> ModuleOp:
    """As MobileNet begins: 16 and 32 channels, a depthwise layer between."""
    net = narrow_net(integer, 3, (160, 256))
    x = relu(net, net.conv(net.input, 32, 3, stride=[2, 2]))
    x = relu(net, net.conv(x, 32, 3, group=32))
    x = net.conv(x, 16)
    net.conv(relu(net, net.conv(x, 96)), 24)
    return net.module()


def quarters(integer: bool) -> ModuleOp:
    """Four pieces: PReLU, a residual sum, a depthwise layer with a stride, a pooling."""
    net = narrow_net(integer, 8, (240, 64))
    x = net.prelu(net.conv(net.input, 16, 3))
    x = net.sum(x, net.function(net.conv(x, 16, 3), "tanh"))
    x = net.conv(x, 16, 3, group=16, stride=[2, 2])
    net.conv(net.prelu(net.pool(x, "average", 3, 1, 1)), 40, 3)
    return net.module()


def weighted(integer: bool) -> ModuleOp:
    """Squeeze and excitation: means of each map, and factors a channel."""
    net = narrow_net(integer, 3, (80, 128))
    x = net.conv(net.function(net.conv(net.input, 32, 3), "swish"), 32, 3, group=32)
    x = net.function(x, "swish")
    if not integer:
        factors = net.conv(net.pool(x, "average", types.shape_of(x)[2:], 1), 32)
        factors = net.function(factors, "sigmoid")
        x = net.add(ufw.BinaryOp([x, factors], net.top(), BinaryKind.MUL))
    net.conv(x, 16)
    net.conv(x, 70)
    return net.module()


def chained(integer: bool) -> ModuleOp:
    """The convolution that ends one region, of four pieces, begins the next, of two."""
    net = narrow_net(integer, 3, (128, 128))
    x = net.function(net.conv(net.input, 16, 3), "swish")
    x = net.function(net.conv(x, 32, 3, stride=[2, 2]), "swish")
    net.conv(x, 64)
    return net.module()


NETWORKS = [separable, quarters, weighted, chained]
