"""Lifetimes of buffers: the ops from the first to the last that touches each."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, Space

TRANSFERS = (tile.TransferOp, tile.FillOp)
"""What the DMA engine does; all else is the tensor unit's."""


@dataclass(frozen=True)
class Lifetime:
    """A buffer and the first and last position of an op that touches it. ``loaded``: a transfer
    writes it first; ``stored``: a transfer reads it last; ``mates``: the buffers that a computation
    touches together with it; ``end_by``: the first byte of a lane that it must not reach."""

    buffer: tile.AllocOp
    first: int
    last: int
    loaded: bool = False
    stored: bool = False
    mates: frozenset[tile.AllocOp] = frozenset()
    end_by: int = sys.maxsize


def lifetimes(block: Block, spaces: Iterable[Space]) -> list[Lifetime]:
    """The lifetimes of all scratch buffers in these memories, in the order of their first use."""
    base: dict[SSAValue, tile.AllocOp] = {}
    spans: dict[tile.AllocOp, Lifetime] = {}
    chosen = set(spaces)
    for position, op in enumerate(block.ops):
        if isinstance(op, tile.AllocOp):
            if Ref.of(op.ref).place.space in chosen:
                base[op.ref] = op
        elif isinstance(op, tile.ViewOp):
            if op.source in base:
                base[op.ref] = base[op.source]
        else:
            _touch(op, position, base, spans)
    return sorted(spans.values(), key=lambda t: t.first)


def _touch(
    op: Operation,
    position: int,
    base: dict[SSAValue, tile.AllocOp],
    spans: dict[tile.AllocOp, Lifetime],
) -> None:
    moved = isinstance(op, TRANSFERS)
    touched = dict.fromkeys(base[value] for value in op.operands if value in base)
    for buffer in touched:
        old = spans.get(buffer, Lifetime(buffer, position, position, moved))
        mates = old.mates if moved else old.mates | touched.keys() - {buffer}
        spans[buffer] = replace(old, last=position, stored=moved, mates=mates)
    if isinstance(op, tile.WeightedSumOp):
        for buffer in (base[value] for value in (op.a, op.b) if value in base):
            spans[buffer] = replace(spans[buffer], end_by=BM1684.lane_bytes - op.BEHIND)


def overlaps(spans: Sequence[Lifetime]) -> Iterator[tuple[Lifetime, Lifetime]]:
    """The pairs of buffers with addresses, in the order of their first use, that are alive at one
    op and share memory; a sound allocation has none."""
    live: list[Lifetime] = []
    for span in spans:
        live = [each for each in live if each.last >= span.first]
        yield from ((each, span) for each in live if _bytes_shared(each.buffer, span.buffer))
        live.append(span)


def _bytes_shared(one: tile.AllocOp, other: tile.AllocOp) -> bool:
    starts = one.located, other.located
    ends = [x.located + x.bytes.value.data for x in (one, other)]
    return max(starts) < min(ends)
