"""Reductions against numpy, one axis after the other."""

from __future__ import annotations

import numpy as np
import pytest
from xdsl.utils.exceptions import VerifyException

from dialects.quant import reductions
from dialects.quant.base import i64s
from dialects.quant.reductions import ReduceKind, ReduceKindAttr
from tests.dialects.quant.ops_by_hand import result_of

SHAPE = (2, 3, 4, 5)


@pytest.mark.parametrize("axes", [(0,), (1,), (2, 3), (0, 1, 2, 3), (1, 3)])
@pytest.mark.parametrize("kind", list(ReduceKind))
def test_sum_maximum_minimum(kind: ReduceKind, axes: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(0, 3, SHAPE).astype(np.float32)
    wanted = x.astype(np.float64)
    for axis in axes:
        wanted = getattr(wanted, kind)(axis=axis, keepdims=True)
    found = result_of(
        reductions.ReduceOp, [x], wanted.shape, np.float32,
        kind=ReduceKindAttr(kind), axes=i64s(axes),
    )  # fmt: skip
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axes", [(), (4,), (1, 0), (1, 1)])
def test_axes_that_are_none(axes: tuple[int, ...]) -> None:
    x = np.zeros(SHAPE, np.float32)
    with pytest.raises(VerifyException, match="are no axes of a tensor of rank 4"):
        result_of(
            reductions.ReduceOp, [x], (1, 1, 1, 1), np.float32,
            kind=ReduceKindAttr(ReduceKind.SUM), axes=i64s(axes),
        )  # fmt: skip
