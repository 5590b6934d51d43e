"""tile-keep-local: tensors that the next layers read stay in local memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, Space, local_bytes
from dialects.quant.base import int_attr
from passes.base import NpuFunctionPass
from passes.memory.allocation import Lifetime, Trial, lifetimes
from passes.memory.residence import DdrTensor, Flow, PartTransfer


@dataclass(frozen=True, eq=False)
class _Shortcut:
    """A load that may be left out: after the stores ``kept`` the home holds what it would load."""

    load: PartTransfer
    kept: Sequence[PartTransfer]
    home: _Home


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
    for tensor in flow.tensors.values():
        loads = list(flow.loaded(tensor))
        if loads:
            home = _home_of(tensor)
            found += [_Shortcut(load, kept, home) for load, kept in loads]
    return found


def _home_of(tensor: DdrTensor) -> _Home:
    for part in tensor.stored:
        if part.box == tensor.whole:
            return _Home(tensor, part.local)
    ref = tensor.local(tensor.whole)
    size = int_attr(local_bytes(ref.shape, ref.layout))
    buffer = tile.AllocOp.build(properties={"bytes": size}, result_types=[ref.type])
    buffer.location = tensor.buffer.location
    return _Home(tensor, buffer)


def choose(
    spans: Sequence[Lifetime], shortcuts: Sequence[_Shortcut], limit: int
) -> list[_Shortcut]:
    """As many shortcuts as fit so many bytes of each lane.

    Starts with all; while the buffers do not fit, the one that keeps its buffer longest across the
    place where they do not is given up.
    """
    chosen = list(shortcuts)
    last = {s.buffer: s.last for s in spans}
    trial, unchanged = Trial(limit), 0
    while True:
        merged = _merge(spans, chosen)
        failed = trial.overflow(merged, unchanged)
        if failed is None:
            return chosen
        span = {s.buffer: s for s in merged}
        homes = {s: span[s.home.buffer] for s in chosen}
        across = [s for s, home in homes.items() if home.first <= failed.first <= home.last]
        if not across:  # the tiles alone take more
            if limit == BM1684.lane_bytes:
                return chosen
            limit = BM1684.lane_bytes
            trial, unchanged = Trial(limit), 0
            continue
        gone = max(across, key=lambda s: last[s.load.local] - homes[s].first)
        chosen.remove(gone)
        unchanged = bisect_left(merged, homes[gone].first, key=lambda s: s.first)


def _merge(spans: Sequence[Lifetime], chosen: Sequence[_Shortcut]) -> list[Lifetime]:
    """The lifetimes when every chosen buffer is a part of its home."""
    homes = {p.local: s.home.buffer for s in chosen for p in (s.load, *s.kept)}
    merged: dict[tile.AllocOp, Lifetime] = {}
    for span in spans:
        buffer = homes.get(span.buffer, span.buffer)
        old = merged.get(buffer)
        if buffer is span.buffer and old is None:
            merged[buffer] = span
            continue
        first, last, end_by = span.first, span.last, span.end_by
        if old is not None:
            first, last = min(first, old.first), max(last, old.last)
            end_by = min(end_by, old.end_by)
        merged[buffer] = replace(span, buffer=buffer, first=first, last=last, end_by=end_by)
    return sorted(merged.values(), key=lambda s: s.first)


@dataclass(frozen=True)
class TileKeepLocalPass(NpuFunctionPass):
    """Removes loads of tensors that still lie in local memory, and stores that nobody reads then.

    Before: every tensor is stored to DDR and loaded again. After: tensors that are stored from,
    and loaded to, buffers of the engine's own layout stay in local memory as far as it reaches;
    so do concatenations and slices along channels whose parts begin in the lanes where they are of
    the whole. Moves between lanes that served this stay only where it came so. What only the
    compare reads is observed there and not stored. ``reserve`` bytes of each lane are left to
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
        homes = {s.home.tensor: s.home for s in chosen}
        loads: dict[_Home, list[PartTransfer]] = {home: [] for home in homes.values()}
        for shortcut in chosen:
            shortcut.home.kept.update(shortcut.kept)
            loads[shortcut.home].append(shortcut.load)
        for home, left_out in loads.items():
            _move_in(flow, home, left_out)
        for tensor in flow.tensors.values():
            if isinstance(tensor.buffer, tile.AllocOp):
                _drop_stores(flow, tensor, homes.get(tensor))
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


def _move_in(flow: Flow, home: _Home, loads: Sequence[PartTransfer]) -> None:
    """What was stored from and loaded to buffers of their own lies in the home."""
    if home.buffer.parent is None:
        first = min((p.local for p in home.kept), key=lambda buffer: flow.position[buffer])
        _insert(home.buffer, first)
    for part in loads:
        assert isinstance(part.transfer, tile.LoadOp)
        home.tensor.loads.remove(part.transfer)
        part.transfer.detach()
        part.transfer.erase()
    for part in (*home.kept, *loads):
        if part.local is not home.buffer:
            offset = home.tensor.local_offset(part.box)
            view = _view(home.buffer.ref, offset, Ref.of(part.local.ref), part.local)
            part.local.ref.replace_all_uses_with(view)


def _drop_stores(flow: Flow, tensor: DdrTensor, home: _Home | None) -> None:
    """Leaves out the stores of a tensor that only the compare reads."""
    if not tensor.stores or tensor.loads or tensor.others:
        return
    seen: list[tuple[tile.ObserveOp, SSAValue]] = []
    for observe in tensor.observes:
        view = _observed(flow, tensor, home, observe)
        if view is None:
            return
        seen.append((observe, view))
    for observe, view in seen:
        observe.operands[0] = view
    for store in tensor.stores:
        store.detach()
        store.erase()


def _observed(
    flow: Flow, tensor: DdrTensor, home: _Home | None, observe: tile.ObserveOp
) -> SSAValue | None:
    """Where the compare finds in local memory what it finds in DDR, from any word on; None when not
    in one piece."""
    box = tensor.box_of(Ref.of(observe.ref), flow.offset[observe.ref], step=4)
    if box is None or len(tensor.stored) != len(tensor.stores):
        return None
    parts = [part for part in tensor.stored if part.box.overlaps(box)]
    whole, local = Ref.of(tensor.buffer.ref), tensor.local(box)
    like = whole.with_(
        shape=(whole.shape[0], *local.shape[1:]),
        layout=replace(whole.layout, strides=local.layout.strides),
        place=local.place,
    )
    if home is not None and home.kept.issuperset(parts):
        return _view(home.buffer.ref, tensor.local_offset(box), like, observe)
    if len(parts) == 1 and parts[0].box == box:
        return _view(parts[0].local.ref, 0, like, observe)
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
