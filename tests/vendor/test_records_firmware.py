"""Every record by hand: the firmware computes what our model of it does, at two shapes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bmnetu.bmodel import (
    write,
)
from dialects.bm1684.record import eltwise, movement, pointwise, reductions, shape_ops, windows
from dialects.bm1684.record.base import RecordOp
from dialects.bm1684.record.ops import ALL_OPS
from tests.vendor.dynamic import unlike
from tests.vendor.records import arithmetic, shapes
from tests.vendor.records import movement as moves
from tests.vendor.records.bench import Bench
from tests.vendor.records.cases import (
    Case,
    Chain,
)
from tests.vendor.runtime import run_bmodel_often

CASES: dict[type[RecordOp], Sequence[Case | Chain]] = {
    eltwise.EltwiseOp: arithmetic.ELTWISES,
    windows.ConvOp: arithmetic.CONVS,
    windows.PoolOp: arithmetic.POOLS,
    windows.MatrixOp: arithmetic.MATRICES,
    windows.MatMulOp: arithmetic.MATMULS,
    pointwise.SelectOp: arithmetic.SELECTS,
    pointwise.BinaryOp: arithmetic.BINARIES,
    pointwise.ConstBinaryOp: arithmetic.CONSTS,
    pointwise.ConvertOp: arithmetic.CONVERTS,
    pointwise.LookupOp: arithmetic.LOOKUPS,
    pointwise.FunctionOp: arithmetic.FUNCTIONS,
    pointwise.PReluOp: arithmetic.PRELUS,
    movement.ConstantOp: moves.CONSTANTS,
    movement.ReshapeOp: moves.RESHAPES,
    movement.TransposeOp: moves.TRANSPOSES,
    movement.ConcatOp: moves.CONCATS,
    movement.SliceOp: moves.SLICES,
    movement.PadOp: moves.PADS,
    movement.TileOp: moves.TILES,
    movement.BroadcastLikeOp: moves.LIKES,
    movement.ReverseOp: moves.REVERSES,
    reductions.SoftmaxOp: moves.SOFTMAXES,
    reductions.ReduceOp: moves.REDUCES,
    shape_ops.ShapeOfOp: shapes.SHAPE_OFS,
    shape_ops.ShapeNumbersOp: shapes.SHAPE_NUMBERS,
    shape_ops.ShapeSliceOp: shapes.SHAPE_SLICES,
    shape_ops.ShapeArithmeticOp: shapes.SHAPE_ARITHMETICS,
    shape_ops.ShapeJoinOp: shapes.SHAPE_JOINS,
    shape_ops.ReshapeToOp: shapes.RESHAPES_TO,
    shape_ops.ResizeOp: shapes.RESIZES,
}


@pytest.mark.parametrize("kind", ALL_OPS, ids=lambda kind: kind.name)
def test_a_record(kind: type[RecordOp], tmp_path: Path) -> None:
    cases = CASES[kind]
    bench = Bench(kind, cases)
    path = tmp_path / "records.bmodel"
    path.write_bytes(write(bench.bmodel()))
    given = [bench.given(index) for index in range(max(len(case.shapes) for case in cases))]
    for inputs, found in zip(given, run_bmodel_often(path, given), strict=True):
        assert not unlike(found, bench.expected(inputs))
