"""tile-keep-local: tensors that the next layers read stay in local memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, Space
from dialects.quant.base import i64s, int_attr, ints
from passes.base import NpuFunctionPass
from passes.memory.homes import Home, Homes, Shortcut, can_be_cut, choose, shortcuts_of
from passes.memory.lifetimes import lifetimes
from passes.memory.residence import Box, Change, DdrTensor, Flow, PartTransfer


def _insert(op: Operation, before: Operation) -> None:
    block = before.parent_block()
    assert block is not None
    block.insert_op_before(op, before)


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
        spans = lifetimes(block, [Space.LMEM])
        homes = Homes(flow, spans)
        chosen = choose(spans, shortcuts_of(flow), homes, limit)
        moves = _Moves(flow, chosen, homes.of(chosen))
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
    chosen: Sequence[Shortcut]
    homes: Mapping[PartTransfer, Home]
    places: dict[tile.AllocOp, SSAValue] = field(default_factory=dict[tile.AllocOp, SSAValue])

    def run(self) -> None:
        """Leaves out the loads. What is made in the place of another tensor is put together before
        that one is."""
        loads: dict[Home, list[PartTransfer]] = {}
        kept: dict[Home, list[PartTransfer]] = {}
        changes: dict[Home, Change] = {}
        results = {home.tensor: home for home in self.homes.values()}
        for part, home in self.homes.items():
            kept.setdefault(home, []).append(part)
        for shortcut in self.chosen:
            home = self.homes[shortcut.kept[0]]
            loads.setdefault(home, []).extend(shortcut.loads)
            if shortcut.change is not None:
                changes[home] = shortcut.change
        position = self.flow.position
        first = {home: min((p.local for p in kept[home]), key=position.__getitem__)
                 for home in loads}  # fmt: skip
        for home in sorted(loads, key=lambda home: position[first[home]], reverse=True):
            if home.buffer.parent is None:
                _insert(home.buffer, first[home])
            for part in loads[home]:
                assert isinstance(part.transfer, tile.LoadOp)
                home.tensor.loads.remove(part.transfer)
                part.transfer.detach()
                part.transfer.erase()
            for part in (*kept[home], *loads[home]):
                offset = home.tensor.local_offset(part.box, home.box)
                self._place(part.local, home, offset, part.apart)
            if home in changes and changes[home].result in results:
                self._place(results[changes[home].result].buffer, home, changes[home].offset)

    def _place(
        self, buffer: tile.AllocOp, home: Home, offset: int, apart: bool = False
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
        if tensor.observes and len(tensor.stored) != len(tensor.stores):
            return
        found = [self._seen_in(tensor, observe) for observe in tensor.observes]
        pieces = [each for each in found if each is not None]
        if len(pieces) < len(found):
            return
        for observe, parts in zip(tensor.observes, pieces, strict=True):
            self._observe(tensor, observe, parts)
        for store in tensor.stores:
            store.detach()
            store.erase()

    def _seen_in(self, tensor: DdrTensor, observe: tile.ObserveOp) -> list[PartTransfer] | None:
        """The stored parts in which the compare finds what it finds in DDR; None where it can't."""
        box = self.flow.observed(tensor, observe)
        if box is None:
            return None
        parts = [part for part in tensor.stored if part.box.overlaps(box)]
        together = len({self._place_of(part)[0] for part in parts}) == 1
        return parts if together or can_be_cut(observe, box, parts) else None

    def _place_of(self, part: PartTransfer) -> tuple[tile.AllocOp, Box]:
        """The buffer that holds a part, and what of the tensor it holds."""
        home = self.homes.get(part)
        return (part.local, part.box) if home is None else (home.buffer, home.box)

    def _observe(
        self, tensor: DdrTensor, observe: tile.ObserveOp, parts: Sequence[PartTransfer]
    ) -> None:
        """Marks what the compare finds in DDR where it lies in local memory: in one buffer, where
        it stays there, or else part by part, behind the command that makes it."""
        box = self.flow.observed(tensor, observe)
        assert box is not None
        places = {self._place_of(part) for part in parts}
        if len(places) == 1:
            observe.operands[0] = self._seen(tensor, box, *places.pop(), observe)
            return
        for part in parts:
            cut = box.within(part.box)
            ref = self._seen(tensor, cut, *self._place_of(part), part.transfer)
            _insert(observed_part(observe, tensor, box, cut, ref), part.transfer)
        observe.detach()
        observe.erase()

    def _seen(
        self, tensor: DdrTensor, box: Box, buffer: tile.AllocOp, held: Box, before: Operation
    ) -> SSAValue:
        """A part of a tensor in the buffer that holds it, from any word on."""
        whole, local = Ref.of(tensor.buffer.ref), tensor.local(box)
        images = min(whole.shape[0], len(box.groups) * whole.layout.pack)
        strides = tensor.local(held).layout.strides
        like = whole.with_(
            shape=(images, *local.shape[1:]),
            layout=replace(whole.layout, strides=strides),
            place=local.place,
        )
        return _view(self._ref(buffer), tensor.local_offset(box, held), like, before)


def observed_part(
    observe: tile.ObserveOp, tensor: DdrTensor, box: Box, cut: Box, ref: SSAValue
) -> tile.ObserveOp:
    """The mark of a part of what another one marks."""
    shape, flat = list(ints(observe.shape)), () if observe.part is None else ints(observe.part)
    cuts = dict(zip(flat[::3], zip(flat[1::3], flat[2::3], strict=True), strict=True))
    pack = Ref.of(tensor.buffer.ref).layout.pack
    for axis, (whole, part) in enumerate(zip(box.axes, cut.axes, strict=True)):
        if part != whole:
            first, total = cuts.get(axis, (0, shape[axis]))
            unit = pack if axis == 0 else 1
            skipped = unit * (part.begin - whole.begin)
            cuts[axis] = first + skipped, total
            shape[axis] = min(unit * len(part), shape[axis] - skipped)
    properties = dict(observe.properties) | {"shape": i64s(shape)}
    if cuts:
        properties["part"] = i64s([n for axis, ends in cuts.items() for n in (axis, *ends)])
    new = tile.ObserveOp.build(operands=[ref], properties=properties)
    new.location = observe.location
    return new


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
