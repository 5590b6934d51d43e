"""How every UFW layer is expressed in quant ops."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from xdsl.ir import Operation

from dialects.host.base import HostOp
from dialects.quant import types
from dialects.ufw.layer import LayerOp, Top
from dialects.ufw.shapes import show
from passes.layers import (
    arithmetic,
    binary,
    convolution,
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
    **convolution.LAYERS,
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


def _host(c: Converter, op: HostOp) -> None:
    """A host layer stays what it is, on floats."""
    tops = [Top.like(value, name) for value, name in zip(op.results, op.top_names, strict=True)]
    made = c.add_host(type(op), [c.value(x) for x in op.operands], tops, op.values)
    c.values.update(zip(op.results, made, strict=True))


def lower(c: Converter, op: LayerOp) -> None:
    """Appends the quant ops of one layer. Raises LayerError for a layer without a row in LAYERS."""
    if isinstance(op, HostOp):
        _host(c, op)
        return
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
