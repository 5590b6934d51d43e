"""tile-keep-local: tensors that the next layers read stay in local memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, Space
from dialects.quant.base import int_attr
from passes.base import NpuFunctionPass
from passes.memory.allocation import Lifetime, Trial, lifetimes
from passes.memory.residence import Change, DdrTensor, Flow, PartTransfer


@dataclass(frozen=True, eq=False)
class _Shortcut:
    """Loads that may be left out: after the stores ``kept`` the home holds what they would load.
    With ``change`` they are all loads of what another tensor is made of in its place, which is at
    home there, too."""

    loads: Sequence[PartTransfer]
    kept: Sequence[PartTransfer]
    home: _Home
    change: tuple[Change, _Home] | None = None


@dataclass(eq=False)
class _Home:
    """The buffer that holds a tensor in local memory, in place of those that were stored and
    loaded: one that was stored, where it is the whole tensor, or a new one."""

    tensor: DdrTensor
    buffer: tile.AllocOp
    kept: set[PartTransfer] = field(default_factory=set[PartTransfer])


def _insert(op: Operation, before: Operation) -> None:
    block = before.parent_block()
    assert block is not None
    block.insert_op_before(op, before)


def _shortcuts(flow: Flow) -> list[_Shortcut]:
    """All loads that may be left out."""
    found: list[_Shortcut] = []
    homes: dict[DdrTensor, _Home] = {}

    def home_of(tensor: DdrTensor) -> _Home:
        if tensor not in homes:
            homes[tensor] = _home_of(tensor)
        return homes[tensor]

    for tensor in flow.tensors.values():
        found += [
            _Shortcut([load], kept, home_of(tensor)) for load, kept in flow.loaded(tensor)
        ]
        for change in flow.changes(tensor):
            made = change, home_of(change.result)
            found.append(_Shortcut(change.loads, change.kept, home_of(tensor), made))
    return found


def _home_of(tensor: DdrTensor) -> _Home:
    for part in tensor.stored:
        if part.box == tensor.whole:
            return _Home(tensor, part.local)
    ref = tensor.local(tensor.whole)
    size = int_attr(tensor.local_bytes)
    buffer = tile.AllocOp.build(properties={"bytes": size}, result_types=[ref.type])
    buffer.location = tensor.buffer.location
    return _Home(tensor, buffer)


def choose(
    spans: Sequence[Lifetime], shortcuts: Sequence[_Shortcut], limit: int
) -> list[_Shortcut]:
    """As many shortcuts as fit so many bytes of each lane.

    Starts with all; while the buffers do not fit, the one that keeps its tensor longest across the
    place where they do not is given up.
    """
    chosen = list(shortcuts)
    own = {s.buffer: s for s in spans}
    trial, unchanged = Trial(limit), 0
    while True:
        homes = _homes(chosen)
        merged = _merge(spans, homes)
        failed = trial.overflow(merged, unchanged)
        if failed is None:
            return chosen
        held = _held(own, chosen)
        across = [s for s in chosen if held[s.home][0] <= failed.first <= held[s.home][1]]
        if not across:  # the tiles alone take more
            if limit == BM1684.lane_bytes:
                return chosen
            limit = BM1684.lane_bytes
            trial, unchanged = Trial(limit), 0
            continue
        gone = max(across, key=lambda s: _end(own, s) - held[s.home][0])
        chosen.remove(gone)
        buffer = homes[gone.home.buffer]
        begin = next(span.first for span in merged if span.buffer is buffer)
        unchanged = bisect_left(merged, begin, key=_first)


def _end(own: Mapping[tile.AllocOp, Lifetime], shortcut: _Shortcut) -> int:
    """Up to where a tensor must be there for the loads of a shortcut."""
    if shortcut.change is not None:
        return shortcut.change[0].position
    return max(own[load.local].last for load in shortcut.loads)


def _held(
    own: Mapping[tile.AllocOp, Lifetime], chosen: Sequence[_Shortcut]
) -> dict[_Home, tuple[int, int]]:
    """From where to where each tensor is in local memory."""
    found: dict[_Home, tuple[int, int]] = {}
    for shortcut in chosen:
        kept = [own[part.local] for part in shortcut.kept]
        begin = min(span.first for span in kept)
        end = max(_end(own, shortcut), *(span.last for span in kept))
        old = found.get(shortcut.home, (begin, end))
        found[shortcut.home] = min(old[0], begin), max(old[1], end)
    return found


def _homes(chosen: Sequence[_Shortcut]) -> dict[tile.AllocOp, tile.AllocOp]:
    """The buffer that each one is a part of in the end."""
    into: dict[tile.AllocOp, tile.AllocOp] = {}
    for shortcut in chosen:
        home = shortcut.home.buffer
        if shortcut.change is not None:
            into[shortcut.change[1].buffer] = home
            into.update({part.local: home for part in shortcut.loads})
    for shortcut in chosen:
        home = shortcut.home.buffer
        for part in (*shortcut.loads, *shortcut.kept):
            if part.local is not home:
                into.setdefault(part.local, home)
        into.setdefault(home, home)
    found: dict[tile.AllocOp, tile.AllocOp] = {}
    for buffer in into:
        whole = buffer
        while into.get(whole, whole) is not whole:
            whole = into[whole]
        found[buffer] = whole
    return found


def _merge(
    spans: Sequence[Lifetime], homes: Mapping[tile.AllocOp, tile.AllocOp]
) -> list[Lifetime]:
    """The lifetimes when every buffer is a part of its home."""
    merged: dict[tile.AllocOp, Lifetime] = {}
    for span in spans:
        buffer = homes.get(span.buffer, span.buffer)
        old = merged.get(buffer)
        if buffer is span.buffer and old is None:
            merged[buffer] = span
            continue
        merged[buffer] = _joined(old or span, span, buffer)
    return sorted(merged.values(), key=_first)


def _joined(one: Lifetime, other: Lifetime, buffer: tile.AllocOp) -> Lifetime:
    """The lifetime of a buffer of which these two are parts."""
    begins, ends = min(one, other, key=_first), max(one, other, key=lambda s: s.last)
    return Lifetime(buffer, begins.first, ends.last, begins.loaded, ends.stored,
                    one.mates | other.mates, min(one.end_by, other.end_by))  # fmt: skip


def _first(span: Lifetime) -> int:
    return span.first


@dataclass(frozen=True)
class TileKeepLocalPass(NpuFunctionPass):
    """Removes loads of tensors that still lie in local memory, and stores that nobody reads then.

    Before: every tensor is stored to DDR and loaded again. After: tensors that are stored from,
    and loaded to, buffers of the engine's own layout stay in local memory as far as it reaches;
    so do concatenations and slices along channels whose parts begin in the lanes where they are of
    the whole, and some rows that convolutions read. A tensor that is loaded, changed and stored as
    another one becomes that where it lies, if nothing reads it any more. Moves between lanes that
    served this stay only where it came so. What only the compare reads is observed there and not
    stored. ``reserve`` bytes of each lane are left to
    loads that run ahead.
    """

    name = "tile-keep-local"
    level = "tile"

    reserve: int = 0

    def apply_to(self, function: FuncOp) -> None:
        block = function.body.block
        flow = Flow(block)
        limit = BM1684.lane_bytes - self.reserve
        chosen = choose(lifetimes(block, [Space.LMEM]), _shortcuts(flow), limit)
        moves = _Moves(flow, chosen)
        moves.run()
        for tensor in flow.tensors.values():
            if isinstance(tensor.buffer, tile.AllocOp):
                moves.drop_stores(tensor)
        _drop_moves(block)
        _drop_unused(list(block.ops))


def _drop_moves(block: Block) -> None:
    """Transfers to and from DDR that stay take no way through other lanes."""
    for op in list(block.ops):
        if not isinstance(op, tile.CopyOp) or not _is_local(op.dst) or not _is_local(op.src):
            continue
        into, out = _only_other_use(op.dst, op), _only_other_use(op.src, op)
        if isinstance(into, tile.StoreOp) and _place(into.src) == _place(op.dst):
            into.operands[1] = op.src
        elif isinstance(out, tile.LoadOp) and _place(out.dst) == _place(op.src):
            out.detach()
            out.operands[0] = op.dst
            _insert(out, op)
        else:
            continue
        op.detach()
        op.erase()


def _is_local(value: SSAValue) -> bool:
    return Ref.of(value).place.space is Space.LMEM


def _place(value: SSAValue) -> tuple[SSAValue, int, Ref]:
    """The buffer under a memref, the byte where it begins there, and what it is."""
    buffer, begin = value, 0
    while isinstance(buffer.owner, tile.ViewOp):
        begin += buffer.owner.offset.value.data
        buffer = buffer.owner.source
    return buffer, begin, Ref.of(value)


def _only_other_use(value: SSAValue, op: Operation) -> Operation | None:
    """The one op that uses a buffer beside another op."""
    todo, users = [_place(value)[0]], set[Operation]()
    while todo:
        for use in todo.pop().uses:
            user = use.operation
            if isinstance(user, tile.ViewOp):
                todo.append(user.ref)
            else:
                users.add(user)
    others = users - {op}
    return others.pop() if len(others) == 1 else None


@dataclass
class _Moves:
    """Tensors on their way home. ``places``: where buffers that were parts of others lie now."""

    flow: Flow
    chosen: Sequence[_Shortcut]
    homes: dict[DdrTensor, _Home] = field(default_factory=dict[DdrTensor, _Home])
    places: dict[tile.AllocOp, SSAValue] = field(default_factory=dict[tile.AllocOp, SSAValue])

    def run(self) -> None:
        """Leaves out the loads. What is made in the place of another tensor is put together before
        that one is."""
        loads: dict[_Home, list[PartTransfer]] = {}
        changes: dict[_Home, tuple[Change, _Home]] = {}
        for shortcut in self.chosen:
            home = self.homes.setdefault(shortcut.home.tensor, shortcut.home)
            home.kept.update(shortcut.kept)
            loads.setdefault(home, []).extend(shortcut.loads)
            if shortcut.change is not None:
                changes[home] = shortcut.change
        position = self.flow.position
        first = {home: min((p.local for p in home.kept), key=position.__getitem__)
                 for home in loads}  # fmt: skip
        for home in sorted(loads, key=lambda home: position[first[home]], reverse=True):
            if home.buffer.parent is None:
                _insert(home.buffer, first[home])
            for part in loads[home]:
                assert isinstance(part.transfer, tile.LoadOp)
                home.tensor.loads.remove(part.transfer)
                part.transfer.detach()
                part.transfer.erase()
            for part in (*home.kept, *loads[home]):
                offset = home.tensor.local_offset(part.box)
                self._place(part.local, home, offset, part.apart)
            if home in changes:
                change, result = changes[home]
                self._place(result.buffer, home, change.offset)

    def _place(
        self, buffer: tile.AllocOp, home: _Home, offset: int, apart: bool = False
    ) -> None:
        """Makes a buffer a part of a home, unless it is one of another already; with its channels
        ``apart`` as they are there."""
        if buffer is home.buffer or buffer in self.places or buffer.parent is None:
            return
        part = Ref.of(buffer.ref)
        if apart:
            strides = Ref.of(home.buffer.ref).layout.strides
            part = part.with_(layout=replace(part.layout, strides=strides))
        view = _view(home.buffer.ref, offset, part, buffer)
        buffer.ref.replace_all_uses_with(view)
        self.places[buffer] = view

    def _ref(self, buffer: tile.AllocOp) -> SSAValue:
        """Where what was a buffer of its own lies now."""
        place = self.places.get(buffer, buffer.ref)
        owner = place.owner
        if isinstance(owner, tile.AllocOp) and owner in self.places:
            return self._ref(owner)
        return place

    def drop_stores(self, tensor: DdrTensor) -> None:
        """Leaves out the stores of a tensor that only the compare reads."""
        if not tensor.stores or tensor.loads or tensor.others:
            return
        seen: list[tuple[tile.ObserveOp, SSAValue]] = []
        for observe in tensor.observes:
            view = self._observed(tensor, observe)
            if view is None:
                return
            seen.append((observe, view))
        for observe, view in seen:
            observe.operands[0] = view
        for store in tensor.stores:
            store.detach()
            store.erase()

    def _observed(self, tensor: DdrTensor, observe: tile.ObserveOp) -> SSAValue | None:
        """Where the compare finds in local memory what it finds in DDR, from any word on; None when
        not in one piece."""
        box = tensor.box_of(Ref.of(observe.ref), self.flow.offset[observe.ref], step=4)
        if box is None or len(tensor.stored) != len(tensor.stores):
            return None
        parts = [part for part in tensor.stored if part.box.overlaps(box)]
        whole, local = Ref.of(tensor.buffer.ref), tensor.local(box)
        images = min(whole.shape[0], len(box.groups) * whole.layout.pack)
        like = whole.with_(
            shape=(images, *local.shape[1:]),
            layout=replace(whole.layout, strides=local.layout.strides),
            place=local.place,
        )
        home = self.homes.get(tensor)
        if home is not None and home.kept.issuperset(parts):
            return _view(self._ref(home.buffer), tensor.local_offset(box), like, observe)
        if len(parts) == 1 and parts[0].box == box:
            return _view(self._ref(parts[0].local), 0, like, observe)
        return None


def _view(source: SSAValue, offset: int, like: Ref, before: Operation) -> SSAValue:
    """A memref of the type ``like``, so many bytes into a buffer."""
    if not offset and Ref.of(source) == like:
        return source
    properties = {"offset": int_attr(offset)}
    view = tile.ViewOp.build(
        operands=[source], properties=properties, result_types=[like.type]
    )
    view.location = before.location
    _insert(view, before)
    return view.ref


def _drop_unused(ops: Sequence[Operation]) -> None:
    """Removes views and scratch buffers that nothing uses any more."""
    for op in reversed(ops):
        if isinstance(op, (tile.AllocOp, tile.ViewOp)) and op.ref.first_use is None:
            op.detach()
            op.erase()
