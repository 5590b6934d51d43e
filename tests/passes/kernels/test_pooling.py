"""Pooling of columns, then of rows, and pooling of whole maps of all rows of lanes at once."""

from __future__ import annotations

import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects.bm1684 import tile
from dialects.bm1684.layout import Ref
from dialects.quant.base import i64s, ints
from dialects.quant.compute import AveragePoolOp, MaxPoolOp, PoolOp
from tests.passes.kernels.one_quant_op import check, tensor

KINDS = ("f32", "si8", "ui8")
Shape = tuple[int, int, int, int]


def pooled(
    op_type: type[PoolOp],
    kind: str,
    x: Shape,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int, int, int],
    opt: int = 2,
) -> ModuleOp:
    """Compiles and compares a pooling."""
    size = [
        (x[2 + axis] + pad[2 * axis] + pad[2 * axis + 1] - kernel[axis]) // stride[axis] + 1
        for axis in range(2)
    ]
    operand, result = tensor(x, kind), tensor((*x[:2], *size), kind)
    return check(
        op_type, [operand], [result], opt, kernel=i64s(kernel), stride=i64s(stride), pad=i64s(pad)
    )


def windows(module: ModuleOp) -> list[tuple[int, ...]]:
    """The kernels of the commands."""
    found = [op for op in module.walk() if isinstance(op, (tile.MaxPoolOp, tile.AveragePoolOp))]
    return [ints(op.kernel) for op in found]


@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("x", "kernel", "stride", "pad"),
    [
        ((4, 5, 13, 17), (3, 3), (2, 2), (0, 1, 1, 0)),
        ((5, 70, 9, 11), (5, 5), (1, 1), (2, 2, 2, 2)),
        ((1, 130, 8, 9), (3, 2), (1, 2), (1, 1, 0, 1)),
        ((2, 3, 70, 150), (3, 5), (2, 3), (1, 1, 2, 2)),
    ],
)
def test_columns_then_rows(
    kind: str,
    x: Shape,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int, int, int],
    opt: int,
) -> None:
    found = windows(pooled(MaxPoolOp, kind, x, kernel, stride, pad, opt))
    assert set(found) == {(kernel[0], 1), (1, kernel[1])}


@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize(
    ("x", "kernel", "stride", "pad"),
    [
        ((2, 5, 30, 31), (9, 8), (4, 5), (2, 3, 1, 0)),
        ((1, 130, 20, 24), (20, 11), (1, 13), (0, 0, 0, 0)),
    ],
)
def test_means_of_columns_then_of_rows(
    x: Shape,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int, int, int],
    opt: int,
) -> None:
    """Of floats; 8-bit means are rounded once."""
    found = windows(pooled(AveragePoolOp, "f32", x, kernel, stride, pad, opt))
    assert set(found) == {(kernel[0], 1), (1, kernel[1])}
    whole = windows(pooled(AveragePoolOp, "si8", x, kernel, stride, pad, opt))
    assert set(whole) <= {kernel}


def test_a_window_that_costs_as_much_stays_whole() -> None:
    assert set(windows(pooled(MaxPoolOp, "si8", (4, 5, 16, 16), (2, 2), (2, 2), (0, 0, 0, 0)))) == {
        (2, 2)
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x", [(1, 65, 7, 7), (5, 200, 3, 5), (4, 192, 13, 13), (2, 70, 17, 19)])
@pytest.mark.parametrize("op_type", [MaxPoolOp, AveragePoolOp])
@pytest.mark.parametrize("stride", [(1, 1), (7, 2)])
def test_whole_maps(op_type: type[PoolOp], kind: str, x: Shape, stride: tuple[int, int]) -> None:
    """All rows of lanes are rows of one image, whatever the stride. 17 * 19 is above the built-in
    averages."""
    module = pooled(op_type, kind, x, x[2:], stride, (0, 0, 0, 0))
    rows = -(-x[1] // 64)
    commands = [
        op for op in module.walk()
        if isinstance(op, (tile.MaxPoolOp, tile.AveragePoolOp, tile.DepthwiseOp))
    ]  # fmt: skip
    assert [Ref.of(op.dst).shape for op in commands] == [(x[0], 64, rows, 1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op_type", [MaxPoolOp, AveragePoolOp])
def test_a_window_of_the_size_of_the_map_that_begins_in_the_padding(
    op_type: type[PoolOp], kind: str
) -> None:
    pooled(op_type, kind, (4, 70, 7, 5), (7, 5), (8, 8), (2, 0, 1, 0))


@pytest.mark.parametrize("op_type", [MaxPoolOp, AveragePoolOp])
def test_one_row_of_lanes_stays_as_it_is(op_type: type[PoolOp]) -> None:
    module = pooled(op_type, "f32", (2, 64, 7, 7), (7, 7), (1, 1), (0, 0, 0, 0))
    assert set(windows(module)) <= {(7, 7), (7, 1), (1, 7)}
