"""Tensors in DDR that could stay in local memory: who stores and loads which of their channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import LMEM, Ref, Space, aligned, contiguous, rows_of


@dataclass(frozen=True)
class Channels:
    """A range of a tensor's channels: all of each, in every group of images."""

    begin: int
    end: int

    def overlaps(self, other: Channels) -> bool:
        return self.begin < other.end and other.begin < self.end


@dataclass(frozen=True, eq=False)
class Part:
    """A transfer between channels of a tensor and all of a local buffer."""

    transfer: tile.StoreOp | tile.LoadOp
    channels: Channels
    local: tile.AllocOp


@dataclass(eq=False)
class Tensor:
    """A tensor in DDR and the ops that touch it. ``stored`` are the stores that a buffer in local
    memory could take the place of."""

    buffer: tile.BufferOp
    stores: list[tile.StoreOp] = field(default_factory=list[tile.StoreOp])
    loads: list[tile.LoadOp] = field(default_factory=list[tile.LoadOp])
    observes: list[tile.ObserveOp] = field(default_factory=list[tile.ObserveOp])
    others: int = 0
    stored: list[Part] = field(default_factory=list[Part])

    @property
    def words(self) -> Ref:
        """The tensor's 32-bit words, four 8-bit images in one."""
        return Ref.of(self.buffer.ref).as_words()

    def local(self, channels: Channels) -> Ref:
        """Words of some channels in local memory, from lane 0 on."""
        g, _, h, w = self.words.shape
        shape = (g, channels.end - channels.begin, h, w)
        return self.words.with_(shape=shape, layout=aligned(shape, 4), place=LMEM)

    @property
    def channels(self) -> Channels:
        """All of them."""
        return Channels(0, self.words.shape[1])

    def range_of(self, begin: int, size: int) -> Channels | None:
        """The channels in a range of bytes; None when it holds parts of channels, or its first
        one does not lie in lane 0."""
        g, c, h, w = self.words.shape
        plane = 4 * h * w
        whole = begin == 0 and size == g * c * plane
        if whole:
            return self.channels
        found = Channels(begin // plane, (begin + size) // plane)
        good = g == 1 and not begin % plane and not size % plane
        return found if good and not found.begin % BM1684.lanes else None

    def local_offset(self, channels: Channels) -> int:
        """Bytes in each lane from the tensor's first channel to the first of a range."""
        return rows_of(channels.begin) * self.local(self.channels).layout.strides[1] * 4


def _is_contiguous(words: Ref) -> bool:
    """Whether words follow each other in DDR; the step to the next of one group says nothing."""
    wanted = contiguous(words.shape, 4)
    steps = wanted.strides if words.groups > 1 else (words.layout.strides[0], *wanted.strides[1:])
    return words.layout == replace(wanted, strides=steps)


class Flow:
    """Who reads and writes which buffer, seen through views."""

    def __init__(self, block: Block):
        self.base: dict[SSAValue, Operation] = {}
        self.offset: dict[SSAValue, int] = {}
        self.tensors: dict[Operation, Tensor] = {}
        self.position: dict[Operation, int] = {}
        self.writes: dict[Operation, list[Operation]] = {}
        self.stored_from: dict[Operation, int] = {}
        for position, op in enumerate(block.ops):
            self.position[op] = position
            if isinstance(op, tile.BufferOp):
                self.base[op.ref], self.offset[op.ref] = op, 0
                if Ref.of(op.ref).place.space is Space.DDR:
                    self.tensors[op] = Tensor(op)
            elif isinstance(op, tile.ViewOp):
                self.base[op.ref] = self.base[op.source]
                self.offset[op.ref] = self.offset[op.source] + op.offset.value.data
            else:
                self._touch(op)
        for tensor in self.tensors.values():
            parts = (self.part(tensor, store, store.dst, store.src) for store in tensor.stores)
            tensor.stored = [p for p in parts if p is not None and self._keeps(p)]

    def _touch(self, op: Operation) -> None:
        if op.operands and not isinstance(op, tile.ObserveOp):
            self.writes.setdefault(self.base[op.operands[0]], []).append(op)
        if isinstance(op, tile.StoreOp):
            source = self.base[op.src]
            self.stored_from[source] = self.stored_from.get(source, 0) + 1
        for value in op.operands:
            tensor = self.tensors.get(self.base[value])
            if tensor is None:
                continue
            if isinstance(op, tile.StoreOp):
                tensor.stores.append(op)
            elif isinstance(op, tile.LoadOp):
                tensor.loads.append(op)
            elif isinstance(op, tile.ObserveOp):
                tensor.observes.append(op)
            else:
                tensor.others += 1

    def part(
        self,
        tensor: Tensor,
        transfer: tile.StoreOp | tile.LoadOp,
        ddr: SSAValue,
        local: SSAValue,
    ) -> Part | None:
        """A transfer as a part of its tensor; None when it moves anything but whole channels
        between their place in DDR and all of a local buffer."""
        far, near, buffer = Ref.of(ddr), Ref.of(local), self.base[local]
        size = 4 * far.groups * far.shape[1] * far.shape[2] * far.shape[3]
        channels = tensor.range_of(self.offset[ddr], size)
        if channels is None or not isinstance(buffer, tile.AllocOp) or self.offset[local]:
            return None
        wanted = tensor.local(channels)
        packed = far.shape == wanted.shape and _is_contiguous(far)
        if not packed or near != wanted or Ref.of(buffer.ref).as_words() != wanted:
            return None
        return Part(transfer, channels, buffer)

    def _keeps(self, part: Part) -> bool:
        """Whether the buffer that a store reads holds the data for good, and nothing else."""
        writers = self.writes.get(part.local, [])
        at = self.position[part.transfer]
        final = all(self.position[op] < at for op in writers)
        loaded = len(writers) == 1 and isinstance(writers[0], tile.LoadOp)
        return final and not loaded and self.stored_from[part.local] == 1

    def loaded(self, tensor: Tensor) -> Iterator[tuple[Part, list[Part]]]:
        """The loads that may be left out, each with the stores that wrote what it reads."""
        for load in tensor.loads:
            part = self.part(tensor, load, load.src, load.dst)
            if part is None or self.writes[part.local] != [load]:
                continue
            needed = [p for p in tensor.stored if p.channels.overlaps(part.channels)]
            if self._covers(tensor, part, needed):
                yield part, needed

    def _covers(self, tensor: Tensor, load: Part, needed: list[Part]) -> bool:
        """Whether these stores, and no others, wrote all that a load reads, before it."""
        if len(needed) != len(tensor.stores) and len(tensor.stored) != len(tensor.stores):
            return False  # a store of another form may have written some of it
        at = load.channels.begin
        for part in sorted(needed, key=lambda p: p.channels.begin):
            if part.channels.begin > at:
                return False
            at = max(at, part.channels.end)
        before = all(self.position[p.transfer] < self.position[load.transfer] for p in needed)
        return before and at >= load.channels.end
