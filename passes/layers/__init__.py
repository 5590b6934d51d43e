"""How every UFW layer is expressed in quant ops."""

from collections.abc import Callable
from typing import Any

from xdsl.ir import Operation

from dialects.ufw.layer import LayerOp
from passes.layers import arithmetic, movement, weighted
from passes.layers.converter import Converter

LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
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


__all__ = ["LAYERS", "Converter", "lower"]
