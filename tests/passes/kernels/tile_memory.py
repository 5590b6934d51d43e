"""What tile ops mean in DDR and local memory, address by address; built by hand for the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import UnknownLoc
from xdsl.ir import Block, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.layout import Ref
from passes.kernels.builder import TileBuilder

Array = NDArray[Any]


def new_builder() -> TileBuilder:
    """A builder of an empty block."""
    return TileBuilder(Block(), UnknownLoc())


def located(value: SSAValue) -> tuple[SSAValue, int]:
    """The buffer under a value, and how many bytes behind its start the value begins."""
    offset = 0
    while isinstance(value.owner, tile.ViewOp):
        offset += value.owner.offset.value.data
        value = value.owner.source
    return value, offset


def unit_addresses(value: SSAValue) -> Array:
    """The byte address of every storage unit of a memref in DDR, in its buffer, as [n, c, h, w]."""
    ref, (_, offset) = Ref.of(value), located(value)
    axes = [
        np.arange(extent) * stride * ref.layout.unit
        for extent, stride in zip(ref.shape, ref.layout.strides, strict=True)
    ]
    n, c, h, w = np.ix_(*axes)
    return offset + n + c + h + w


def run_copies(block: Block, memory: dict[SSAValue, Array]) -> int:
    """Performs all DDR copies on byte arrays, one a buffer; returns how many there are."""
    copies = [op for op in block.ops if isinstance(op, tile.CopyOp)]
    for op in copies:
        op.verify()
        unit = np.arange(Ref.of(op.dst).layout.unit)
        source, target = (memory[located(value)[0]] for value in (op.src, op.dst))
        data = source[unit_addresses(op.src)[..., None] + unit]
        target[unit_addresses(op.dst)[..., None] + unit] = data
    return len(copies)
