"""tile-keep-local: tensors that the next layers read stay in local memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, Space
from passes.support.memory import Arena, Lifetime, OutOfMemory, allocate, lifetimes
from passes.support.program import main_function


@dataclass
class _Tensor:
    """A tensor in DDR and the ops that touch it."""

    buffer: tile.BufferOp
    stores: list[tile.StoreOp] = field(default_factory=list[tile.StoreOp])
    loads: list[tile.LoadOp] = field(default_factory=list[tile.LoadOp])
    observes: list[tile.ObserveOp] = field(default_factory=list[tile.ObserveOp])
    others: int = 0


@dataclass(frozen=True)
class _Shortcut:
    """A load that may be left out: ``kept`` holds after the store what ``loaded`` would hold."""

    load: tile.LoadOp
    kept: tile.AllocOp
    loaded: tile.AllocOp


class _Flow:
    """Who reads and writes which buffer, seen through views."""

    def __init__(self, block: Block):
        self.base: dict[SSAValue, Operation] = {}
        self.tensors: dict[Operation, _Tensor] = {}
        self.position: dict[Operation, int] = {}
        self.writes: dict[Operation, list[Operation]] = {}
        for position, op in enumerate(block.ops):
            self.position[op] = position
            if isinstance(op, tile.BufferOp):
                self.base[op.ref] = op
                if Ref.of(op.ref).place.space is Space.DDR:
                    self.tensors[op] = _Tensor(op)
            elif isinstance(op, tile.ViewOp):
                self.base[op.ref] = self.base[op.source]
            else:
                self._touch(op)

    def _touch(self, op: Operation) -> None:
        if op.operands and not isinstance(op, tile.ObserveOp):
            self.writes.setdefault(self.base[op.operands[0]], []).append(op)
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

    def whole(self, value: SSAValue) -> bool:
        """Whether a transfer's side covers a buffer from its first byte to its last."""
        owner = value.owner
        offset = owner.offset.value.data if isinstance(owner, tile.ViewOp) else 0
        base = self.base[value]
        if offset or not isinstance(base, tile.BufferOp):
            return False
        return Ref.of(value) == Ref.of(base.ref).as_words()

    def shortcuts(self) -> Iterator[_Shortcut]:
        """All loads of whole tensors that one store wrote from a buffer of the same layout."""
        for tensor in self.tensors.values():
            if len(tensor.stores) == 1 and self.whole(tensor.stores[0].dst):
                store = tensor.stores[0]
                for load in tensor.loads:
                    shortcut = self._shortcut(store, load)
                    if shortcut is not None:
                        yield shortcut

    def _shortcut(self, store: tile.StoreOp, load: tile.LoadOp) -> _Shortcut | None:
        kept, loaded = self.base[store.src], self.base[load.dst]
        if not isinstance(kept, tile.AllocOp) or not isinstance(loaded, tile.AllocOp):
            return None
        sides = (store.src, load.src, load.dst)
        unchanged = all(self.position[op] < self.position[store] for op in self.writes[kept])
        if not all(map(self.whole, sides)) or self.writes[loaded] != [load] or not unchanged:
            return None
        same = Ref.of(load.dst) == Ref.of(store.src)
        return _Shortcut(load, kept, loaded) if same else None


def choose(spans: Sequence[Lifetime], shortcuts: Sequence[_Shortcut]) -> list[_Shortcut]:
    """As many shortcuts as leave room in local memory.

    Starts with all; while the buffers do not fit, the one that keeps its buffer longest across the
    place where they do not is given up.
    """
    chosen = list(shortcuts)
    while True:
        merged = _merge(spans, chosen)
        placed = 0
        arena = Arena(0, BM1684.lane_bytes, BM1684.alignment, rotate=True)
        try:
            for _ in allocate(merged, arena):
                placed += 1
            return chosen
        except OutOfMemory:
            at = merged[placed].first
            span = {s.buffer: s for s in merged}
            roots = _roots(chosen)
            across = [
                s for s in chosen if span[roots[s.kept]].first <= at <= span[roots[s.kept]].last
            ]
            own = {s.buffer: s for s in spans}
            chosen.remove(max(across, key=lambda s: own[s.loaded].last - own[s.kept].last))


def _roots(chosen: Sequence[_Shortcut]) -> dict[tile.AllocOp, tile.AllocOp]:
    """For every buffer that takes part, the one that holds its data in the end."""
    parent = {s.loaded: s.kept for s in chosen}

    def root(buffer: tile.AllocOp) -> tile.AllocOp:
        while buffer in parent:
            buffer = parent[buffer]
        return buffer

    return {b: root(b) for s in chosen for b in (s.kept, s.loaded)}


def _merge(spans: Sequence[Lifetime], chosen: Sequence[_Shortcut]) -> list[Lifetime]:
    """The lifetimes when every chosen buffer is one with the buffer it is loaded from."""
    roots = _roots(chosen)
    merged: dict[tile.AllocOp, Lifetime] = {}
    for span in spans:
        buffer = roots.get(span.buffer, span.buffer)
        old = merged.get(buffer)
        first, last = span.first, span.last
        if old is not None:
            first, last = min(first, old.first), max(last, old.last)
        merged[buffer] = replace(span, buffer=buffer, first=first, last=last)
    return sorted(merged.values(), key=lambda s: s.first)


@dataclass(frozen=True)
class TileKeepLocalPass(ModulePass):
    """Removes loads of tensors that still lie in local memory, and stores that nobody reads then.

    Before: every tensor is stored to DDR and loaded again. After: a tensor whose store covers it,
    from a buffer of the layout that a later load would make, stays in that buffer as far as local
    memory reaches; what only the compare reads is observed there and not stored.
    """

    name = "tile-keep-local"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        block = main_function(op).body.block
        flow = _Flow(block)
        spans = lifetimes(block, [Space.LMEM])
        chosen = choose(spans, list(flow.shortcuts()))
        for shortcut in chosen:
            _apply(flow, shortcut)
        for tensor in flow.tensors.values():
            if isinstance(tensor.buffer, tile.AllocOp):
                _drop_store(tensor)
        _drop_unused(block)


def _apply(flow: _Flow, shortcut: _Shortcut) -> None:
    """Readers of the loaded buffer read the kept one."""
    load, kept, loaded = shortcut.load, shortcut.kept, shortcut.loaded
    source = flow.tensors[flow.base[load.src]]
    source.loads.remove(load)
    load.detach()
    load.erase()
    block = kept.parent_block()
    assert block is not None
    value: SSAValue = kept.ref
    if loaded.ref.type != kept.ref.type:
        view = tile.ViewOp.build(operands=[kept.ref], result_types=[loaded.ref.type])
        view.location = loaded.location
        block.insert_op_before(view, loaded)
        value = view.ref
    loaded.ref.replace_all_uses_with(value)


def _drop_store(tensor: _Tensor) -> None:
    """Leaves out the one store of a tensor that only the compare reads."""
    if len(tensor.stores) != 1 or tensor.loads or tensor.others:
        return
    store = tensor.stores[0]
    wanted = Ref.of(tensor.buffer.ref)
    words = Ref.of(store.src)
    local = wanted.with_(
        place=words.place,
        layout=replace(wanted.layout, strides=words.layout.strides),
    )
    if local.as_words() != words or Ref.of(store.dst) != wanted.as_words():
        return
    block = store.parent_block()
    assert block is not None
    for observe in tensor.observes:
        view = tile.ViewOp.build(operands=[store.src], result_types=[local.type])
        view.location = store.location
        block.insert_op_before(view, observe)
        observe.operands[0] = view.ref
    store.detach()
    store.erase()


def _drop_unused(block: Block) -> None:
    """Removes views and scratch buffers that nothing uses any more."""
    for op in reversed(list(block.ops)):
        if isinstance(op, (tile.AllocOp, tile.ViewOp)) and op.ref.first_use is None:
            op.detach()
            op.erase()
