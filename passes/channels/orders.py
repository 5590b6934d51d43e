"""Another order of a tensor's channels: what changes in those that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, IntegerType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.utils.hints import isa

from dialects.constant import Array, ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.base import CHANNEL_ORDER, QuantOp, i64s, ints
from dialects.quant.windows import ROWS

PER_CHANNEL = (compute.PoolOp, compute.RequantizeOp, compute.LookupOp, compute.QuantizeOp,
               compute.DequantizeOp, compute.PointwiseFunctionOp)  # fmt: skip
"""Ops that do the same in every channel."""
ALONG_AN_AXIS = (movement.SliceOp, movement.TakeOp, movement.InterpolateOp)
"""Ops that do the same in every channel where their axis is one of rows or columns."""


def channels_of(value: SSAValue) -> int:
    """The extent of dimension 1."""
    return types.shape_of(value)[1]


@dataclass
class Edits:
    """What changes in the readers of a tensor whose channels get another order: ``properties`` that
    get new values, and ``orders``, for each op whose result has its channels in another order, the
    number that each channel had before."""

    properties: dict[QuantOp, Mapping[str, Attribute]]
    orders: dict[QuantOp, Array]


def collect(value: SSAValue, order: Array, found: Edits) -> bool:
    """Collects what the readers of a tensor need so that its channel i may be what was channel
    ``order[i]``; whether all of them can have it."""
    return all(_edit(use.operation, use.index, value, order, found) for use in value.uses)


def _edit(op: Operation, index: int, value: SSAValue, order: Array, found: Edits) -> bool:
    if not isinstance(op, QuantOp) or op in found.orders or op in found.properties:
        return False
    if isinstance(op, compute.ConvOp) and op.group.value.data == 1:
        found.properties[op] = {"weight": _taken(op.weight, order, 1)}
        return True
    if isinstance(op, compute.ConvOp):
        if not op.group.value.data == op.weight.shape[0] == len(order):
            return False
        changed: dict[str, Attribute] = {"weight": _taken(op.weight, order, 0)}
        if op.bias is not None:
            changed["bias"] = _taken(op.bias, order, 0)
        found.properties[op] = changed
    elif isinstance(op, compute.PReluOp):
        if op.slope.array.size > 1:
            slopes = op.slope.array.reshape(-1)[order].reshape(op.slope.shape)
            found.properties[op] = {"slope": ConstantAttr.of(np.ascontiguousarray(slopes))}
    elif isinstance(op, movement.ConcatOp) and op.axis.value.data == 1:
        if list(op.xs).count(value) > 1:
            return False
        begin = sum(channels_of(x) for x in op.xs[:index])
        whole = np.arange(channels_of(op.y))
        whole[begin : begin + len(order)] = begin + order
        order = whole
    elif not isinstance(op, PER_CHANNEL) and not (
        isinstance(op, ALONG_AN_AXIS) and op.axis.value.data >= ROWS
    ):
        return False
    found.orders[op] = order
    return collect(op.results[0], order, found)


def _taken(constant: ConstantAttr, order: Array, axis: int) -> ConstantAttr:
    return ConstantAttr.of(np.ascontiguousarray(np.take(constant.array, order, axis)))


def apply(edits: Edits) -> None:
    """Makes the changes."""
    for op, properties in edits.properties.items():
        op.properties.update(properties)
    for op, order in edits.orders.items():
        reorder(op, order)


def reorder(op: QuantOp, order: Array) -> None:
    """Notes that the channels of an op's result stand in another order than they did."""
    old = op.attributes.get(CHANNEL_ORDER)
    before = np.arange(len(order))
    if isa(old, DenseArrayBase[IntegerType]):
        before = np.array(ints(old))
    op.attributes[CHANNEL_ORDER] = i64s(before[order].tolist())
