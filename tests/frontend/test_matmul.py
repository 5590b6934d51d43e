"""The product of two tensors: shapes, numbers, and every form on the NPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import VerifyException

from dialects.ufw import ops
from dialects.ufw.layer import shape_of
from dialects.ufw.ops import Top
from dialects.ufw.reference import evaluate
from tests.dialects.ufw.test_ops import value
from tests.frontend.samples import data, layers_of, loaded
from tests.one_layer import check

T = Top("t")

CASES = [
    ((3, 5), (5, 4), (3, 4)),
    ((2, 3, 5), (5, 4), (2, 3, 4)),
    ((2, 3, 5), (1, 5, 4), (2, 3, 4)),
    ((1, 3, 5), (2, 5, 4), (2, 3, 4)),
    ((2, 1, 70, 33), (3, 33, 130), (2, 3, 70, 130)),
    ((2, 1, 2, 3, 5), (1, 3, 1, 5, 4), (2, 3, 2, 3, 4)),
]


@pytest.mark.parametrize("flags", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize(("a", "b", "y"), CASES)
def test_products(
    a: tuple[int, ...], b: tuple[int, ...], y: tuple[int, ...], flags: tuple[bool, bool]
) -> None:
    a, b = (
        (*shape[:-2], shape[-1], shape[-2]) if flag else shape
        for shape, flag in zip((a, b), flags, strict=True)
    )

    def build(left: SSAValue, right: SSAValue) -> ops.LayerOp:
        return ops.MatMulOp(left, right, T, transpose_a=flags[0], transpose_b=flags[1])

    op = build(value(*a), value(*b))
    assert shape_of(op.results[0]) == y
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=shape).astype(np.float32) for shape in (a, b)]
    left, right = (
        x.swapaxes(-1, -2) if flag else x for x, flag in zip(xs, flags, strict=True)
    )
    wanted = np.einsum("...mk,...kn->...mn", left, right)
    np.testing.assert_allclose(evaluate(op, xs)[0], wanted, rtol=1e-4, atol=1e-4)
    assert check(build, a, b, opts=(2,)) <= 1e-5


def test_in_an_int8_net() -> None:
    def build(left: SSAValue, right: SSAValue) -> ops.LayerOp:
        return ops.MatMulOp(left, right, T)

    assert check(build, (2, 3, 70), (2, 70, 5), integer=True) <= 1e-5


@pytest.mark.parametrize(
    ("a", "b"), [((300, 5000), (5000, 70)), ((4500, 20), (20, 3)), ((2, 900), (900, 20000))]
)
def test_large_ones_are_cut(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    def build(left: SSAValue, right: SSAValue) -> ops.LayerOp:
        return ops.MatMulOp(left, right, T)

    assert check(build, a, b, opts=(2,)) <= 1e-4


def test_import(tmp_path: Path) -> None:
    text = (
        data(2, 3, 5)
        + data(2, 4, 5).replace('"data"', '"b"')
        + 'layer { name: "m" type: "MatMul" bottom: "data" bottom: "b" top: "m" '
        "matmul_param { transpose_b: true } }"
    )
    (op,) = layers_of(loaded(tmp_path, text))
    assert shape_of(op.results[0]) == (2, 3, 4)


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ((3, 5), (4, 5), "5 columns meet 4 rows"),
        ((5,), (5, 4), "both need two dimensions"),
        ((2, 3, 5), (3, 5, 4), "their batches do not fit each other"),
    ],
)
def test_what_does_not_fit(a: tuple[int, ...], b: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(VerifyException, match=sentence):
        ops.MatMulOp(value(*a), value(*b), T)
