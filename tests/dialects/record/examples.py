"""One op of every kind of record, as a network would have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import TensorType, f32, i32
from xdsl.ir import Attribute, Block

from dialects.bm1684.record import (
    eltwise,
    movement,
    pointwise,
    reductions,
    shape_ops,
    windows,
)
from dialects.bm1684.record.base import RecordOp
from dialects.c_struct import Values
from dialects.quant import types
from tests.dialects.quant.ops_by_hand import noise

Array = NDArray[Any]
Shape = tuple[int, ...]
MAP: Shape = (4, 4, 6, 5)
ONES: Shape = (4, 4, 1, 1)


def eight(*numbers: int, rest: int = 0) -> tuple[int, ...]:
    """Numbers filled up to eight."""
    return (*numbers, *[rest] * (8 - len(numbers)))


def made(
    kind: type[RecordOp],
    xs: Sequence[Shape],
    results: Sequence[Attribute],
    *,
    element: Attribute | Sequence[Attribute] = f32,
    extra: Sequence[int] = (),
    coefficients: Mapping[str, Array] | None = None,
    **parameters: Any,
) -> RecordOp:
    """A record on arguments of these shapes; the results are named y0, y1, ...

    ``element`` is that of all arguments, or there is one for each.
    """
    elements = [element] * len(xs) if isinstance(element, Attribute) else element
    block = Block(arg_types=[TensorType(e, x) for e, x in zip(elements, xs, strict=True)])
    tops = [f"y{i}" for i in range(len(results))]
    op = kind(
        block.args, results, tops, parameters, extra=extra, coefficients=coefficients
    )
    block.add_op(op)
    return op


def floats(*shape: int) -> Array:
    """Random float32 numbers."""
    return noise(sum(shape), np.float32, shape)


def result(*shape: int, element: Attribute = f32) -> list[Attribute]:
    """The type of one result."""
    return [TensorType(element, shape)]


def conv() -> RecordOp:
    """float32, [oc][kh * kw][ic rounded up to 2]."""
    return made(
        windows.ConvOp, [MAP], result(4, 8, 6, 5), channels=4 << 16 | 8, kernel=3 << 16 | 3,
        pad=(1, 1, 1, 1), has_bias=1, relu=1,
        coefficients={"weight": floats(8, 9, 4), "bias": floats(8)},
    )  # fmt: skip


EXAMPLES: dict[str, Callable[[], RecordOp]] = {
    "record.conv": conv,
    "record.pool": lambda: made(
        windows.PoolOp, [MAP], result(4, 4, 3, 2), channels=4, kernel=2 << 16 | 2, stride=(2, 2)
    ),
    "record.matrix": lambda: made(
        windows.MatrixOp, [MAP], result(4, 10), inputs=120, outputs=10, has_bias=1,
        coefficients={"weight": floats(120, 10), "bias": floats(10)},
    ),
    "record.matmul": lambda: made(
        windows.MatMulOp, [(4, 3, 2), (4, 2, 5)], result(4, 3, 5), a_shape=eight(4, 3, 2),
        a_rank=3, b_shape=eight(4, 2, 5), b_rank=3,
    ),
    "record.select": lambda: made(pointwise.SelectOp, [MAP] * 3, result(*MAP)),
    "record.binary": lambda: made(
        pointwise.BinaryOp, [MAP], result(*MAP), a_rank=4, a_shape=eight(*MAP), b_rank=4,
        b_is_coefficient=1, b_shape=eight(1, 4, 1, 1), op=pointwise.MUL,
        coefficients={"b": floats(1, 4, 1, 1)},
    ),
    "record.const_binary": lambda: made(
        pointwise.ConstBinaryOp, [MAP], result(*MAP), value=0.5, op=pointwise.SUB, inversed=1
    ),
    "record.convert": lambda: made(
        pointwise.ConvertOp, [MAP], result(*MAP, element=types.si8), result=2, output_mode=2
    ),
    "record.lookup": lambda: made(
        pointwise.LookupOp, [MAP], result(*MAP, element=types.si8), element=types.si8, rank=4,
        coefficients={"table": np.arange(256, dtype=np.uint32)[::-1].copy()},
    ),
    "record.function": lambda: made(pointwise.FunctionOp, [MAP], result(*MAP), channels=4),
    "record.prelu": lambda: made(
        pointwise.PReluOp, [MAP], result(*MAP), channels=4, coefficients={"slope": floats(4)}
    ),
    "record.constant": lambda: made(
        movement.ConstantOp, [], result(3, 2), shape=eight(3, 2), rank=2,
        coefficients={"value": floats(3, 2)},
    ),
    "record.reshape": lambda: made(
        movement.ReshapeOp, [MAP], result(4, 120), rank=2,
        shape=eight(movement.COPY, movement.INFER),
    ),
    "record.transpose": lambda: made(
        movement.TransposeOp, [MAP], result(4, 6, 5, 4), order=eight(0, 2, 3, 1, rest=1)
    ),
    "record.concat": lambda: made(
        movement.ConcatOp, [MAP, (4, 3, 6, 5)], result(4, 7, 6, 5), extra=(4, 3), count=2, rank=4,
        axis=1, shape=eight(*MAP),
    ),
    "record.slice": lambda: made(
        movement.SliceOp, [MAP], result(4, 2, 6, 5), rank=4, from_start=0b1101, to_end=0b1101,
        begin=eight(0, 1), end=eight(0, 3),
    ),
    "record.pad": lambda: made(
        movement.PadOp, [MAP], result(4, 4, 9, 5), channels=4, value=-1.5,
        pads=(0, 0, 0, 0, 1, 2, 0, 0),
    ),
    "record.tile": lambda: made(
        movement.TileOp, [MAP], result(4, 8, 6, 5), rank=4, shape=eight(*MAP),
        repeats=eight(1, 2, rest=1),
    ),
    "record.broadcast_like": lambda: made(
        movement.BroadcastLikeOp, [ONES, MAP], result(*MAP), count=2, axes=eight(2, 3),
        like_axes=eight(2, 3),
    ),
    "record.reverse": lambda: made(movement.ReverseOp, [MAP], result(*MAP), axis=3),
    "record.eltwise": lambda: made(
        eltwise.EltwiseOp, [MAP, MAP], result(*MAP), channels=4, op=eltwise.SUM, count=2,
        extra=(0x3F800000, 0x40000000), relu=1,
    ),
    "record.softmax": lambda: made(reductions.SoftmaxOp, [MAP], result(*MAP), place=1 << 28),
    "record.reduce": lambda: made(
        reductions.ReduceOp, [MAP], result(*ONES), keep=1, count=2, axes=eight(2, 3),
        method=reductions.SUM,
    ),
    "record.shape_of": lambda: made(shape_ops.ShapeOfOp, [MAP], result(*MAP, element=i32)),
    "record.shape_numbers": lambda: made(
        shape_ops.ShapeNumbersOp, [], result(3, 7, element=i32), count=2, numbers=eight(3, 7)
    ),
    "record.shape_slice": lambda: made(
        shape_ops.ShapeSliceOp, [MAP], result(6, 5, element=i32), element=i32,
        place=2 | 4 << 8 | 1 << 16,
    ),
    "record.shape_arithmetic": lambda: made(
        shape_ops.ShapeArithmeticOp, [(7, 9), (2, 3)], result(3, 3, element=i32), element=i32,
        op=shape_ops.DIV,
    ),
    "record.shape_join": lambda: made(
        shape_ops.ShapeJoinOp, [(4,), (3, 2), (5,)], result(4, 3, 2, 5, element=i32), element=i32,
        count=3,
    ),
    "record.reshape_to": lambda: made(
        shape_ops.ReshapeToOp, [MAP, (4, 8, 15)], result(4, 8, 15, element=types.si8),
        element=(types.si8, i32),
    ),
    "record.resize": lambda: made(
        shape_ops.ResizeOp, [MAP, (4, 4, 9, 10)], result(4, 4, 9, 10), element=(f32, i32),
        half_pixel=1,
    ),
}  # fmt: skip
"""By the ops' names."""


def values(kind: type[RecordOp], **given: Any) -> Values:
    """All parameters: these, and the others' defaults."""
    return {**kind.RECORD.struct.defaults, **given}
