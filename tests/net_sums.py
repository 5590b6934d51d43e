"""Layers that add over many numbers, in random networks."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from dialects.quant import types
from dialects.quant.reductions.recurrent import GATES
from dialects.ufw import ops as ufw

if TYPE_CHECKING:
    from tests.net_maker import NetMaker


def lrn(net: NetMaker) -> None:
    x = net.pick(four=True)
    if x is not None and types.shape_of(x)[1] <= 1100:
        size, within = net.rng.choice([1, 3, 5]), net.rng.random() < 0.4
        net.add(ufw.LRNOp(x, net.top(floating=True), size=size, within=within))


def reduction(net: NetMaker) -> None:
    x = net.pick()
    if x is None:
        return
    rank = len(types.shape_of(x))
    axes = sorted(net.rng.sample(range(rank), net.rng.randint(1, rank)))
    kinds = [kind for kind in ufw.ReduceOperation if kind is not ufw.ReduceOperation.PROD]
    top, keep = net.top(floating=True), net.rng.random() < 0.5
    net.add(ufw.ReduceOp(x, top, net.rng.choice(kinds), axes, keep_dims=keep))


def standardize(net: NetMaker) -> None:
    x = net.pick()
    if x is None or len(types.shape_of(x)) < 3:
        return
    shape, top = types.shape_of(x), net.top(floating=True)
    first, outside = net.rng.randrange(1, len(shape)), net.rng.random() < 0.5
    weight = net.data.standard_normal(shape[1]).astype(np.float32)
    match net.rng.choice(["axes", "groups", "normalize"]):
        case "axes":
            axes = range(first, len(shape))
            net.add(ufw.StandardizeOp(x, top, axes, eps=0.1, eps_outside=outside))
        case "groups":
            groups = net.rng.choice([g for g in (1, 2, 5) if shape[1] % g == 0])
            net.add(ufw.StandardizeOp(x, top, groups=groups, eps=0.1, weight=weight))
        case _:
            net.add(ufw.NormalizeOp(x, top, weight, across_spatial=outside, eps=0.01))


def matmul(net: NetMaker) -> None:
    x = net.pick()
    if x is None or len(shape := types.shape_of(x)) < 2:
        return
    flags = net.rng.choice([(False, True), (True, False)])
    size = shape[-1] if flags[0] else shape[-2]
    if prod(shape[:-2]) <= 20 and size <= 300:
        top = net.top(floating=True)
        net.add(ufw.MatMulOp(x, x, top, transpose_a=flags[0], transpose_b=flags[1]))


def recurrent(net: NetMaker) -> None:
    x = net.pick()
    if x is None or len(shape := types.shape_of(x)) < 3 or shape[0] > 9:
        return
    cell, hidden, size = net.rng.choice(list(GATES)), net.rng.choice([2, 65]), prod(shape[2:])
    if size > 2000 or shape[1] > 300:
        return
    rows = GATES[cell] * hidden
    shapes = (1, rows, size), (1, rows), (1, rows, hidden)
    blobs = [net.data.normal(0, 0.1, each).astype(np.float32) for each in shapes]
    net.add(ufw.RecurrentOp([x], [net.top(floating=True)], cell, *blobs))


def arg(net: NetMaker) -> None:
    x = net.pick()
    if x is not None:
        axis = net.rng.randrange(len(types.shape_of(x)))
        tops = [net.top(floating=True), net.top(floating=True)]
        net.add(ufw.ArgOp(x, tops, [0, 1], axis=axis, smallest=net.rng.random() < 0.5))


SUMS = [lrn, reduction, standardize, matmul, recurrent, arg]
