"""The product of matrices, number by number."""

from __future__ import annotations

import numpy as np
import pytest
from xdsl.dialects.builtin import BoolAttr
from xdsl.utils.exceptions import VerifyException

from dialects.quant import reductions
from tests.dialects.quant.ops_by_hand import result_of

YES = BoolAttr.from_bool(True)


def test_a_product_of_a_batch() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4, 3)), rng.normal(size=(1, 4, 5))
    xs = [x.astype(np.float32) for x in (a, b)]
    y = result_of(reductions.MatMulOp, xs, (2, 3, 5), np.float32, transpose_a=YES)
    for i, m, n in np.ndindex(2, 3, 5):
        wanted = sum(a[i, k, m] * b[0, k, n] for k in range(4))
        assert y[i, m, n] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ((3, 4), (5, 4), "4 columns of a meet 5 rows of b"),
        ((2, 3, 4), (3, 4, 5), "do not broadcast"),
        ((3, 4), (1, 4, 5), "one rank"),
        ((4, 4), (4, 6), "the result must be"),
    ],
)
def test_what_does_not_fit(a: tuple[int, ...], b: tuple[int, ...], sentence: str) -> None:
    xs = [np.zeros(shape, np.float32) for shape in (a, b)]
    with pytest.raises(VerifyException, match=sentence):
        result_of(reductions.MatMulOp, xs, (3, 5), np.float32)
