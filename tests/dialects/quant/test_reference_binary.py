"""Arithmetic of two tensors and the choice between two: meanings and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from xdsl.utils.exceptions import VerifyException

from dialects.constant import ConstantAttr
from dialects.quant import eltwise
from dialects.quant.eltwise import BinaryKind, BinaryKindAttr
from tests.dialects.quant.ops_by_hand import noise, result_of

SHAPE = (2, 3, 4, 5)
A, B = noise(0, np.float32, SHAPE), noise(1, np.float32, (1, 3, 1, 5))
EXPECTED = {
    "add": A + B, "sub": A - B, "mul": A * B, "div": A / B, "max": np.maximum(A, B),
    "min": np.minimum(A, B), "gt": A > B, "ge": A >= B, "lt": A < B, "le": A <= B, "eq": A == B,
    "ne": A != B, "pow": np.abs(A) ** B,
}  # fmt: skip


@pytest.mark.parametrize("kind", list(BinaryKind))
def test_two_tensors(kind: BinaryKind) -> None:
    attr, a = BinaryKindAttr(kind), np.abs(A) if kind is BinaryKind.POW else A
    y = result_of(eltwise.BinaryOp, [a, B], SHAPE, np.float32, kind=attr)
    np.testing.assert_array_equal(y, EXPECTED[kind.value].astype(np.float32))


def test_a_choice() -> None:
    y = result_of(eltwise.SelectOp, [B, A, B], SHAPE, np.float32)
    np.testing.assert_array_equal(y, np.where(B > 0, A, B))


def test_a_constant() -> None:
    y = result_of(eltwise.ConstantOp, [], SHAPE, np.float32, value=ConstantAttr.of(A))
    np.testing.assert_array_equal(y, A)


@pytest.mark.parametrize(
    ("shape", "result", "message"),
    [
        ((3, 4, 5), SHAPE, "one rank"),
        ((2, 3, 4, 2), SHAPE, "do not broadcast"),
        ((2, 3, 4, 5), (2, 3, 4, 1), "the operands give"),
    ],
)
def test_shapes_that_do_not_fit(
    shape: tuple[int, ...], result: tuple[int, ...], message: str
) -> None:
    attr, other = BinaryKindAttr(BinaryKind.ADD), np.zeros(shape, np.float32)
    with pytest.raises(VerifyException, match=message):
        result_of(eltwise.BinaryOp, [A, other], result, np.float32, kind=attr)
