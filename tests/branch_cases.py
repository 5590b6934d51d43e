"""Branched networks by name, each a function of the precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from dialects.quant import types
from tests.branch_nets import SCALE, BranchNet


def inception(parts: Sequence[int], kernel: int = 1, size: int = 14) -> Callable[[bool], ModuleOp]:
    """Convolutions of one tensor, concatenated, and two that read all of it."""

    def build(integer: bool) -> ModuleOp:
        net = BranchNet((1, 16, size, size), integer)
        stem = net.conv(net.input, 64)
        whole = net.concat(*(net.conv(stem, count, kernel) for count in parts))
        net.conv(net.conv(whole, 24), 8, 3)
        net.conv(net.pool(whole, "max", 3, 1, 1), 24)
        return net.module()

    return build


def pooled_part(integer: bool) -> ModuleOp:
    """A pooling behind a convolution's part, where no convolution can begin in its lane."""
    net = BranchNet((1, 24, 15, 13), integer)
    stem = net.conv(net.input, 40, 3)
    whole = net.concat(net.conv(stem, 24), net.pool(stem, "max", 3, 1, 1))
    net.conv(whole, 70)
    return net.module()


def clipped_averages(integer: bool) -> ModuleOp:
    """Average poolings whose last windows are clipped, as in ShuffleNet."""
    net = BranchNet((1, 24, 28, 26), integer)
    stem = net.conv(net.input, 48)
    whole = net.concat(net.pool(stem, "average", 3, 2), net.pool(stem, "max", 3, 2))
    net.conv(whole, 32)
    return net.module()


def kept_order(integer: bool) -> ModuleOp:
    """A concatenation that the network gives, and one that a grouped convolution reads."""
    net = BranchNet((1, 16, 12, 12), integer)
    stem = net.conv(net.input, 32)
    net.concat(net.conv(stem, 24), net.conv(stem, 64))
    whole = net.concat(net.conv(stem, 24), net.conv(stem, 64), net.conv(stem, 40))
    net.conv(whole, 64, 3, group=2)
    return net.module()


def nested(integer: bool) -> ModuleOp:
    """Concatenations in concatenations, and a depthwise convolution of one."""
    net = BranchNet((1, 16, 12, 10), integer)
    stem = net.conv(net.input, 20)
    inner = net.concat(stem, net.conv(stem, 64))
    outer = net.concat(net.conv(stem, 40), inner)
    net.conv(net.conv(outer, 124, 3, group=124), 30)
    net.conv(inner, 30)
    return net.module()


def in_slices(integer: bool) -> ModuleOp:
    """A concatenation in another order of an image that local memory does not hold."""
    net = BranchNet((1, 3, 300, 300), integer)
    whole = net.concat(net.conv(net.input, 1, 3), net.input)
    net.conv(net.conv(whole, 64, 3), 8, 3)
    return net.module()


def dense(growth: int, ratio: float = 1.0) -> Callable[[bool], ModuleOp]:
    """A dense block: every layer reads all that came before, in a scale that grows by ``ratio``."""

    def build(integer: bool) -> ModuleOp:
        net = BranchNet((1, 16, 14, 14), integer)
        parts, scale = [net.conv(net.input, 64)], SCALE
        for _ in range(4):
            read = parts[0]
            if len(parts) > 1:
                scale *= ratio
                read = net.concat(*parts, scale=scale)
            parts.append(net.conv(net.conv(read, 64), growth, 3))
        net.conv(net.concat(*parts), 40)
        return net.module()

    return build


def shared_parts(integer: bool) -> ModuleOp:
    """Parts of two concatenations of which neither begins with the other; in both they begin in the
    same lane."""
    net = BranchNet((1, 16, 13, 14), integer)
    stem, *parts = (net.conv(net.input, count) for count in (64, 32, 32, 32))
    one, two = net.concat(stem, *parts[:2]), net.concat(stem, parts[2], parts[1])
    for whole in (one, two):
        net.conv(net.conv(whole, 48, 3), 8)
    return net.module()


def grouped(groups: int, inner: int, outputs: int, kernel: int = 1) -> Callable[[bool], ModuleOp]:
    """A convolution of groups whose channels are no multiple of 64, between others."""

    def build(integer: bool) -> ModuleOp:
        net = BranchNet((1, 16, 14, 14), integer)
        x = net.conv(net.input, groups * inner)
        net.conv(net.conv(x, groups * outputs, kernel, group=groups), 40)
        return net.module()

    return build


def shuffled(groups: int, *, into_readers: bool) -> Callable[[bool], ModuleOp]:
    """A shuffle between convolutions, as in ShuffleNet."""

    def build(integer: bool) -> ModuleOp:
        net = BranchNet((1, 12, 14, 14), integer)
        x = net.conv(net.input, 60, group=1 if into_readers else groups)
        x = net.shuffle(x, groups)
        x = net.conv(x, 60, 3, group=60)
        net.conv(x, 81, group=1 if into_readers else groups)
        return net.module()

    return build


def function_between(shape: Sequence[int], name: str) -> Callable[[bool], ModuleOp]:
    """A function of a tensor that stays between two convolutions, larger than a band."""

    def build(integer: bool) -> ModuleOp:
        net = BranchNet(shape, integer)
        x = net.function(net.conv(net.input, shape[1]), name)
        net.conv(x, 70, 3)
        return net.module()

    return build


def narrow(
    outputs: int, size: tuple[int, int], pool: int = 2, kernel: int = 3, images: int = 1,
    **settings: Any,
) -> Callable[[bool], ModuleOp]:
    """A convolution of few outputs with a PReLU and a function before a pooling, between others
    that read it."""

    def build(integer: bool) -> ModuleOp:
        net = BranchNet((images, 3, *size), integer)
        x = net.conv(net.input, outputs, kernel, **settings)
        x = net.function(net.prelu(x), "tanh")
        x = net.pool(x, "max", pool, pool)
        net.conv(x, 24, 3)
        return net.module()

    return build


def shuffled_pool(outputs: int) -> Callable[[bool], ModuleOp]:
    """A shuffle whose channels other ops than convolutions have in another order."""

    def build(integer: bool) -> ModuleOp:
        net = BranchNet((1, 32, 24, 36), integer)
        x = net.shuffle(net.conv(net.input, outputs, 3), 4)
        x = net.pool(net.prelu(x, 0.0), "max", 2, 2)
        net.conv(x, 40, 3)
        return net.module()

    return build


def residual(images: int) -> Callable[[bool], ModuleOp]:
    """A wide first layer, a pooling, sums whose operands have other scales, and the mean of whole
    maps, as in a ResNet."""

    def build(integer: bool) -> ModuleOp:
        net = BranchNet((images, 3, 42, 46), integer)
        x = net.conv(net.input, 64, 7, stride=[2, 2])
        x = net.pool(x, "max", 3, 2)
        x = net.sum(net.conv(x, 130), net.conv(net.conv(x, 24, 3), 130), scale=SCALE * 1.4)
        x = net.sum(x, net.conv(net.function(x, "tanh"), 130, 3), scale=SCALE * 1.2)
        net.conv(net.pool(x, "average", types.shape_of(x)[2:], 1), 40)
        return net.module()

    return build


CASES: dict[str, Callable[[bool], ModuleOp]] = {
    "32 and 64": inception([32, 64]),
    "24, 40 and 17": inception([24, 40, 17], 3),
    "112, 288, 64 and 64": inception([112, 288, 64, 64]),
    "1 and 130 and 5": inception([1, 130, 5], 3),
    "a pooled part": pooled_part,
    "clipped averages": clipped_averages,
    "kept order": kept_order,
    "nested": nested,
    "in slices": in_slices,
    "dense": dense(24),
    "dense, of several scales": dense(32, 1.25),
    "shared parts": shared_parts,
    "groups of 80": grouped(3, 20, 80),
    "groups of 10 to 7": grouped(5, 10, 7, 3),
    "groups of 80 to 20": grouped(3, 80, 20),
    "shuffle into readers": shuffled(3, into_readers=True),
    "function, planes of several bands": function_between((1, 70, 45, 104), "swish"),
    "function, planes in rows of lanes": function_between((1, 330, 26, 30), "mish"),
    "function, a batch": function_between((6, 70, 26, 31), "exp"),
    "narrow, 10 outputs": narrow(10, (41, 66), pad=[0, 0, 0, 0]),
    "narrow, 16 outputs in four images": narrow(16, (40, 64), images=4),
    "narrow, windows of 3": narrow(32, (48, 66), pool=3),
    "narrow, stride 2": narrow(7, (65, 96), kernel=5, stride=[2, 2]),
    "shuffle before a pooling": shuffled_pool(80),
    "shuffle before a pooling, narrow": shuffled_pool(16),
    "residual": residual(1),
    "residual, five images": residual(5),
    "shuffle into its maker": shuffled(3, into_readers=False),
}
