"""What a plan expects of a layer, beside the cycles of the commands that are made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product

import numpy as np
import pytest

from dialects.constant import ConstantAttr
from dialects.function_properties import function_properties
from dialects.functions import FUNCTIONS
from dialects.quant import QUANT, compute, movement, strips, types
from dialects.quant.base import QuantOp, i64s, int_attr
from dialects.quant.eltwise import BinaryKind, BinaryKindAttr, BinaryOp, ConstantOp, SelectOp
from dialects.quant.reductions import MatMulOp, RecurrentOp, ReduceOp
from dialects.quant.reductions.recurrent import Cell, CellAttr
from dialects.quant.reductions.reduce import ReduceKind, ReduceKindAttr
from dialects.quant.windows import RowWindow
from passes.cost.layers import layer_work, rows_work
from passes.cost.strips import exchange_cycles, join_cycles, split_cycles
from passes.kernels import KERNELS
from tests.passes.cost.one_op import conv, eltwise, emitted, made, pool, tensor, unary

NEAR = 0.15
SHAPES = ((1, 64, 14, 14), (1, 70, 40, 30), (4, 16, 33, 20), (1, 3, 100, 100), (2, 128, 7, 7))
Case = Callable[[], QuantOp]


def _slopes(count: int, value: int, is_float: bool) -> ConstantAttr:
    return ConstantAttr.of(np.full(count, value, np.float32 if is_float else np.int8))


def _windows(shape: Sequence[int], is_float: bool) -> Iterator[Case]:
    channels = shape[1]
    yield partial(conv, shape, 64, 3, is_float, relu=True)
    yield partial(conv, shape, 100, 1, is_float, stride=2)
    if is_float:
        one = tensor(shape, True)
        yield partial(made, compute.ConvAddOp, [one, one], one, weight=ConstantAttr.of(
            np.ones((channels, channels, 1, 1), np.float32)))  # fmt: skip
    yield partial(conv, shape, channels, 3, is_float, group=channels, relu=True)
    yield partial(conv, shape, channels, 5, is_float, group=channels, stride=2)
    if channels % 16 == 0:
        yield partial(conv, shape, 64, 3, is_float, winograd=True)
        yield partial(conv, shape, 64, 3, is_float, group=4)
    for kind in (compute.MaxPoolOp, compute.AveragePoolOp):
        yield partial(pool, kind, shape, 3, 2, is_float, pad=1)
        yield partial(pool, kind, shape, 2, 1, is_float)


def _pointwise(shape: Sequence[int], is_float: bool) -> Iterator[Case]:
    both = (is_float, is_float)
    for kind in ("sum", "product", "max"):
        yield partial(eltwise, kind, shape, 2, is_float)
    yield partial(eltwise, "sum", shape, 3, is_float, (1.0, 0.5, 2.0) if is_float else ())
    for count, value in ((1, 0), (1, 1), (shape[1], 1)):
        yield partial(unary, compute.PReluOp, shape, both, slope=_slopes(count, value, is_float))
    if not is_float:
        yield partial(unary, compute.DequantizeOp, shape, (False, True))
        factors = {"multiplier": int_attr(3), "shift": int_attr(1)}
        yield partial(unary, compute.RequantizeOp, shape, both, **factors)
        kinds = [tensor(shape, False)], tensor(shape, False, unsigned=True)
        yield partial(made, compute.RequantizeOp, *kinds, **factors)
        yield partial(unary, compute.LookupOp, shape, both,
                      table=ConstantAttr.of(np.arange(256, dtype=np.uint8)))  # fmt: skip
        return
    yield partial(unary, compute.QuantizeOp, shape, (True, False))
    for name, row in FUNCTIONS.items():
        for sample in row.samples:
            settings = function_properties(name, sample)
            yield partial(unary, compute.PointwiseFunctionOp, shape, both, **settings)
    yield partial(unary, compute.SoftmaxOp, shape, both, axis=int_attr(1))
    one, kind = tensor(shape, True), BinaryKindAttr(BinaryKind.SUB)
    channel = tensor((1, shape[1], 1, 1), True)
    yield partial(made, BinaryOp, [one, channel], one, kind=kind)
    yield partial(made, SelectOp, [one, channel, one], one)
    yield partial(made, ConstantOp, [], one, value=ConstantAttr.of(np.ones(shape, np.float32)))


def _movement(shape: Sequence[int], is_float: bool) -> Iterator[Case]:
    (n, c, h, w), one = shape, [tensor(shape, is_float)]
    whole, half = tensor((n, 2 * c, h, w), is_float), tensor((n, c // 2, h, w), is_float)
    rows = tensor((n, c, h // 2, w), is_float)
    axis = int_attr(1)
    yield partial(made, movement.ConcatOp, one * 2, whole, axis=axis)
    yield partial(made, movement.SliceOp, one, half, axis=axis, begin=axis)
    yield partial(made, movement.SliceOp, one, rows, axis=int_attr(2), begin=axis)
    yield partial(made, movement.ReshapeOp, one, tensor((n, h, w, c), is_float))
    yield partial(made, movement.TransposeOp, one, tensor((n, h, w, c), is_float),
                  order=i64s([0, 2, 3, 1]))  # fmt: skip
    yield partial(made, movement.BroadcastOp, [tensor((n, c, 1, 1), is_float)], one[0])
    yield from _pixels(shape, is_float)


def _pixels(shape: Sequence[int], is_float: bool) -> Iterator[Case]:
    (n, c, h, w), one = shape, [tensor(shape, is_float)]
    twice = ConstantAttr.of(np.arange(2 * w, dtype=np.int32) // 2)
    wide, column = tensor((n, c, h, 2 * w), is_float), int_attr(3)
    yield partial(made, movement.TakeOp, one, wide, axis=column, indices=twice)
    shares = np.arange(2 * w) % 2 * (twice.array < w - 1)
    weights = shares.astype(np.float32) / 2 if is_float else (64 * shares).astype(np.int8)
    yield partial(made, movement.InterpolateOp, one, wide, axis=column, indices=twice,
                  weights=ConstantAttr.of(weights))  # fmt: skip
    yield partial(made, movement.InterleaveOp, one * 2, wide, step=i64s([1, 2]))
    if is_float:
        window = {"kernel": i64s([2, 2]), "stride": i64s([2, 2]), "pad": i64s([0, 0])}
        half = tensor((n, c, h // 2, w // 2), True)
        yield partial(made, movement.PoolIndexOp, [*one, half], half, **window)
        yield partial(made, movement.UnpoolOp, [half] * 2, one[0], **window)


def _strips(shape: Sequence[int], is_float: bool) -> Iterator[Case]:
    (n, c, h, w), rows = shape, -(-shape[2] // strips.STRIPS)
    if n > 1:
        return
    image, cut = tensor(shape, is_float), tensor((4, c, rows, w), False)
    if is_float:
        yield partial(made, strips.QuantizeStripsOp, [image], cut)
        return
    yield partial(made, strips.SplitStripsOp, [image], cut)
    yield partial(made, strips.JoinStripsOp, [cut], image)
    numbers = {"height": h, "above": 1, "below": 1, "fill": 0}
    settings = {name: int_attr(value) for name, value in numbers.items()}
    around = tensor((4, c, rows + 2, w), False)
    yield partial(made, strips.ExchangeHaloOp, [cut], around, **settings)


def _sums(shape: Sequence[int], is_float: bool) -> Iterator[Case]:
    (n, c, h, w), one = shape, tensor(shape, True)
    if not is_float:
        return
    for kind, axes in ((ReduceKind.SUM, (1,)), (ReduceKind.MAX, (2, 3)), (ReduceKind.MIN, (3,))):
        if axes == (1,) and n > 1:
            continue  # made in two steps, whose sums between `emitted` leaves out
        kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
        yield partial(made, ReduceOp, [one], tensor(kept, True), kind=ReduceKindAttr(kind),
                      axes=i64s(axes))  # fmt: skip
    yield partial(made, MatMulOp, [one, tensor((n, c, w, 20), True)], tensor((n, c, h, 20), True))
    weight = ConstantAttr.of(np.ones((4, 16, 16), np.float32))
    yield partial(made, RecurrentOp, [tensor((1, 256, h, 2), True)],
                  tensor((1, 16, h, 2), True), cell=CellAttr(Cell.LSTM), weight=weight)  # fmt: skip


FAMILIES = (_windows, _pointwise, _movement, _strips, _sums)
CASES = [
    pytest.param(case, id=f"{'FP32' if is_float else 'INT8'}-{shape}-{family.__name__[1:]}-{i}")
    for family, is_float, shape in product(FAMILIES, (True, False), SHAPES)
    for i, case in enumerate(family(shape, is_float))
]


def test_every_op_is_priced() -> None:
    pairs = product(FAMILIES, (True, False))
    seen = {type(case()) for family, is_float in pairs for case in family(SHAPES[0], is_float)}
    seen.add(compute.CastOp)  # it stands beside layers of the host, and no plan cuts it
    assert seen == {op for op in QUANT.operations if issubclass(op, QuantOp)}
    assert seen == set(KERNELS)


@pytest.mark.parametrize("case", CASES)
def test_a_plan_is_near_the_commands(case: Case) -> None:
    op = case()
    images, _, rows, _ = types.shape_of(op.results[0])
    window = op.row_window()
    expected = [layer_work(op)]
    if window is not None:
        expected.append(rows_work(op, window, rows, images))
    got = emitted(op)
    for work in expected:
        assert work.cycles == pytest.approx(got.cycles, rel=NEAR)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] == 1])
def test_what_strips_cost_is_near_the_commands(shape: tuple[int, ...]) -> None:
    split, join, exchange = (case() for case in _strips(shape, is_float=False))
    rows = types.shape_of(split.results[0])[2]
    height = types.shape_of(split.operands[0])[2]
    window = RowWindow(height, height, pad=1, extent=3)
    expected = (
        split_cycles(split.operands[0], rows),
        join_cycles(join.results[0], rows),
        exchange_cycles(exchange, window, rows),
    )
    for op, cycles in zip((split, join, exchange), expected, strict=True):
        assert cycles == pytest.approx(emitted(op).cycles, rel=NEAR)
