"""tile-merge-loads: weights of small layers come together with those of the layer before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import NameLoc, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import LOAD_CYCLES, load_cycles
from dialects.bm1684.layout import DDR, Layout, Place, Ref, Space, align, contiguous, i32
from dialects.constant import ConstantAttr
from dialects.quant.base import int_attr
from passes.base import NpuFunctionPass
from passes.memory.allocation import Trial
from passes.memory.lifetimes import Lifetime, lifetimes
from passes.module.locations import layer_name

Array = NDArray[Any]

LEAST_SAVED = LOAD_CYCLES / 4
"""Cycles for which weights are moved into another transfer."""
MOST_BYTES = BM1684.lane_bytes // 32
"""Of each lane in one transfer: all are kept as long as one of them is used."""
WORDS = 2
"""Float weights begin on so many words."""


@dataclass(frozen=True, eq=False)
class _Weights:
    """A buffer that one load fills with constant words [lanes, words], from a lane on, and that is
    read as weights and biases only."""

    load: tile.LoadOp
    constant: tile.ConstantOp
    buffer: tile.AllocOp

    @property
    def words(self) -> Array:
        return self.constant.value.array.reshape(len(self.lanes), self.count)

    @property
    def lanes(self) -> range:
        begin = Ref.of(self.buffer.ref).place.lane
        return range(begin, begin + Ref.of(self.buffer.ref).shape[1])

    @property
    def count(self) -> int:
        """Words in each lane."""
        return Ref.of(self.buffer.ref).shape[3]

    @staticmethod
    def of(load: tile.LoadOp) -> _Weights | None:
        source, target = _buffer(load.src), _buffer(load.dst)
        if not isinstance(source, tile.ConstantOp) or not isinstance(target, tile.AllocOp):
            return None
        near, far = Ref.of(target.ref), Ref.of(source.ref)
        rows = near.element == far.element == i32 and near.shape == far.shape
        if not rows or far.shape[2] > 1 or not all(_is_weights(op, load) for op in _users(target)):
            return None
        return _Weights(load, source, target)


def _buffer(value: SSAValue) -> Operation | None:
    """The op whose memory a memref begins, from its first byte on."""
    owner = value.owner
    while isinstance(owner, tile.ViewOp) and not owner.offset.value.data:
        owner = owner.source.owner
    return owner if isinstance(owner, Operation) else None


def _users(buffer: Operation) -> Iterator[tuple[SSAValue, Operation]]:
    """Who touches a buffer, with the memref."""
    for value in buffer.results:
        for use in value.uses:
            if isinstance(use.operation, tile.ViewOp):
                yield from _users(use.operation)
            else:
                yield value, use.operation


def _is_weights(user: tuple[SSAValue, Operation], load: tile.LoadOp) -> bool:
    value, op = user
    if isinstance(op, (tile.ConvOp, tile.DepthwiseOp)):
        return value is op.weight or value is op.bias
    return op is load


class _Transfer:
    """Weights of one transfer, side by side in each lane. ``later``: the cycles by which the first
    of them come later for the others, ``saved``: those that all together take less."""

    def __init__(self, first: _Weights) -> None:
        self.parts = [first]
        self.begins = [0]
        self.lanes, self.count = first.lanes, first.count
        self.later = self.saved = 0.0

    def add(self, more: _Weights, late: float) -> bool:
        """Adds weights, if it pays and the first ones come less than so many cycles late."""
        begin = align(self.count, WORDS)
        count = begin + more.count
        starts, stops = zip(*((x.start, x.stop) for x in (self.lanes, more.lanes)), strict=True)
        lanes = range(min(starts), max(stops))
        added = _cycles(lanes, count) - _cycles(self.lanes, self.count)
        saved = _cycles(more.lanes, more.count) - added
        if saved < LEAST_SAVED or self.later + added >= late or 4 * count > MOST_BYTES:
            return False
        self.parts.append(more)
        self.begins.append(begin)
        self.lanes, self.count = lanes, count
        self.later, self.saved = self.later + added, self.saved + saved
        return True

    def new_buffer(self) -> tile.AllocOp:
        """The buffer of all parts, in no block yet."""
        size = align(4 * self.count, BM1684.alignment)
        layout = Layout(4, 1, (size // 4, size // 4, self.count, 1))
        place = Place(Space.LMEM, self.lanes.start)
        ref = Ref(i32, (1, len(self.lanes), 1, self.count), layout, place)
        return tile.AllocOp.build(properties={"bytes": int_attr(size)}, result_types=[ref.type])

    def words(self) -> Array:
        """[lanes, words] of all parts."""
        words = np.zeros((len(self.lanes), self.count), np.uint32)
        for begin, part in zip(self.begins, self.parts, strict=True):
            first = part.lanes.start - self.lanes.start
            words[first : first + len(part.lanes), begin : begin + part.count] = part.words
        return words


def _cycles(lanes: range, count: int) -> float:
    return load_cycles(4 * len(lanes) * count, 4 * count)


def _transfers(block: Block, late: float) -> list[_Transfer]:
    """Those with more than one part that pay; weights that are loaded more than once stay alone."""
    loads = [op for op in block.ops if isinstance(op, tile.LoadOp)]
    found = [weights for weights in map(_Weights.of, loads) if weights is not None]
    times = Counter(weights.constant.value.data.digest for weights in found)
    made: list[_Transfer] = []
    for weights in found:
        once = times[weights.constant.value.data.digest] == 1
        if once and not (made and made[-1].add(weights, late)):
            made.append(_Transfer(weights))
    return [each for each in made if len(each.parts) > 1]


def _that_fit(
    spans: Sequence[Lifetime], transfers: Sequence[_Transfer]
) -> dict[_Transfer, tile.AllocOp]:
    """The transfers and their buffers, without those that lie in memory where buffers would not
    fit it."""
    chosen = {each: each.new_buffer() for each in transfers}
    while chosen:
        merged = _merged(spans, chosen)
        failed = Trial(BM1684.lane_bytes).overflow(list(merged))
        if failed is None:
            return chosen
        across = [each for s, each in merged.items() if each and s.first <= failed.first <= s.last]
        for each in across or list(chosen):
            del chosen[each]
    return chosen


def _merged(
    spans: Sequence[Lifetime], chosen: dict[_Transfer, tile.AllocOp]
) -> dict[Lifetime, _Transfer | None]:
    """The lifetimes in the order of their begin, with those of transfers in place of their
    parts'."""
    of = {part.buffer: each for each in chosen for part in each.parts}
    parts: dict[_Transfer, list[Lifetime]] = {each: [] for each in chosen}
    found: dict[Lifetime, _Transfer | None] = {}
    for span in spans:
        each = of.get(span.buffer)
        if each is None:
            found[span] = None
        else:
            parts[each].append(span)
    for each, lives in parts.items():
        first, last = min(x.first for x in lives), max(x.last for x in lives)
        found[replace(lives[0], buffer=chosen[each], first=first, last=last)] = each
    return dict(sorted(found.items(), key=lambda item: item[0].first))


def _merge(each: _Transfer, buffer: tile.AllocOp) -> None:
    """Puts one load in the place of the first part's, and views of its buffer in that of all. The
    constant has the names of all layers."""
    first = each.parts[0]
    words = each.words()
    shape = Ref.of(buffer.ref).shape
    far = Ref(i32, shape, contiguous(shape, 4), DDR)
    constant = tile.ConstantOp.build(
        properties={"value": ConstantAttr.of(words.reshape(shape))}, result_types=[far.type]
    )
    views = [
        tile.ViewOp.build(
            operands=[buffer.ref],
            properties={"offset": int_attr(4 * begin)},
            result_types=[Ref.of(part.buffer.ref).type],
        )
        for begin, part in zip(each.begins, each.parts, strict=True)
    ]
    ends = [
        tile.ViewOp.build(operands=[x], result_types=[Ref.of(x).as_words().type])
        for x in (buffer.ref, constant.ref)
    ]
    load = tile.LoadOp.build(operands=[ends[0].ref, ends[1].ref])
    for op in (buffer, constant, *views, *ends, load):
        op.location = first.load.location
    if isinstance(first.load.location, NameLoc):
        names = dict.fromkeys(layer_name(part.load) for part in each.parts)
        constant.location = NameLoc(StringAttr(", ".join(names)), first.load.location.location)
    block = first.load.parent_block()
    assert block is not None
    block.insert_ops_before([buffer, *views], first.buffer)
    block.insert_ops_before([constant, *ends, load], first.load)
    for view, part in zip(views, each.parts, strict=True):
        part.load.detach()
        part.load.erase()
        part.buffer.ref.replace_all_uses_with(view.ref)
        part.buffer.detach()
        part.buffer.erase()
        _drop(part.constant)


def _drop(op: Operation) -> None:
    """Removes an op and its views, which nobody reads."""
    for result in op.results:
        for use in list(result.uses):
            _drop(use.operation)
    op.detach()
    op.erase()


def cycles_saved(function: FuncOp, late: int) -> float:
    """How many cycles fewer the DMA engine would be at work after the pass, if all fits."""
    return sum(each.saved for each in _transfers(function.body.block, late))


@dataclass(frozen=True)
class TileMergeLoadsPass(NpuFunctionPass):
    """Loads weights of small layers together with those of the layer before.

    Before: the weights of each layer are one transfer or more. After: weights whose load takes
    little more than its start lie in each lane behind those that are loaded before them, and come
    in one transfer with them, as far as these come less than ``late`` cycles later for it, and all
    buffers fit local memory. Weights that are loaded more than once stay as they are.
    """

    name = "tile-merge-loads"
    level = "tile"

    late: int = 0

    def apply_to(self, function: FuncOp) -> None:
        block = function.body.block
        transfers = _transfers(block, self.late) if self.late else []
        spans = lifetimes(block, [Space.LMEM]) if transfers else []
        if Trial(BM1684.lane_bytes).overflow(spans) is None:
            for each, buffer in _that_fit(spans, transfers).items():
                _merge(each, buffer)
