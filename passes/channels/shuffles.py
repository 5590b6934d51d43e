"""Chains of ops that do nothing but put the channels of a tensor into another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.ir import SSAValue

from dialects.constant import Array
from dialects.quant import movement, types
from dialects.quant.base import QuantOp, ints


@dataclass(frozen=True)
class Shuffle:
    """Channel i of ``y`` is channel ``order[i]`` of ``x``; ``ops`` make one of the other, and
    nothing else reads what lies between."""

    x: SSAValue
    y: SSAValue
    order: Array
    ops: tuple[QuantOp, ...]


def channel_order(
    x: Sequence[int], split: Sequence[int], order: Sequence[int], y: Sequence[int]
) -> Array | None:
    """Which channel each channel of the result is where a tensor of shape x, taken as one of shape
    ``split``, gets its dimensions into an order and is taken as one of shape y; None where more
    than channels move."""
    if len(x) != 4 or tuple(x) != tuple(y):
        return None
    places = np.arange(prod(x[:2])).reshape(*x[:2], 1, 1)
    whole = np.broadcast_to(places, x).reshape(split).transpose(order).reshape(y)
    found = whole[0, :, 0, 0]
    apart = np.arange(x[0])[:, None, None, None] * x[1] + found[None, :, None, None]
    inside = np.broadcast_to(np.arange(prod(x[2:])).reshape(1, 1, *x[2:]), x)
    kept = inside.reshape(split).transpose(order).reshape(y)
    return found if (whole == apart).all() and (kept == inside).all() else None


def shuffle_of(op: movement.TransposeOp) -> Shuffle | None:
    """The shuffle that a transposition is the middle of."""
    before, after = list[QuantOp](), list[QuantOp]()
    x, y = op.x, op.y
    while isinstance(x.owner, movement.ReshapeOp) and x.has_one_use():
        before.insert(0, x.owner)
        x = x.owner.x
    while (user := y.get_user_of_unique_use()) and isinstance(user, movement.ReshapeOp):
        after.append(user)
        y = user.y
    split = types.shape_of(op.x)
    order = channel_order(types.shape_of(x), split, ints(op.order), types.shape_of(y))
    if order is None or not x.has_one_use():
        return None
    return Shuffle(x, y, order, (*before, op, *after))
