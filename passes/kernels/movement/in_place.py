"""Tensors that lie inside of others, so that no copy is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.ir import Block, Operation, SSAValue

from dialects.quant import movement, types
from dialects.quant.base import QuantOp, Strided
from dialects.quant.windows import ROWS


def is_packed(value: SSAValue) -> bool:
    """True for 8-bit tensors: they lie as 4N."""
    return not types.is_float(value)


def words_shape(value: SSAValue, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape counted in 32-bit words (groups of four images of a 4N tensor)."""
    return (-(-shape[0] // 4) if is_packed(value) else shape[0], *shape[1:])


def part_of(op: Operation) -> int | None:
    """The byte of the operand in DDR from which on its bytes are those of the result, so that no
    copy is needed; None where they are not."""
    if isinstance(op, movement.ReshapeOp):
        same = not is_packed(op.x) or types.shape_of(op.x)[0] == types.shape_of(op.y)[0]
        return 0 if same else None
    if isinstance(op, movement.SliceOp):
        return byte_in(op.x, op.axis.value.data, op.begin.value.data, op.y)
    return None


def byte_in(whole: SSAValue, axis: int, begin: int, part: SSAValue) -> int | None:
    """The byte where a part of a tensor begins, elements ``begin``... along an axis; None where
    they do not lie together, or share words with others."""
    shape = words_shape(whole, types.shape_of(whole))
    if is_packed(whole) and axis == 0:
        end, images = begin + types.shape_of(part)[0], types.shape_of(whole)[0]
        if begin % 4 or (end % 4 and end < images):
            return None
        begin //= 4
    elif prod(shape[:axis]) > 1:
        return None
    return 4 * begin * prod(shape[axis + 1 :])


def first_row(op: Operation) -> int | None:
    """For a slice that needs no copy because those that read it can read rows of its operand: the
    first row."""
    if not isinstance(op, movement.SliceOp) or op.axis.value.data != ROWS or op.top:
        return None
    if len(types.shape_of(op.y)) != 4:
        return None
    if not all(use.operation.has_trait(Strided) for use in op.y.uses):
        return None
    return op.begin.value.data


@dataclass(frozen=True)
class Home:
    """The place of a tensor inside of another: the byte where it begins, or the first of its rows
    of every channel."""

    whole: SSAValue
    byte: int | None = None
    row: int | None = None


def homes_in_concats(block: Block, outputs: set[SSAValue]) -> dict[SSAValue, Home]:
    """Operands of concatenations that can be made in their place. Network inputs and outputs have a
    place of their own, and so has what is made without a copy."""
    homes: dict[SSAValue, Home] = {}
    for op in block.ops:
        if not isinstance(op, movement.ConcatOp):
            continue
        axis, begin = op.axis.value.data, 0
        for x in op.xs:
            home = _home(op, axis, begin, x)
            if home is not None and x not in homes and x not in outputs:
                homes[x] = home
            begin += types.shape_of(x)[axis]
    return homes


def _home(op: movement.ConcatOp, axis: int, begin: int, x: SSAValue) -> Home | None:
    """The place of an operand, if it can be made there."""
    owner = x.owner
    if not isinstance(owner, QuantOp) or part_of(owner) is not None or first_row(owner) is not None:
        return None
    at = byte_in(op.y, axis, begin, x)
    if at is not None:
        return Home(op.y, byte=at)
    able = all(_is_strided(use.operation, movement.ConcatOp) for use in x.uses)
    able = able and _is_strided(owner, movement.SliceOp) and len(types.shape_of(x)) == 4
    if axis == ROWS and able and not owner.top:
        return Home(op.y, row=begin)
    return None


def _is_strided(op: Operation, mover: type[QuantOp]) -> bool:
    """Whether an op, or one that is a copy of rows at most, reads and writes rows as they lie."""
    return op.has_trait(Strided) or isinstance(op, mover)
