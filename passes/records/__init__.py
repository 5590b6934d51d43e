"""How every quant op is expressed in records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from dialects.quant.base import QuantOp
from dialects.quant.compute import AveragePoolOp, MaxPoolOp
from dialects.quant.eltwise import ConstantOp
from passes.records import functions, movement, pixels, pointwise, windows
from passes.records.recorder import NoRecord, Recorder, ShapeFixed

Lowering: TypeAlias = Callable[[Recorder, Sequence[Any]], None]
"""Adds the records of one layer: of the op at the maximum, and the same op in every sample."""


def _constant(c: Recorder, ops: Sequence[ConstantOp]) -> None:
    c.constants[ops[0].y] = ops[0].value.array


RECORDS: dict[type[QuantOp], Lowering] = {
    **windows.WINDOWS,
    **pointwise.POINTWISE,
    **movement.MOVEMENT,
    **pixels.PIXELS,
    **functions.FUNCTIONS,
    ConstantOp: _constant,
}
FREE: dict[type[QuantOp], set[str]] = {
    **movement.FREE, **pixels.FREE, MaxPoolOp: {"kernel"}, AveragePoolOp: {"kernel"},
}  # fmt: skip
"""Properties that may differ from sample to sample: the lowerings look at them. All others must be
alike, or the layer fixes the shape."""

__all__ = ["FREE", "RECORDS", "Lowering", "NoRecord", "Recorder", "ShapeFixed"]
