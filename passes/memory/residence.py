"""Tensors in DDR that could stay in local memory: who stores and loads which part of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from operator import mul, sub

import numpy as np
from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import (
    Place,
    Ref,
    Space,
    aligned,
    is_contiguous,
    lane_rows,
    local_bytes,
)


@dataclass(frozen=True)
class Range:
    """Indices ``begin`` to ``end - 1``."""

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    def overlaps(self, other: Range) -> bool:
        return self.begin < other.end and other.begin < self.end

    def within(self, other: Range) -> Range:
        """What of it is in another one; at that one's end where nothing is."""
        begin = min(max(self.begin, other.begin), other.end)
        return Range(begin, max(begin, min(self.end, other.end)))


@dataclass(frozen=True)
class Box:
    """A part of a tensor: of some groups of images some channels, and of each some rows."""

    groups: Range
    channels: Range
    rows: Range

    @property
    def axes(self) -> tuple[Range, Range, Range]:
        """The ranges, from the outermost dimension on."""
        return self.groups, self.channels, self.rows

    @staticmethod
    def around(boxes: Sequence[Box]) -> Box:
        """The least one that holds all of these."""
        axes = zip(*(box.axes for box in boxes), strict=True)
        return Box(*(Range(min(r.begin for r in x), max(r.end for r in x)) for x in axes))

    def overlaps(self, other: Box) -> bool:
        return all(map(Range.overlaps, self.axes, other.axes))

    def within(self, other: Box) -> Box:
        """What of it is in another one."""
        return Box(*map(Range.within, self.axes, other.axes))

    def is_covered(self, parts: Sequence[Box]) -> bool:
        """Whether the parts together hold all of it."""
        inside = [part.within(self).axes for part in parts]
        ends = zip(self.axes, *inside, strict=True)
        edges = [sorted({e for r in ranges for e in (r.begin, r.end)}) for ranges in ends]
        cells = np.zeros([len(each) - 1 for each in edges], bool)
        for axes in inside:
            places = zip(edges, axes, strict=True)
            cells[tuple(slice(e.index(r.begin), e.index(r.end)) for e, r in places)] = True
        return bool(cells.all())


@dataclass(frozen=True, eq=False)
class PartTransfer:
    """A transfer between a part of a tensor and all of a local buffer. ``apart``: in the whole
    tensor its channels lie further apart than in a tensor of their own."""

    transfer: tile.StoreOp | tile.LoadOp
    box: Box
    local: tile.AllocOp
    apart: bool = False


@dataclass(frozen=True, eq=False)
class Change:
    """A tensor that is made in the place of another one: ``loads`` of that one, the stores ``kept``
    that wrote what they read, the byte of each lane where the result begins there, and the
    ``position`` of the first load."""

    result: DdrTensor
    loads: Sequence[PartTransfer]
    kept: Sequence[PartTransfer]
    offset: int
    position: int


@dataclass(eq=False)
class DdrTensor:
    """A tensor in DDR and the ops that touch it. ``stored`` are the stores that a buffer in local
    memory could take the place of."""

    buffer: tile.BufferOp
    stores: list[tile.StoreOp] = field(default_factory=list[tile.StoreOp])
    loads: list[tile.LoadOp] = field(default_factory=list[tile.LoadOp])
    observes: list[tile.ObserveOp] = field(default_factory=list[tile.ObserveOp])
    others: int = 0
    stored: list[PartTransfer] = field(default_factory=list[PartTransfer])

    @property
    def words(self) -> Ref:
        """The tensor's 32-bit words, four 8-bit images in one."""
        return Ref.of(self.buffer.ref).as_words()

    def local(self, box: Box) -> Ref:
        """Words of a part in local memory, where the whole begins in lane 0."""
        lane = box.channels.begin % BM1684.lanes
        shape = (*(len(axis) for axis in box.axes), self.words.shape[3])
        layout, place = aligned(shape, 4, lane=lane), Place(Space.LMEM, lane)
        return self.words.with_(shape=shape, layout=layout, place=place)

    @property
    def whole(self) -> Box:
        """All of it."""
        return Box(*(Range(0, extent) for extent in self.words.shape[:3]))

    def box_of(
        self, far: Ref, begin: int, step: int = BM1684.alignment, apart: bool = False
    ) -> Box | None:
        """The part that a memref from a byte on holds; None when it is none, or when it would not
        lie as a tensor of its own in the whole one in local memory: rows do not begin at a
        multiple of ``step`` bytes, where the engine takes a tensor, or, unless its channels may
        lie ``apart``, are in more than one row of lanes or group of images.
        """
        g, c, h, w = self.words.shape
        plane, words = 4 * h * w, far.as_words()
        whole, image = self.whole, c * plane
        (group, inside), size = divmod(begin, image), 4 * prod(words.shape)
        if is_contiguous(words) and size:
            if not inside and not size % image and group + size // image <= g:
                return replace(whole, groups=Range(group, group + size // image))
            if not inside % plane and not size % plane and inside + size <= image:
                channels = Range(inside // plane, (inside + size) // plane)
                return Box(Range(group, group + 1), channels, whole.rows)
        _, count, height, width = words.shape
        first, (row, rest) = inside // plane, divmod(inside % plane, 4 * w)
        steps = (self.words.layout.strides[1], w, 1)
        rows = words.layout.unit == 4 and words.layout.strides[1:] == steps and width == w
        one = words.groups == 1 and lane_rows(count, first % BM1684.lanes) == 1
        together = words.groups == 1 or 4 * words.layout.strides[0] == image
        if not rows or not (one or (apart and together)) or rest or 4 * w * row % step:
            return None
        groups = Range(group, group + words.groups)
        return Box(groups, Range(first, first + count), Range(row, row + height))

    def bytes_of(self, box: Box) -> int:
        """What a part takes of each lane."""
        ref = self.local(box)
        return local_bytes(ref.shape, ref.layout, ref.place.lane)

    def local_offset(self, box: Box, whole: Box) -> int:
        """Bytes in each lane from the first word of a part to that of a part of it."""
        strides = self.local(whole).layout.strides
        steps = *strides[:2], self.words.shape[3]
        return 4 * sum(map(mul, map(sub, _begins(box), _begins(whole)), steps))


def _begins(box: Box) -> tuple[int, int, int]:
    """Where a part begins: group, row of lanes, row."""
    return box.groups.begin, box.channels.begin // BM1684.lanes, box.rows.begin


def _is_read_by_convolutions(buffer: tile.AllocOp) -> bool:
    """Whether a buffer is loaded for convolutions alone: their operand has strides of its own."""
    users = [use.operation for use in buffer.ref.uses if not isinstance(use.operation, tile.LoadOp)]
    return all(
        isinstance(user, tile.ConvOp)
        and user.src is buffer.ref
        and not user.winograd.value.data
        for user in users
    )


class Flow:
    """Who reads and writes which buffer, seen through views."""

    def __init__(self, block: Block):
        self.base: dict[SSAValue, Operation] = {}
        self.offset: dict[SSAValue, int] = {}
        self.tensors: dict[Operation, DdrTensor] = {}
        self.position: dict[Operation, int] = {}
        self.writes: dict[Operation, list[Operation]] = {}
        self.stored_from: dict[Operation, int] = {}
        self.last_use: dict[Operation, int] = {}
        self._stores_of: dict[Operation, list[tuple[DdrTensor, PartTransfer]]] = {}
        for position, op in enumerate(block.ops):
            self.position[op] = position
            if isinstance(op, tile.BufferOp):
                self.base[op.ref], self.offset[op.ref] = op, 0
                if Ref.of(op.ref).place.space is Space.DDR:
                    self.tensors[op] = DdrTensor(op)
            elif isinstance(op, tile.ViewOp):
                self.base[op.ref] = self.base[op.source]
                self.offset[op.ref] = self.offset[op.source] + op.offset.value.data
            else:
                self._touch(op)
        for tensor in self.tensors.values():
            parts = (self.part(tensor, store, store.dst, store.src) for store in tensor.stores)
            tensor.stored = [p for p in parts if p is not None and self._keeps(p)]
            for part in tensor.stored:
                self._stores_of.setdefault(part.local, []).append((tensor, part))

    def _touch(self, op: Operation) -> None:
        if op.operands and not isinstance(op, tile.ObserveOp):
            self.writes.setdefault(self.base[op.operands[0]], []).append(op)
        if isinstance(op, tile.StoreOp):
            source = self.base[op.src]
            self.stored_from[source] = self.stored_from.get(source, 0) + 1
        for value in op.operands:
            self.last_use[self.base[value]] = self.position[op]
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
        tensor: DdrTensor,
        transfer: tile.StoreOp | tile.LoadOp,
        ddr: SSAValue,
        local: SSAValue,
    ) -> PartTransfer | None:
        """A transfer as a part of its tensor; None when it moves anything but that between its
        place in DDR and all of a local buffer."""
        far, near, buffer = Ref.of(ddr), Ref.of(local), self.base[local]
        if not isinstance(buffer, tile.AllocOp) or self.offset[local]:
            return None
        box, apart = tensor.box_of(far, self.offset[ddr]), False
        if box is None and _is_read_by_convolutions(buffer):
            box, apart = tensor.box_of(far, self.offset[ddr], step=4, apart=True), True
        if box is None:
            return None
        expected = tensor.local(box)
        if far.shape != expected.shape or near != expected:
            return None
        if Ref.of(buffer.ref).as_words() != expected:
            return None
        return PartTransfer(transfer, box, buffer, apart)

    def _keeps(self, part: PartTransfer) -> bool:
        """Whether the buffer that a store reads holds the data for good, and nothing else."""
        writers = self.writes.get(part.local, [])
        at = self.position[part.transfer]
        final = all(self.position[op] < at for op in writers)
        loaded = len(writers) == 1 and isinstance(writers[0], tile.LoadOp)
        return final and not loaded and self.stored_from[part.local] == 1

    def loaded(self, tensor: DdrTensor) -> Iterator[tuple[PartTransfer, list[PartTransfer]]]:
        """The loads that may be left out, each with the stores that wrote what it reads."""
        for load in tensor.loads:
            part = self.part(tensor, load, load.src, load.dst)
            if part is None or self.writes[part.local] != [load]:
                continue
            needed = [p for p in tensor.stored if p.box.overlaps(part.box)]
            if self._covers(tensor, part, needed):
                yield part, needed

    def observed(self, tensor: DdrTensor, observe: tile.ObserveOp) -> Box | None:
        """The part of a tensor that the compare reads, from any word on."""
        return tensor.box_of(Ref.of(observe.ref), self.offset[observe.ref], step=4)

    def changes(self, tensor: DdrTensor) -> Iterator[Change]:
        """The tensors that are made of this one in its place: parts of it are loaded, changed, and
        stored as all of another tensor."""
        made: dict[DdrTensor, list[tuple[PartTransfer, PartTransfer]]] = {}
        for load in tensor.loads:
            part = self.part(tensor, load, load.src, load.dst)
            if part is not None and self.writes[part.local][0] is load:
                for result, stored in self._stores_of.get(part.local, ()):
                    made.setdefault(result, []).append((part, stored))
        for result, pairs in made.items():
            if result is not tensor and len(pairs) == len(result.stores):
                change = self._change(tensor, result, pairs)
                if change is not None:
                    yield change

    def _change(
        self,
        tensor: DdrTensor,
        result: DdrTensor,
        pairs: Sequence[tuple[PartTransfer, PartTransfer]],
    ) -> Change | None:
        """A change, unless the tensor is read behind it, or the result lies differently."""
        loads, found = [load for load, _ in pairs], list[PartTransfer]()
        for load in loads:
            needed = [p for p in tensor.stored if p.box.overlaps(load.box)]
            if not self._covers(tensor, load, needed):
                return None
            found += needed
        own = {load.transfer for load in loads}
        first = min(self.position[load] for load in own)
        readers = [self.position[op] for op in tensor.observes]
        readers += [self.last_use[self.base[op.dst]] for op in tensor.loads if op not in own]
        offsets = {
            tensor.local_offset(load.box, tensor.whole)
            - result.local_offset(stored.box, result.whole)
            for load, stored in pairs
        }
        room = tensor.bytes_of(tensor.whole) - result.bytes_of(result.whole)
        if max(readers, default=0) >= first or len(offsets) != 1 or not 0 <= min(offsets) <= room:
            return None
        return Change(result, loads, list(dict.fromkeys(found)), offsets.pop(), first)

    def _covers(self, tensor: DdrTensor, load: PartTransfer, needed: list[PartTransfer]) -> bool:
        """Whether these stores, and no others, wrote all that a load reads, before it."""
        if len(needed) != len(tensor.stores) and len(tensor.stored) != len(tensor.stores):
            return False  # a store of another form may have written some of it
        before = all(self.position[p.transfer] < self.position[load.transfer] for p in needed)
        return before and load.box.is_covered([part.box for part in needed])
