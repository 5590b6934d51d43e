"""Homes: what of a tensor lies together in local memory, how long, and where it ends."""

from __future__ import annotations

from unittest.mock import Mock

from xdsl.dialects.builtin import f32
from xdsl.ir import Block

from dialects.bm1684 import tile
from dialects.bm1684.layout import DDR, Ref, contiguous
from dialects.quant.base import int_attr
from passes.memory.homes import Homes, Shortcut, choose
from passes.memory.lifetimes import Lifetime
from passes.memory.residence import Box, DdrTensor, Flow, PartTransfer, Range

SHAPE = (1, 8, 40, 32)
NOTHING = Flow(Block())


def buffer(rows: int = SHAPE[2]) -> tile.AllocOp:
    shape = (*SHAPE[:2], rows, SHAPE[3])
    ref = Ref(f32, shape, contiguous(shape, 4), DDR)
    size = int_attr(4 * rows * SHAPE[3])
    op = tile.AllocOp.build(properties={"bytes": size}, result_types=[ref.type])
    Block([op])
    return op


def part(first: int, count: int) -> PartTransfer:
    """Some rows, and the buffer that they are moved from or to."""
    box = Box(Range(0, 1), Range(0, SHAPE[1]), Range(first, first + count))
    return PartTransfer(Mock(), box, buffer(count))


def test_parts_that_one_load_needs_have_one_home() -> None:
    tensor, stored = DdrTensor(buffer()), [part(10 * i, 10) for i in range(4)]
    halo, alone = part(8, 6), part(20, 10)
    both = Shortcut(tensor, [halo], stored[:2])
    single = Shortcut(tensor, [alone], [stored[2]])
    spans = [Lifetime(each.local, 10 * i, 10 * i + 1) for i, each in enumerate(stored)]
    spans += [Lifetime(halo.local, 15, 16), Lifetime(alone.local, 25, 26)]
    found = Homes(NOTHING, spans)
    homes = found.of([both, single])
    assert homes[stored[0]] is homes[stored[1]]
    assert homes[stored[0]].box.rows == Range(0, 20)
    assert homes[stored[0]].buffer.bytes.value.data == 4 * 20 * 32
    assert homes[stored[2]].buffer is stored[2].local
    assert stored[3] not in homes
    assert found.of([single])[stored[2]].box == stored[2].box


def test_parts_that_are_there_at_the_same_time_have_one_home() -> None:
    """Bands of one computation, which the next one reads band by band."""
    tensor, stored = DdrTensor(buffer()), [part(10 * i, 10) for i in range(4)]
    loads = [part(10 * i, 10) for i in range(4)]
    spans = [Lifetime(each.local, 10 * i, 10 * i + 1) for i, each in enumerate(stored)]
    shortcuts = [Shortcut(tensor, [x], [y]) for x, y in zip(loads, stored, strict=True)]
    for behind, homes in ((5, 4), (12, 4), (25, 1)):
        read = [Lifetime(x.local, 10 * i + behind, 10 * i + behind) for i, x in enumerate(loads)]
        found = Homes(NOTHING, [*spans, *read]).of(shortcuts)
        assert len(set(found.values())) == homes


def test_what_keeps_parts_together_longest_is_given_up() -> None:
    """Each slice has its rows; the last reader wants all of them."""
    size = 4 * 10 * 32
    tensor, stored = DdrTensor(buffer()), [part(10 * i, 10) for i in range(4)]
    loads = [part(10 * i, 10) for i in range(4)]
    last = part(0, 40)
    slices = [Shortcut(tensor, [load], [kept]) for load, kept in zip(loads, stored, strict=True)]
    whole = Shortcut(tensor, [last], stored)
    spans = [
        span for i in range(4)
        for span in (Lifetime(stored[i].local, 3 * i, 3 * i + 1),
                     Lifetime(loads[i].local, 3 * i + 1, 3 * i + 2, loaded=True))
    ]  # fmt: skip
    spans += [Lifetime(buffer(20), 13, 14), Lifetime(last.local, 20, 21, loaded=True)]
    assert choose(spans, [*slices, whole], Homes(NOTHING, spans), 6 * size) == [*slices, whole]
    assert choose(spans, [*slices, whole], Homes(NOTHING, spans), 4 * size) == slices


def test_what_saves_little_for_its_place_is_given_up() -> None:
    """A load of a few rows of a tensor that is kept for it, though another one lives longer."""
    few, all_rows = part(0, 4), part(0, 40)
    stored = [part(0, 40), part(0, 40)]
    tensors = [DdrTensor(buffer()) for _ in stored]
    loads = zip(tensors, (few, all_rows), stored, strict=True)
    shortcuts = [Shortcut(tensor, [load], [kept]) for tensor, load, kept in loads]
    spans = [
        Lifetime(stored[0].local, 0, 1), Lifetime(stored[1].local, 2, 3),
        Lifetime(few.local, 5, 6, loaded=True), Lifetime(all_rows.local, 20, 21, loaded=True),
    ]  # fmt: skip
    assert choose(spans, shortcuts, Homes(NOTHING, spans), 8000) == shortcuts[1:]


def test_a_home_ends_where_each_of_its_parts_must() -> None:
    """Behind another buffer it would not."""
    other, load, kept = buffer(32), part(0, 40), part(0, 40)
    shortcut = Shortcut(DdrTensor(buffer()), [load], [kept])
    for ends in ((8192, 1 << 16), (1 << 16, 8192), (1 << 16, 1 << 16)):
        parts = zip((kept, load), ends, strict=True)
        spans = [Lifetime(x.local, i, i + 1, end_by=end) for i, (x, end) in enumerate(parts, 1)]
        spans = [Lifetime(other, 0, 9, loaded=True), *spans]
        chosen = choose(spans, [shortcut], Homes(NOTHING, spans), 1 << 16)
        assert chosen == ([] if 8192 in ends else [shortcut])
