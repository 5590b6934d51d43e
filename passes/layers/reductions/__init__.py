"""Layers that add over many numbers, in quant ops."""

from collections.abc import Callable
from typing import Any

from xdsl.ir import Operation

from passes.layers.converter import Converter
from passes.layers.reductions import lrn, matmul, recurrent, reduce, standardize

LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    **lrn.LAYERS,
    **reduce.LAYERS,
    **matmul.LAYERS,
    **recurrent.LAYERS,
    **standardize.LAYERS,
}

__all__ = ["LAYERS"]
