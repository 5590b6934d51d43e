"""How every UFW layer is expressed in quant ops."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from xdsl.ir import Operation

from dialects.ufw.layer import LayerOp
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



def lower(c: Converter, op: LayerOp) -> None:
    """Appends the quant ops of one layer. Raises LayerError for a layer without a row in LAYERS."""
    found = LAYERS.get(type(op))
    if found is None:
        raise c.error(f"{op.name} has no row in passes/layers, which says what it is in quant ops")
    found(c, op)


__all__ = ["LAYERS", "Converter", "Lowering", "lower"]
