"""How every UFW layer is expressed in quant ops."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from xdsl.ir import Operation

from dialects.quant import types
from dialects.ufw.layer import LayerOp
from dialects.ufw.shapes import show
from passes.layers import (
    arithmetic,
    binary,
    deconvolution,
    detection,
    movement,
    pixels,
    reductions,
    unpooling,
    volume,
    weighted,
)
from passes.layers.converter import Converter

OpT = TypeVar("OpT", bound=Operation)
Lowering: TypeAlias = Callable[[Converter, OpT], None]
"""Adds the quant ops of one layer, and sets the quant values of its results."""

LAYERS: dict[type[Operation], Lowering[Any]] = {
    **weighted.LAYERS,
    **volume.LAYERS,
    **deconvolution.LAYERS,
    **arithmetic.LAYERS,
    **binary.LAYERS,
    **movement.LAYERS,
    **reductions.LAYERS,
    **pixels.LAYERS,
    **unpooling.LAYERS,
    **detection.LAYERS,
}


def lower(c: Converter, op: LayerOp) -> None:
    """Appends the quant ops of one layer. Raises LayerError for a layer without a row in LAYERS."""
    found = LAYERS.get(type(op))
    if found is None:
        raise c.error(f"{op.name} has no row in passes/layers, nor in the lowerings of a plug-in")
    found(c, op)
    for result, name in zip(op.results, op.top_names, strict=True):
        value = c.values.get(result)
        if value is None:
            raise c.error(f'the lowering of {op.name} gives no value for "{name}"')
        if types.shape_of(value) != types.shape_of(result):
            raise c.error(
                f'the lowering of {op.name} gives "{name}" the shape'
                f" {show(types.shape_of(value))}, the op has {show(types.shape_of(result))}"
            )


__all__ = ["LAYERS", "Converter", "Lowering", "lower"]
