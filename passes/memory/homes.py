"""Homes: the buffers in local memory of tensors, or parts of them, that stay there."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref
from dialects.quant.base import int_attr, ints
from passes.memory.allocation import Trial
from passes.memory.lifetimes import Lifetime
from passes.memory.residence import Box, Change, DdrTensor, Flow, PartTransfer


@dataclass(frozen=True, eq=False)
class Shortcut:
    """Loads of a tensor that may be left out: after the stores ``kept`` a buffer holds what they
    would load. With ``change`` they are all loads of what another tensor is made of in its place,
    which stays there, too."""

    tensor: DdrTensor
    loads: Sequence[PartTransfer]
    kept: Sequence[PartTransfer]
    change: Change | None = None


@dataclass(frozen=True, eq=False)
class Home:
    """The buffer that holds a part of a tensor in local memory, in place of those that were stored
    and loaded: one that was stored, where it is all of the part, or a new one."""

    tensor: DdrTensor
    box: Box
    buffer: tile.AllocOp


def shortcuts_of(flow: Flow) -> list[Shortcut]:
    """All loads that may be left out."""
    found: list[Shortcut] = []
    for tensor in flow.tensors.values():
        found += [Shortcut(tensor, [load], kept) for load, kept in flow.loaded(tensor)]
        for change in flow.changes(tensor):
            found.append(Shortcut(tensor, change.loads, change.kept, change))
    return found


def can_be_cut(observe: tile.ObserveOp, box: Box, parts: Sequence[PartTransfer]) -> bool:
    """Whether the compare can put a tensor together from these parts of it. Rows of strips do not
    follow each other in the image."""
    cuts = [box.within(part.box) for part in parts]
    channels = all(cut.channels == box.channels for cut in cuts)
    rows = all((cut.groups, cut.rows) == (box.groups, box.rows) for cut in cuts)
    plain = ints(observe.shape) == Ref.of(observe.ref).shape and (observe.height is None or rows)
    ordered = observe.channels is None or channels
    return plain and ordered and box.is_covered([part.box for part in parts])


class Homes:
    """The homes of shortcuts. Parts that one load needs together have one; so have those that are
    there at the same time for most of it, as they leave fewer gaps together, all parts of a tensor
    that the compare can only read as a whole, and all of one that is changed in its place."""

    def __init__(self, flow: Flow, spans: Sequence[Lifetime]) -> None:
        self.own = {span.buffer: span for span in spans}
        self._flow = flow
        self._together: dict[DdrTensor, bool] = {}
        self._made: dict[tuple[DdrTensor, Box, frozenset[PartTransfer]], Home] = {}

    def of(self, chosen: Sequence[Shortcut]) -> dict[PartTransfer, Home]:
        """The home of each stored part that stays."""
        of_tensor: dict[DdrTensor, list[Shortcut]] = {}
        changed = set[DdrTensor]()
        for shortcut in chosen:
            of_tensor.setdefault(shortcut.tensor, []).append(shortcut)
            if shortcut.change is not None:
                changed |= {shortcut.tensor, shortcut.change.result}
        found: dict[PartTransfer, Home] = {}
        for tensor, shortcuts in of_tensor.items():
            whole = tensor in changed or self._is_together(tensor)
            for parts in [_kept(shortcuts)] if whole else self._groups(shortcuts):
                box = tensor.whole if whole else Box.around([part.box for part in parts])
                found.update(dict.fromkeys(parts, self._home(tensor, box, parts)))
        return found

    def end(self, shortcut: Shortcut) -> int:
        """Up to where a tensor must be there for the loads of a shortcut."""
        if shortcut.change is not None:
            return shortcut.change.position
        return max(self.own[load.local].last for load in shortcut.loads)

    def held(self, shortcut: Shortcut) -> tuple[int, int]:
        """From where to where what a shortcut needs is in local memory."""
        kept = [self.own[part.local] for part in shortcut.kept]
        end = max(self.end(shortcut), *(span.last for span in kept))
        return min(span.first for span in kept), end

    def price(self, shortcut: Shortcut) -> float:
        """Bytes of each lane that are kept for a shortcut, times how long, for each that it saves.
        """
        kept, saved = (
            sum(part.local.bytes.value.data for part in parts)
            for parts in (shortcut.kept, shortcut.loads)
        )
        begin, _ = self.held(shortcut)
        return kept * (self.end(shortcut) - begin) / saved

    def _groups(self, shortcuts: Sequence[Shortcut]) -> Iterable[Sequence[PartTransfer]]:
        """The parts of a tensor that have one home."""
        groups: list[_Group] = []
        for shortcut in shortcuts:
            new = _Group(dict.fromkeys(shortcut.kept), *self.held(shortcut))
            for old in [group for group in groups if group.parts.keys() & new.parts.keys()]:
                groups.remove(old)
                new = old.joined(new)
            groups.append(new)
        found: list[_Group] = []
        for group in sorted(groups, key=lambda each: each.first):
            if found and found[-1].is_together(group):
                group = found.pop().joined(group)
            found.append(group)
        return (list(group.parts) for group in found)

    def _is_together(self, tensor: DdrTensor) -> bool:
        """Whether the parts of a tensor have one home for the sake of the compare."""
        if tensor not in self._together:
            boxes = [(each, self._flow.observed(tensor, each)) for each in tensor.observes]
            self._together[tensor] = not all(
                box is None or can_be_cut(observe, box, _overlapping(tensor, box))
                for observe, box in boxes
            )
        return self._together[tensor]

    def _home(self, tensor: DdrTensor, box: Box, parts: Sequence[PartTransfer]) -> Home:
        key = tensor, box, frozenset(parts)
        if key not in self._made:
            self._made[key] = _home_of(tensor, box, parts)
        return self._made[key]


def _overlapping(tensor: DdrTensor, box: Box) -> list[PartTransfer]:
    return [part for part in tensor.stored if part.box.overlaps(box)]


def _kept(shortcuts: Sequence[Shortcut]) -> list[PartTransfer]:
    return list(dict.fromkeys(part for shortcut in shortcuts for part in shortcut.kept))


@dataclass(frozen=True)
class _Group:
    """Parts of a tensor, and from where to where they are in local memory."""

    parts: dict[PartTransfer, None]
    first: int
    last: int

    def joined(self, other: _Group) -> _Group:
        first, last = min(self.first, other.first), max(self.last, other.last)
        return _Group(self.parts | other.parts, first, last)

    def is_together(self, later: _Group) -> bool:
        """Whether both are there for half of the time of the one that is there for less."""
        both = min(self.last, later.last) - later.first
        return 2 * both >= min(self.last - self.first, later.last - later.first)


def _home_of(tensor: DdrTensor, box: Box, parts: Sequence[PartTransfer]) -> Home:
    for part in parts:
        if part.box == box:
            return Home(tensor, box, part.local)
    ref = tensor.local(box)
    size = int_attr(tensor.bytes_of(box))
    buffer = tile.AllocOp.build(properties={"bytes": size}, result_types=[ref.type])
    buffer.location = tensor.buffer.location
    return Home(tensor, box, buffer)


def choose(
    spans: Sequence[Lifetime], shortcuts: Sequence[Shortcut], all_homes: Homes, limit: int
) -> list[Shortcut]:
    """As many shortcuts as fit so many bytes of each lane.

    Starts with all; while the buffers do not fit, the one is given up, of those across the place
    where they do not, that keeps most for longest to save a byte.
    """
    chosen = list(shortcuts)
    trial, unchanged = Trial(limit), 0
    while True:
        homes = all_homes.of(chosen)
        into = _into(chosen, homes)
        merged = _merge(spans, into)
        failed = trial.overflow(merged, unchanged)
        if failed is None:
            return chosen
        held = _held(chosen, homes, all_homes)
        across = [s for s in chosen if _is_across(held[homes[s.kept[0]]], failed.first)]
        if not across:  # the tiles alone take more
            if limit == BM1684.lane_bytes:
                return chosen
            limit = BM1684.lane_bytes
            trial, unchanged = Trial(limit), 0
            continue
        gone = max(across, key=all_homes.price)
        chosen.remove(gone)
        buffer = into[homes[gone.kept[0]].buffer]
        begin = next(span.first for span in merged if span.buffer is buffer)
        unchanged = bisect_left(merged, begin, key=_first)


def _is_across(held: tuple[int, int], position: int) -> bool:
    return held[0] <= position <= held[1]


def _held(
    chosen: Sequence[Shortcut], homes: Mapping[PartTransfer, Home], all_homes: Homes
) -> dict[Home, tuple[int, int]]:
    """From where to where each part of a tensor is in local memory."""
    found: dict[Home, tuple[int, int]] = {}
    for shortcut in chosen:
        home, (begin, end) = homes[shortcut.kept[0]], all_homes.held(shortcut)
        old = found.get(home, (begin, end))
        found[home] = min(old[0], begin), max(old[1], end)
    return found


def _into(
    chosen: Sequence[Shortcut], homes: Mapping[PartTransfer, Home]
) -> dict[tile.AllocOp, tile.AllocOp]:
    """The buffer that each one is a part of in the end."""
    into: dict[tile.AllocOp, tile.AllocOp] = {}
    results = {home.tensor: home.buffer for home in homes.values()}
    for shortcut in chosen:
        home = homes[shortcut.kept[0]].buffer
        if shortcut.change is not None:
            if shortcut.change.result in results:
                into[results[shortcut.change.result]] = home
            into.update({part.local: home for part in shortcut.loads})
    for shortcut in chosen:
        home = homes[shortcut.kept[0]].buffer
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
