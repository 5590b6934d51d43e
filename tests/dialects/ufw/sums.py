"""Layers that add over many numbers, on a tensor of 2 x 4 x 5 x 7, with the shapes they give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from dialects.quant.reductions.recurrent import GATES, Cell
from dialects.ufw import ops
from dialects.ufw.layer import LayerOp
from dialects.ufw.ops import Top

T = Top("t")
WHOLE = [(2, 4, 5, 7)]
SQUARES = ops.ReduceOperation.SUM_SQUARES


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 0.5, shape).astype(np.float32)


V4 = np.array([0.5, -2, 1, 3], np.float32)
V7 = np.linspace(-1, 2, 7, dtype=np.float32)

SUMS: dict[str, tuple[Callable[[SSAValue], LayerOp], list[tuple[int, ...]]]] = {
    "lrn": (lambda x: ops.LRNOp(x, T, size=3, alpha=0.5, beta=0.5, k=2), WHOLE),
    "reduce": (
        lambda x: ops.ReduceOp(x, T, ops.ReduceOperation.MEAN, [1, 2], keep_dims=False), [(2, 7)]
    ),
    "reduce all": (
        lambda x: ops.ReduceOp(x, T, SQUARES, [0, 1, 2, 3], keep_dims=False, coefficient=0.5),
        [(1,)],
    ),
    **{
        f"reduce {kind}": (
            lambda x, kind=kind: ops.ReduceOp(x, T, kind, [1, 3]), [(2, 1, 5, 1)]
        )
        for kind in ops.ReduceOperation
    },
    "arg": (lambda x: ops.ArgOp(x, [T]), [(2, 1, 5, 7)]),
    "arg and value": (
        lambda x: ops.ArgOp(x, [T, Top("t2")], [0, 1], axis=3, smallest=True), [(2, 4, 5, 1)] * 2
    ),
    "arg of all": (lambda x: ops.ArgOp(x, [T], flat=True), [(2, 1, 1, 1)]),
    "arg of all, pairs": (lambda x: ops.ArgOp(x, [T], [1], flat=True, pairs=True), [(2, 2, 1, 1)]),
    "standardize": (lambda x: ops.StandardizeOp(x, T, [2, 3], eps=1e-3, weight=V4), WHOLE),
    "standardize outside": (
        lambda x: ops.StandardizeOp(x, T, [1, 2, 3], eps=1e-9, eps_outside=True), WHOLE
    ),
    "standardize groups": (
        lambda x: ops.StandardizeOp(x, T, groups=2, weight=V4, bias=V4), WHOLE
    ),
    "standardize last": (
        lambda x: ops.StandardizeOp(x, T, [3], weight=V7, bias=V7, affine_axis=3), WHOLE
    ),
    "centre": (lambda x: ops.StandardizeOp(x, T, [0, 2, 3], divide=False, bias=V4), WHOLE),
    "normalize": (lambda x: ops.NormalizeOp(x, T, V4, across_spatial=False, eps=1e-8), WHOLE),
    "normalize images": (lambda x: ops.NormalizeOp(x, T, V4[:1]), WHOLE),
    "pooling without padding": (
        lambda x: ops.PoolingOp(
            x, T, ops.PoolingKind.AVERAGE, (3, 3), stride=(2, 1), pad=(1, 1), exclude_pad=True
        ),
        [(2, 4, 3, 7)],
    ),
    **{
        f"recurrent {cell}": (
            lambda x, cell=cell, gates=gates: ops.RecurrentOp(
                [x], [T], cell, noise(1, gates * 3, 35), noise(1, gates * 3),
                noise(1, gates * 3, 3), hidden_bias=noise(1, 9) if gates == 3 else None,
            ),
            [(2, 4, 3)],
        )
        for cell, gates in GATES.items()
    },
    "recurrent both ways": (
        lambda x: ops.RecurrentOp(
            [x], [T], Cell.LSTM, noise(2, 8, 140), noise(2, 8), noise(2, 8, 2), clip=0.5, batch=1
        ),
        [(2, 4)],
    ),
    "matmul": (lambda x: ops.MatMulOp(x, x, T, transpose_b=True), [(2, 4, 5, 5)]),
    "matmul of columns": (lambda x: ops.MatMulOp(x, x, T, transpose_a=True), [(2, 4, 7, 7)]),
    "lrn within": (lambda x: ops.LRNOp(x, T, size=3, within=True), WHOLE),
}

FLOAT_SUMS: list[type[LayerOp]] = [
    ops.LRNOp, ops.ReduceOp, ops.ArgOp, ops.StandardizeOp, ops.NormalizeOp, ops.RecurrentOp,
    ops.MatMulOp,
]  # fmt: skip
"""Those that have no integers."""
