"""quant-merge-transposes: transpositions that follow each other become one, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, SSAValue

from dialects.quant import types
from dialects.quant.base import QuantOp, i64s, int_attr, ints
from dialects.quant.movement import ReshapeOp, SliceOp, TransposeOp
from passes.base import NpuFunctionPass
from passes.channels.moved import Moved, NoViewError, Shape
from passes.channels.rows import FUNCTIONS
from passes.module.inserting import inserted


def _slice_before(op: TransposeOp) -> None:
    """Slices what a transposition reads in place of its result, where only slices read that and
    none is a copy then."""
    readers = [use.operation for use in op.y.uses]
    order, given = ints(op.order), types.shape_of(op.x)
    for each in readers:
        if not isinstance(each, SliceOp) or prod(given[: order[each.axis.value.data]]) > 1:
            return
    for each in readers:
        assert isinstance(each, SliceOp)
        axis = order[each.axis.value.data]
        shape = list(types.shape_of(op.x))
        shape[axis] = types.shape_of(each.y)[each.axis.value.data]
        part = inserted(
            each, SliceOp, [op.x], types.like(op.x, shape), "part",
            axis=int_attr(axis), begin=each.begin,
        )  # fmt: skip
        _Merging(each, part, Moved.of(tuple(shape))).end(each, order)
        each.detach()
        each.erase()
    op.detach()
    op.erase()


def _path(op: TransposeOp) -> list[QuantOp]:
    """The ops from the first transposition to this last one: what lies between are views, slices,
    and functions whose results nothing else reads; empty where there is no other transposition."""
    path: list[QuantOp] = [op]
    first = 0
    shared = False
    while isinstance(made := path[-1].operands[0].owner, QuantOp):
        shared |= not made.results[0].has_one_use()
        moves = isinstance(made, (ReshapeOp, SliceOp, TransposeOp))
        if made.attributes or not (moves or (isinstance(made, FUNCTIONS) and not shared)):
            break
        path.append(made)
        if isinstance(made, TransposeOp):
            first = len(path)
    return path[:first][::-1]


def _after(moved: Moved, op: QuantOp) -> Moved:
    """What an op of a path makes of a tensor. Raises NoViewError."""
    if isinstance(op, TransposeOp):
        return moved.transposed(ints(op.order))
    if isinstance(op, ReshapeOp):
        return moved.reshaped(types.shape_of(op.y))
    if isinstance(op, SliceOp):
        axis = op.axis.value.data
        extent = types.shape_of(op.y)[axis]
        if extent < types.shape_of(op.x)[axis]:
            return moved.sliced(axis, extent)
    return moved


@dataclass
class _Merging:
    """Ops of a path as they are on the tensor before the first transposition: ``value`` so far,
    and how the tensor of the path comes of it."""

    before: QuantOp
    value: SSAValue
    moved: Moved

    @property
    def batch(self) -> int:
        return types.shape_of(self.value)[0]

    def viewed(self, sizes: Shape, op: QuantOp, step: str) -> int:
        """Reads the value as these dimensions, behind one of size 1 where it has one image, as
        8-bit images share words; how many there are in front."""
        front = int(self.batch == 1)
        shape = (1,) * front + sizes
        if types.shape_of(self.value) != shape:
            kind = types.like(self.value, shape)
            self.value = inserted(self.before, ReshapeOp, [self.value], kind, f"{op.top}/{step}")
        return front

    def add(self, op: QuantOp) -> None:
        """The next op of the path, but for its last one."""
        before, self.moved = self.moved, _after(self.moved, op)
        if isinstance(op, SliceOp) and self.moved != before:
            at = self.viewed(before.sizes, op, "view")
            shape = list(types.shape_of(self.value))
            shape[at] = types.shape_of(op.y)[op.axis.value.data]
            self._made(op, types.like(self.value, shape), axis=int_attr(at), begin=op.begin)
        elif isinstance(op, FUNCTIONS):
            kind = types.like(op.results[0], types.shape_of(self.value))
            self._made(op, kind, **{k: v for k, v in op.properties.items() if k != "tops"})

    def _made(self, op: QuantOp, kind: Attribute, **properties: Attribute) -> None:
        self.value = inserted(
            self.before, type(op), [self.value], kind, f"{op.top}/moved", **properties
        )

    def end(self, op: QuantOp, order: Sequence[int]) -> None:
        """Puts the one transposition, ``order`` at the end, or a view in the place of an op."""
        (result,) = op.results
        moved, shape = self.moved.transposed(order), types.shape_of(result)
        alone = {*moved.groups[0]} if shape[0] > 1 else set[int]()
        if self.batch > 1:
            alone.add(0)
        sizes, order = moved.merged(alone)
        if list(order) != sorted(order):
            front = self.viewed(sizes, op, "rows")
            order = tuple(i + front for i in order)
            if front:  # that of size 1 stays in front, if the result has one image, too
                order = (order[0], 0, *order[1:]) if shape[0] > 1 else (0, *order)
            given = types.shape_of(self.value)
            kind = types.like(self.value, [given[i] for i in order])
            same = shape == types.shape_of(kind)
            self.value = inserted(
                op, TransposeOp, [self.value], kind, "" if same else "merged", order=i64s(order)
            )
            if same:
                result.replace_all_uses_with(self.value)
                return
        result.replace_all_uses_with(inserted(op, ReshapeOp, [self.value], result.type, ""))


def _merge_path(path: Sequence[QuantOp]) -> None:
    """Does at once what the transpositions of a path do, on what the first one reads, if that can
    be."""
    first, *between, last = path
    assert isinstance(first, TransposeOp)
    assert isinstance(last, TransposeOp)
    moved = Moved.of(types.shape_of(first.x)).transposed(ints(first.order))
    shared = not all(op.results[0].has_one_use() for op in path[:-1])
    if not _pays(moved, [*between, last], types.shape_of(first.x)[0], shared):
        return
    merging = _Merging(last, first.x, moved)
    for op in between:
        merging.add(op)
    merging.end(last, ints(last.order))
    _drop_unread(path)


def _pays(moved: Moved, rest: Sequence[QuantOp], images: int, shared: bool) -> bool:
    """Whether the rest of a path can be computed on what the first transposition reads, and leaves
    no more to do: 8-bit images share words, so that they are to stay what they are; where the
    first one stays, as others read it, what comes of it has to be a view."""
    try:
        for op in rest:
            moved = _after(moved, op)
    except NoViewError:
        return False
    whole = images == 1 or moved.sizes[:1] == (images,)
    if not whole or len(moved.groups[0]) > 1:
        return False
    return not shared or moved.order == sorted(moved.order)


def _drop_unread(path: Sequence[QuantOp]) -> None:
    """Removes the ops of a path, from its end on, that nothing reads any more."""
    for op in reversed(path):
        if op.results[0].first_use is None:
            op.detach()
            op.erase()


def _merge(op: TransposeOp) -> None:
    """Does at once what an op and all transpositions right before it do; those stay that others
    read."""
    chain = [op]
    while isinstance(before := chain[-1].x.owner, TransposeOp):
        chain.append(before)
    x, order = chain[-1].x, tuple(range(len(ints(op.order))))
    for each in reversed(chain):
        order = tuple(order[i] for i in ints(each.order))
    if _keeps_numbers(types.shape_of(x), order):
        made = inserted(op, ReshapeOp, [x], op.y.type, "")
    elif len(chain) > 1:
        made = inserted(op, TransposeOp, [x], op.y.type, "", order=i64s(order))
    else:
        return
    op.y.replace_all_uses_with(made)
    _drop_unread(chain[::-1])


def _keeps_numbers(shape: Sequence[int], order: Sequence[int]) -> bool:
    """Whether all numbers stay in their order: only dimensions of size 1 move."""
    longer = [i for i in order if shape[i] > 1]
    return longer == sorted(longer)


def _transposes(function: FuncOp) -> list[TransposeOp]:
    return [op for op in function.body.block.ops if isinstance(op, TransposeOp)]


@dataclass(frozen=True)
class QuantMergeTransposesPass(NpuFunctionPass):
    """Makes one transposition of several that follow each other, and a reshape, which copies
    nothing, of one that moves no number.

    Before: ``transpose`` of a ``transpose``, as exporters write an assignment to a slice of a
    tensor. After: one ``transpose`` named after the last, or a ``reshape``. One that others read
    as well stays. Between them may be reshapes, slices, and functions of each number: these are
    computed on what the first one reads, as between the matrices of an attention, which lie as
    images. Slices of a transposed tensor are taken before.
    """

    name = "quant-merge-transposes"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        for op in reversed(_transposes(function)):
            if op.parent is not None:
                _merge(op)
        _merge_paths(function)
        for op in _transposes(function):
            _slice_before(op)
        _merge_paths(function)


def _merge_paths(function: FuncOp) -> None:
    for op in reversed(_transposes(function)):
        if op.parent is not None and (path := _path(op)):
            _merge_path(path)
