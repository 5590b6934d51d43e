"""Layers that add over many numbers, on a tensor of 2 x 4 x 5 x 7, with the shapes they give."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.ir import SSAValue

from dialects.ufw import ops
from dialects.ufw.layer import LayerOp
from dialects.ufw.ops import Top

T = Top("t")
WHOLE = [(2, 4, 5, 7)]

SUMS: dict[str, tuple[Callable[[SSAValue], LayerOp], list[tuple[int, ...]]]] = {
    "lrn": (lambda x: ops.LRNOp(x, T, size=3, alpha=0.5, beta=0.5, k=2), WHOLE),
    "lrn within": (lambda x: ops.LRNOp(x, T, size=3, within=True), WHOLE),
}

FLOAT_SUMS: list[type[LayerOp]] = [ops.LRNOp]
"""Those that have no integers."""
