"""Records that put numbers elsewhere."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.bm1684.record.base import (
    Array,
    Call,
    Record,
    RecordOp,
    Shape,
    Source,
    needs,
    operand_room,
    result_room,
)
from dialects.c_struct import FLOAT, INT, U8, U32, U64, CStruct, Values, bytes_of, ints

COPY, INFER = 0, -1
"""Entries of a new shape: the extent of the operand at that place, and what the others leave."""


def operand_room_of_batch(xs: Sequence[Shape], ys: Sequence[Shape], is_float: bool) -> int:
    """Scratch memory of the size of the operand, where the batch of 8-bit numbers changes."""
    return 0 if is_float or xs[0][0] == ys[0][0] else operand_room(xs, ys, is_float)


def result_room_of_batch(xs: Sequence[Shape], ys: Sequence[Shape], is_float: bool) -> int:
    """Scratch memory of the size of the result, where the batch of 8-bit numbers changes."""
    return 0 if is_float or xs[0][0] == ys[0][0] else result_room(xs, ys, is_float)


@irdl_op_definition
class ReshapeOp(RecordOp):
    """The same numbers under another shape: of every extent a number, COPY, or (once) INFER.

    8-bit numbers need scratch memory where the batch changes.
    """

    name = "record.reshape"
    RECORD: ClassVar = Record(
        number=18,
        struct=CStruct(
            rank=U8, shape=ints(8), batch=INT, channels=INT, input_id=U32, scratch=U64
        ).with_defaults(input_id=0xFFFFFFFF),
        scratch={"scratch": operand_room_of_batch},
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
        scratch={"scratch": operand_room},
    )

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        order = list[int](v["order"][: len(xs[0])])
        needs(sorted(order) == [*range(len(xs[0]))], f"{order} is no order of {xs[0]}")
        return [tuple(xs[0][axis] for axis in order)]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        x = call.xs[0]
        order = list[int](call.values["order"][: x.ndim])
        return [np.ascontiguousarray(x.transpose(order))]


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
        axis, rank = int(v["axis"]), int(v["rank"])
        needs(all(len(x) == rank > axis for x in xs), f"{xs} do not have rank {rank}")
        rests = {(*x[:axis], *x[axis + 1 :]) for x in xs}
        needs(len(rests) == 1, f"{xs} differ beside axis {axis}")
        return [(*xs[0][:axis], sum(x[axis] for x in xs), *xs[0][axis + 1 :])]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        return [np.concatenate(call.xs, call.values["axis"])]


@irdl_op_definition
class SliceOp(RecordOp):
    """From ``begin`` to ``end`` in steps of ``step``, along each axis; negative ones count from the
    end. Bit d of ``from_start`` or ``to_end`` says that axis d is taken from its first number, or
    to its last. 8-bit tensors have at most 4 dimensions, and need scratch memory where the batch is
    cut."""

    name = "record.slice"
    RECORD: ClassVar = Record(
        number=51,
        struct=CStruct(
            from_start=INT, to_end=INT, begin=ints(8), end=ints(8), step=ints(8), rank=INT,
            unused_108=ints(3), input_scratch=U64, output_scratch=U64, unused_136=U8,
        ).with_defaults(step=(1,) * 8),
        scratch={
            "input_scratch": operand_room_of_batch, "output_scratch": result_room_of_batch,
        },
    )  # fmt: skip

    @classmethod
    def _slices(cls, v: Values, x: Shape) -> tuple[slice, ...]:
        needs(len(x) == v["rank"] <= 8, f"{x} does not have rank {v['rank']}")
        found: list[slice] = []
        for axis, size in enumerate(x):
            begin, end = v["begin"][axis], v["end"][axis]
            begin = 0 if v["from_start"] >> axis & 1 else begin + (size if begin < 0 else 0)
            end = size if v["to_end"] >> axis & 1 else end + (size if end < 0 else 0)
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
        return [x[cls._slices(call.values, x.shape)].copy()]


PAD_MODES = ("constant", "reflect", "symmetric", "edge")
"""What stands around a tensor, by its code; the names are numpy's."""
EDGE = PAD_MODES.index("edge")


@irdl_op_definition
class PadOp(RecordOp):
    """Numbers around a tensor of rank 4 at most: ``pads`` before and after each axis. ``mode`` is
    an index of PAD_MODES. Edges are repeated along one axis, or along the third and fourth of four;
    not along the batch of 8-bit numbers."""

    name = "record.pad"
    RECORD: ClassVar = Record(
        number=26,
        struct=CStruct(
            channels=U32, value=FLOAT, mode=INT, pads=ints(8), unused_44=INT, input_scratch=U64,
            output_scratch=U64, unused_64=U8,
        ).with_defaults(),
        scratch={"input_scratch": operand_room, "output_scratch": result_room},
    )  # fmt: skip

    @classmethod
    def check(cls, v: Values) -> None:
        needs(v["mode"] in range(len(PAD_MODES)), f"there is no mode {v['mode']}")
        needs(min(v["pads"]) >= 0, "pads are not negative")
        grown = {axis // 2 for axis, pad in enumerate(v["pads"]) if pad}
        needs(v["mode"] != EDGE or len(grown) <= 1 or grown == {2, 3},
              f"edges are not repeated along the axes {sorted(grown)} at once")

    @classmethod
    def _widths(cls, v: Values, x: Shape) -> list[tuple[int, int]]:
        needs(len(x) <= 4, f"{x} has more than 4 dimensions")
        return [(v["pads"][2 * axis], v["pads"][2 * axis + 1]) for axis in range(len(x))]

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        widths = cls._widths(v, xs[0])
        most = {"reflect": -1, "symmetric": 0}.get(PAD_MODES[int(v["mode"])])
        fits = most is None or all(
            max(both) <= size + most for both, size in zip(widths, xs[0], strict=True)
        )
        needs(fits, f"the pads {widths} are wider than {xs[0]}")
        return [tuple(size + sum(both) for size, both in zip(xs[0], widths, strict=True))]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v, x = call.values, call.xs[0]
        needs(v["mode"] != EDGE or x.dtype == np.float32 or not any(v["pads"][:2]),
              "edges of 8-bit numbers are not repeated along the batch")
        settings = {"constant_values": v["value"]} if v["mode"] == 0 else {}
        if x.dtype == np.uint8 and settings:
            settings = {"constant_values": int(v["value"]) & 0xFF}
        return [np.pad(x, cls._widths(v, x.shape), PAD_MODES[v["mode"]], **settings)]  # pyright: ignore


@irdl_op_definition
class TileOp(RecordOp):
    """Repeats the whole tensor so many times along each axis, as numpy.tile. 8-bit tensors have at
    most 4 dimensions."""

    name = "record.tile"
    RECORD: ClassVar = Record(
        number=28,
        struct=CStruct(
            is_coefficient=bytes_of(3), rank=U8, shape=ints(8), repeats=ints(8), unused_68=INT,
            scratch=U64, data_size=INT,
        ).with_defaults(is_coefficient=(1, 0, 0), repeats=(1,) * 8),
        scratch={"scratch": result_room},
    )  # fmt: skip

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        needs(len(xs[0]) == v["rank"] <= 8, f"{xs[0]} does not have rank {v['rank']}")
        repeats = v["repeats"][: v["rank"]]
        needs(min(repeats) > 0, "it repeats at least once")
        return [tuple(size * int(count) for size, count in zip(xs[0], repeats, strict=True))]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        v = call.values
        return [np.tile(call.xs[0], v["repeats"][: v["rank"]])]


@irdl_op_definition
class BroadcastLikeOp(RecordOp):
    """Repeats axes of extent 1: ``axes`` of x become as long as ``like_axes`` of a second tensor
    are at run time. ``count`` says how many."""

    name = "record.broadcast_like"
    RECORD: ClassVar = Record(
        number=105,
        struct=CStruct(
            count=INT, axes=bytes_of(8), like_axes=bytes_of(8), unused_20=INT, scratch=U64
        ).with_defaults(),
        tensors=("x", "like"),
        scratch={"scratch": result_room},
    )

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        found = list(xs[0])
        pairs = list[tuple[int, int]](zip(v["axes"], v["like_axes"], strict=True))
        for axis, like in pairs[: v["count"]]:
            needs(axis < len(found) and found[axis] == 1 and like < len(xs[1]),
                  f"axis {axis} of {xs[0]} does not become axis {like} of {xs[1]}")
            found[axis] = xs[1][like]
        return [tuple(found)]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        (shape,) = cls.shapes(call.values, (), call.shapes)
        return [np.broadcast_to(call.xs[0], shape).copy()]


@irdl_op_definition
class ReverseOp(RecordOp):
    """The other way round along ``axis``; not the batch of 8-bit tensors."""

    name = "record.reverse"
    RECORD: ClassVar = Record(number=104, struct=CStruct(axis=INT).with_defaults())

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        needs(0 <= v["axis"] < len(xs[0]) <= 4, f"there is no axis {v['axis']} in {xs[0]}")
        return [xs[0]]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        return [np.ascontiguousarray(np.flip(call.xs[0], call.values["axis"]))]


@irdl_op_definition
class ConstantOp(RecordOp):
    """A float32 coefficient as a tensor: others read it where it lies."""

    name = "record.constant"
    RECORD: ClassVar = Record(
        number=100,
        struct=CStruct(shape=ints(8), rank=INT, dtype=INT).with_defaults(),
        tensors=(),
        coefficients={"value": ""},
    )

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        needs(0 < v["rank"] <= 8, f"a shape of {v['rank']} extents")
        return [tuple(v["shape"][: v["rank"]])]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        (shape,) = cls.shapes(call.values, (), [])
        return [call.coefficient("value", np.float32, prod(shape)).reshape(shape)]


MOVEMENT_OPS: list[type[RecordOp]] = [
    ConstantOp, ReshapeOp, TransposeOp, ConcatOp, SliceOp, PadOp, TileOp, BroadcastLikeOp,
    ReverseOp,
]  # fmt: skip
