"""Layers of several tensors that repeat, constants and log-softmax in random networks."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from xdsl.ir import SSAValue

from dialects.quant import types
from dialects.quant.eltwise import BinaryKind
from dialects.ufw import ops as ufw
from dialects.ufw.eltwise import INTEGER_KINDS

if TYPE_CHECKING:
    from tests.net_maker import NetMaker

FLOAT_KINDS = [kind for kind in BinaryKind if kind not in (BinaryKind.POW, BinaryKind.DIV)]
"""Kinds whose results are neither undefined nor very large."""
MOST_POSITIONS = 5000


def _repeats(small: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether numpy repeats a tensor to a shape."""
    padded = (1,) * (len(shape) - len(small)) + small
    return len(padded) == len(shape) and all(
        a in (1, b) for a, b in zip(padded, shape, strict=True)
    )


def _operands(net: NetMaker, x: SSAValue) -> list[SSAValue]:
    """Values of the kind of x that repeat to its shape."""
    shape = types.shape_of(x)
    same = [v for v in net.values if types.is_float(v) == types.is_float(x)]
    return [v for v in same if _repeats(types.shape_of(v), shape)]


def two_that_repeat(net: NetMaker) -> None:
    x = net.pick()
    if x is None:
        return
    whole = net.integer and not types.is_float(x)
    kind = net.rng.choice(list(INTEGER_KINDS) if whole else FLOAT_KINDS)
    other = net.rng.choice(_operands(net, x))
    net.add(ufw.BinaryOp([x, other], net.top(net.rng.random() < 0.4), kind))


def choice(net: NetMaker) -> None:
    x = net.pick()
    if x is not None:
        condition, other = (net.rng.choice(_operands(net, x)) for _ in range(2))
        net.add(ufw.SelectOp([condition, x, other], net.top(floating=True)))


def constant(net: NetMaker) -> None:
    shape = net.rng.choice([(1,), (3, 1, 1), (2, 5), (1, 3, 4, 4)])
    value = net.data.standard_normal(shape).astype(np.float32)
    net.add(ufw.ParameterOp(net.top(floating=True), value))


def log_softmax(net: NetMaker) -> None:
    x = net.pick()
    if x is None:
        return
    shape = types.shape_of(x)
    axis = net.rng.randrange(len(shape))
    if prod(shape[:axis]) <= MOST_POSITIONS:
        net.add(ufw.LogSoftmaxOp(x, net.top(floating=True), axis=axis))


ELTWISE_MAKERS: list[Callable[[NetMaker], None]] = [two_that_repeat, choice, constant, log_softmax]
