"""quant-fold-shuffles: convolutions make their channels in the order of a shuffle behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.func import FuncOp

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import PEAK_BYTES
from dialects.constant import Array, ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.base import int_attr
from passes.base import NpuFunctionPass
from passes.channels.orders import Edits, apply, collect, reorder
from passes.channels.shuffles import Shuffle, shuffle_of
from passes.cost.layers import layer_cycles
from passes.kernels.movement.in_place import words_shape


def dense(weight: Array, groups: int) -> Array:
    """The weights [O, C, kh, kw] of ``groups`` groups as [O, C * groups, kh, kw]: zeros for the
    channels of other groups."""
    outputs, channels, *kernel = weight.shape
    found = np.zeros((groups, outputs // groups, groups, channels, *kernel), weight.dtype)
    each = np.arange(groups)
    found[each, :, each] = weight.reshape(groups, outputs // groups, channels, *kernel)
    return found.reshape(outputs, channels * groups, *kernel)


@dataclass(frozen=True)
class QuantFoldShufflesPass(NpuFunctionPass):
    """Takes out shuffles of channels (ShuffleChannel, or a Permute between two Reshapes): those
    that read the result take the channels as they were, or the convolution that makes them makes
    them in the new order.

    A convolution of groups becomes one of a single group for that, with zeros between the weights,
    where this costs less than it and the shuffle, which is a copy in DDR of what was stored there
    for it and is loaded again.
    """

    name = "quant-fold-shuffles"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        for op in list(function.body.block.ops):
            if isinstance(op, movement.TransposeOp):
                shuffle = shuffle_of(op)
                if shuffle is not None and (_into_readers(shuffle) or _into_maker(shuffle)):
                    _take_out(shuffle)


def _into_readers(shuffle: Shuffle) -> bool:
    """Gives those that read the shuffled channels the weights for the channels as they were."""
    order, edits = np.argsort(shuffle.order), Edits({}, {})
    if not collect(shuffle.y, order, edits):
        return False
    apply(edits)
    return True


def _into_maker(shuffle: Shuffle) -> bool:
    """Gives the convolution that makes the channels its weights in the new order."""
    conv = shuffle.x.owner
    if not isinstance(conv, compute.ConvOp) or conv.winograd.value.data:
        return False
    groups = conv.group.value.data
    if conv.weight.shape[1] * groups > BM1684.limits.channels:
        return False
    weight = dense(conv.weight.array, groups)
    if groups > 1:
        _, channels, height, width = words_shape(shuffle.x, types.shape_of(shuffle.x))
        trip = 2 * 4 * channels * height * width / PEAK_BYTES
        apart = sum(map(layer_cycles, (conv, *shuffle.ops))) + trip
        if _dense_cycles(conv, weight) > apart:
            return False
    conv.weight = ConstantAttr.of(np.ascontiguousarray(weight[shuffle.order]))
    conv.group = int_attr(1)
    if conv.bias is not None:
        conv.bias = ConstantAttr.of(np.ascontiguousarray(conv.bias.array[shuffle.order]))
    reorder(conv, shuffle.order)
    return True


def _dense_cycles(conv: compute.ConvOp, weight: Array) -> float:
    wider = conv.clone()
    wider.weight, wider.group = ConstantAttr.of(weight), int_attr(1)
    found = layer_cycles(wider)
    wider.erase()
    return found


def _take_out(shuffle: Shuffle) -> None:
    shuffle.y.replace_all_uses_with(shuffle.x)
    for op in reversed(shuffle.ops):
        op.detach()
        op.erase()
