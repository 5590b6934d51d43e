"""A lifetime runs from the first to the last op that touches a buffer."""

from __future__ import annotations

import sys

from xdsl.ir import Block

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import (
    DDR,
    L2,
    LMEM,
    Ref,
    Space,
    aligned,
    i32,
    si8,
)
from dialects.quant.base import int_attr
from passes.memory.lifetimes import lifetimes
from tests.passes.memory.spans import buffer, copy

PLACES = {"ddr": DDR, "lmem": LMEM, "l2": L2}


def test_a_lifetime_runs_from_the_first_to_the_last_use_through_views() -> None:
    block = Block()
    a, b, unused = buffer(block, DDR), buffer(block, DDR), buffer(block, DDR)
    view = tile.ViewOp.build(operands=[a], result_types=[a.type])
    block.add_op(view)
    copy(block, b, view.ref)
    c = buffer(block, DDR)
    copy(block, c, b)
    copy(block, a, c)
    found = {span.buffer.ref: (span.first, span.last) for span in lifetimes(block, [Space.DDR])}
    assert found == {a: (4, 7), b: (4, 6), c: (6, 7)}
    assert unused not in found


def test_only_the_wanted_memories_are_looked_at() -> None:
    block = Block()
    values = {name: buffer(block, place) for name, place in PLACES.items()}
    for value in values.values():
        copy(block, value, value)
    for space in Space:
        (span,) = lifetimes(block, [space])
        assert span.buffer.ref == values[space]


def test_the_tensors_of_a_sum_leave_room_behind_them() -> None:
    plane = (4, 8, 6, 6)
    kind = Ref(si8, plane, aligned(plane, 4, 4), LMEM).type
    words = Ref(i32, (1, 8, 1, 3), aligned((1, 8, 1, 3), 4), LMEM).type
    made = [
        tile.AllocOp.build(properties={"bytes": int_attr(256)}, result_types=[each])
        for each in (kind, kind, kind, words)
    ]
    block = Block([*made, tile.WeightedSumOp.build(operands=[op.ref for op in made])])
    found = {span.buffer: span.end_by for span in lifetimes(block, [Space.LMEM])}
    room = BM1684.lane_bytes - tile.WeightedSumOp.BEHIND
    assert [found[op] for op in made] == [sys.maxsize, room, room, sys.maxsize]
