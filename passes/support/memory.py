"""Lifetimes of buffers, and an arena that hands out address ranges."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.layout import Ref, Space, align


@dataclass(frozen=True)
class Lifetime:
    """A buffer and the first and last position of an op that touches it."""

    buffer: tile.AllocOp
    first: int
    last: int


def lifetimes(block: Block, spaces: Iterable[Space]) -> list[Lifetime]:
    """The lifetimes of all scratch buffers in these memories, in the order of their first use."""
    base: dict[SSAValue, tile.AllocOp] = {}
    spans: dict[tile.AllocOp, tuple[int, int]] = {}
    wanted = set(spaces)
    for position, op in enumerate(block.ops):
        if isinstance(op, tile.AllocOp):
            if Ref.of(op.ref).place.space in wanted:
                base[op.ref] = op
        elif isinstance(op, tile.ViewOp):
            if op.source in base:
                base[op.ref] = base[op.source]
        else:
            _touch(op, position, base, spans)
    return sorted((Lifetime(b, *s) for b, s in spans.items()), key=lambda t: t.first)


def _touch(
    op: Operation,
    position: int,
    base: dict[SSAValue, tile.AllocOp],
    spans: dict[tile.AllocOp, tuple[int, int]],
) -> None:
    for value in op.operands:
        buffer = base.get(value)
        if buffer is not None:
            first, _ = spans.get(buffer, (position, position))
            spans[buffer] = (first, position)


class OutOfMemory(ValueError):
    """No free range is large enough."""


@dataclass
class Arena:
    """Address ranges [start, stop) of one memory. ``rotate``: every search begins behind the range
    handed out last (next fit), which lets two tiles overlap; otherwise at the bottom (first
    fit)."""

    start: int
    stop: int
    step: int
    rotate: bool = False
    live: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    cursor: int = 0
    top: int = 0

    def take(self, size: int) -> int:
        """The start of a free range of ``size`` bytes. Raises OutOfMemory."""
        size = align(max(size, 1), self.step)
        gaps = [gap for gap in self._gaps() if gap[1] - gap[0] >= size]
        if not gaps:
            raise OutOfMemory(f"{size} bytes")
        at = gaps[0][0]
        if self.rotate:
            later = [max(lo, self.cursor) for lo, hi in gaps if hi - max(lo, self.cursor) >= size]
            at = later[0] if later else at
        insort(self.live, (at, at + size))
        self.cursor = at + size
        self.top = max(self.top, at + size)
        return at

    def release(self, at: int) -> None:
        """Gives back the range that starts at ``at``."""
        self.live = [r for r in self.live if r[0] != at]

    def _gaps(self) -> Iterator[tuple[int, int]]:
        low = self.start
        for begin, end in self.live:
            if begin > low:
                yield low, begin
            low = end
        if low < self.stop:
            yield low, self.stop


def allocate(spans: Iterable[Lifetime], arena: Arena) -> Iterator[tuple[tile.AllocOp, int]]:
    """Places buffers in the order of their first use; a range is free again after the last use.

    Raises OutOfMemory, naming nothing: the caller knows the buffer's layer.
    """
    alive: list[tuple[int, int]] = []
    for span in spans:
        for last, at in [a for a in alive if a[0] < span.first]:
            arena.release(at)
            alive.remove((last, at))
        at = arena.take(span.buffer.bytes.value.data)
        alive.append((span.last, at))
        yield span.buffer, at
