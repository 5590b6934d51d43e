"""Buffers and their lifetimes, for tests."""

from __future__ import annotations

import sys

from hypothesis import strategies as st
from xdsl.dialects.builtin import f32
from xdsl.ir import Block, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.layout import (
    LMEM,
    Place,
    Ref,
    aligned,
    contiguous,
)
from dialects.quant.base import int_attr
from passes.memory.arenas import (
    Arena,
    OverlapArena,  # pyright: ignore[reportPrivateUsage]
)
from passes.memory.lifetimes import Lifetime

ARENAS = st.sampled_from([Arena, OverlapArena])
ENDS = [256 + 3072, sys.maxsize]
"""Where buffers must end."""


def span_of(size: int, last: int = 0, *, loaded: bool = False, stored: bool = False) -> Lifetime:
    """A buffer of so many bytes."""
    op = buffer(Block(), LMEM, size).owner
    assert isinstance(op, tile.AllocOp)
    return Lifetime(op, 0, last, loaded, stored)


def buffer(block: Block, place: Place, size: int = 100) -> SSAValue:
    shape = (1, 1, 1, 25)
    layout = aligned(shape, 4) if place == LMEM else contiguous(shape, 4)
    op = tile.AllocOp.build(
        properties={"bytes": int_attr(size)}, result_types=[Ref(f32, shape, layout, place).type]
    )
    block.add_op(op)
    return op.ref


def copy(block: Block, dst: SSAValue, src: SSAValue) -> None:
    block.add_op(tile.CopyOp.build(operands=[dst, src]))
