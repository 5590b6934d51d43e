"""How every UFW layer is expressed in quant ops."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from xdsl.ir import Operation

from passes.layers import arithmetic, movement, weighted
from passes.layers.converter import Converter

OpT = TypeVar("OpT", bound=Operation)
Lowering: TypeAlias = Callable[[Converter, OpT], None]
"""Adds the quant ops of one layer, and sets the quant values of its results."""

LAYERS: dict[type[Operation], Lowering[Any]] = {
    **weighted.LAYERS,
    **arithmetic.LAYERS,
    **movement.LAYERS,
}

__all__ = ["LAYERS", "Converter", "Lowering"]
