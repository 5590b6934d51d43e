"""Records that put numbers elsewhere."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.bm1684.record.base import Array, Call, Record, RecordOp, Shape, Source, needs
from dialects.c_struct import INT, U8, U32, U64, CStruct, Values, bytes_of, ints

COPY, INFER = 0, -1
"""Entries of a new shape: the extent of the operand at that place, and what the others leave."""


@irdl_op_definition
class ReshapeOp(RecordOp):
    """The same numbers under another shape: of every extent a number, COPY, or (once) INFER."""

    name = "record.reshape"
    RECORD: ClassVar = Record(
        number=18,
        struct=CStruct(
            rank=U8, shape=ints(8), batch=INT, channels=INT, input_id=U32, scratch=U64
        ).with_defaults(),
    )

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        (x,), entries = xs, list(v["shape"][: v["rank"]])
        needs(0 < v["rank"] <= 8, f"a shape of {v['rank']} extents")
        for axis, entry in enumerate(entries):
            if entry == COPY:
                needs(axis < len(x), f"{x} has no extent {axis} to copy")
                entries[axis] = x[axis]
        if INFER in entries:
            rest = prod(entry for entry in entries if entry != INFER)
            needs(rest > 0 and prod(x) % rest == 0, f"{x} does not fit the shape {entries}")
            entries[entries.index(INFER)] = prod(x) // rest
        needs(prod(entries) == prod(x) and min(entries) > 0, f"{x} does not fit {entries}")
        return [tuple(entries)]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        (shape,) = cls.shapes(call.values, (), call.shapes)
        return [call.xs[0].reshape(shape)]


@irdl_op_definition
class TransposeOp(RecordOp):
    """Dimensions reordered: that of the result is the operand's ``order[i]``. Entries of ``order``
    beyond the rank are 1."""

    name = "record.transpose"
    RECORD: ClassVar = Record(
        number=49,
        struct=CStruct(order=bytes_of(8), scratch=U64, unused_16=U8).with_defaults(),
    )

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        order = v["order"][: len(xs[0])]
        needs(sorted(order) == [*range(len(xs[0]))], f"{order} is no order of {xs[0]}")
        return [tuple(xs[0][axis] for axis in order)]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        x = call.xs[0]
        return [np.ascontiguousarray(x.transpose(call.values["order"][: x.ndim]))]


@irdl_op_definition
class ConcatOp(RecordOp):
    """Tensors one after the other along ``axis``. ``extra`` has the largest extent of each along
    it, which is not looked at."""

    name = "record.concat"
    RECORD: ClassVar = Record(
        number=7,
        struct=CStruct(count=U8, rank=U8, axis=U8, shape=ints(8)).with_defaults(),
    )

    @classmethod
    def sources(cls, v: Values, extra: Sequence[int]) -> list[Source]:
        return [Source(f"x{i}") for i in range(v["count"])]

    @classmethod
    def extra_bytes(cls, extra: Sequence[int], sources: Sequence[Source]) -> bytes:
        return struct.pack("<I", 8 * len(extra)) + b"".join(
            struct.pack("<BBxxI", source.is_coefficient, 0, size)
            for source, size in zip(sources, extra, strict=True)
        )

    @classmethod
    def read_extra(cls, v: Values, words: Callable[[int], Sequence[int]]) -> tuple[int, ...]:
        (length,) = words(1)
        needs(length & 0xFFFFFF == 8 * v["count"], f"{length} bytes for {v['count']} operands")
        pairs = words(2 * v["count"])
        needs(not any(word & 0xFF for word in pairs[::2]), "an operand is a coefficient")
        return tuple(pairs[1::2])

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        axis = v["axis"]
        needs(all(len(x) == v["rank"] > axis for x in xs), f"{xs} do not have rank {v['rank']}")
        rests = {(*x[:axis], *x[axis + 1 :]) for x in xs}
        needs(len(rests) == 1, f"{xs} differ beside axis {axis}")
        return [(*xs[0][:axis], sum(x[axis] for x in xs), *xs[0][axis + 1 :])]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        return [np.concatenate(call.xs, call.values["axis"])]


@irdl_op_definition
class SliceOp(RecordOp):
    """From ``begin`` to ``end`` in steps of ``step``, along each axis. Bit d of ``from_start`` or
    ``to_end`` says that axis d is taken from its first number, or to its last."""

    name = "record.slice"
    RECORD: ClassVar = Record(
        number=51,
        struct=CStruct(
            from_start=INT, to_end=INT, begin=ints(8), end=ints(8), step=ints(8), rank=INT,
            unused_108=ints(3), unused_120=U64, scratch=U64, unused_136=U8,
        ).with_defaults(step=(1,) * 8),
    )  # fmt: skip

    @classmethod
    def _slices(cls, v: Values, x: Shape) -> tuple[slice, ...]:
        needs(len(x) == v["rank"] <= 8, f"{x} does not have rank {v['rank']}")
        found: list[slice] = []
        for axis, size in enumerate(x):
            begin = 0 if v["from_start"] >> axis & 1 else v["begin"][axis]
            end = size if v["to_end"] >> axis & 1 else v["end"][axis]
            needs(0 <= begin < end <= size and v["step"][axis] > 0,
                  f"{begin} to {end} is outside axis {axis} of {x}")
            found.append(slice(begin, end, v["step"][axis]))
        return tuple(found)

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        return [tuple(len(range(s.start, s.stop, s.step)) for s in cls._slices(v, xs[0]))]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        x = call.xs[0]
        return [np.ascontiguousarray(x[cls._slices(call.values, x.shape)])]


MOVEMENT_OPS: list[type[RecordOp]] = [ReshapeOp, TransposeOp, ConcatOp, SliceOp]
