"""How every UFW layer is expressed in quant ops."""

from collections.abc import Callable
from typing import Any

from xdsl.ir import Operation

from passes.layers import arithmetic, movement, weighted
from passes.layers.converter import Converter

LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    **weighted.LAYERS,
    **arithmetic.LAYERS,
    **movement.LAYERS,
}

__all__ = ["LAYERS", "Converter"]
