"""The loop of a recurrent layer, one number after the other."""

from __future__ import annotations

from math import exp, tanh

import numpy as np
import pytest
from xdsl.dialects.builtin import BoolAttr, FloatAttr, f32
from xdsl.utils.exceptions import VerifyException

from dialects.constant import ConstantAttr
from dialects.quant import reductions
from dialects.quant.base import Array
from dialects.quant.reductions import Cell, CellAttr
from tests.dialects.quant.ops_by_hand import result_of

YES = BoolAttr.from_bool(True)


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def test_one_hidden_unit_of_an_lstm() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 256, 3, 2)).astype(np.float32)
    weight = rng.normal(size=(4, 1, 1)).astype(np.float32)
    found = result_of(
        reductions.RecurrentOp, [x], (1, 1, 4, 2), np.float32, cell=CellAttr(Cell.LSTM),
        weight=ConstantAttr.of(weight), reverse=YES, gives_cell=YES, clip=FloatAttr(0.5, f32),
    )  # fmt: skip
    for n in range(2):
        h = c = 0.0
        for t in (2, 1, 0):
            i, f, o, g = (float(x[0, 64 * k, t, n]) + float(weight[k, 0, 0]) * h for k in range(4))
            c = min(max(sigmoid(f) * c + sigmoid(i) * tanh(g), -0.5), 0.5)
            h = sigmoid(o) * tanh(c)
            assert found[0, 0, t, n] == pytest.approx(h, abs=1e-6)
        assert found[0, 0, 3, n] == pytest.approx(c, abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "weight", "sentence"),
    [
        ((1, 64, 3, 2), (3, 1, 1), r"the weights must be \[1, H, H\]"),
        ((2, 64, 3, 2), (1, 1, 1), r"x must be \[1, 1 P, T, N\], P at least 1"),
        ((1, 64, 2, 2), (1, 1, 1), r"the result must be"),
    ],
)
def test_what_does_not_fit(
    shape: tuple[int, ...], weight: tuple[int, ...], sentence: str
) -> None:
    blob: Array = np.zeros(weight, np.float32)
    with pytest.raises(VerifyException, match=sentence):
        result_of(
            reductions.RecurrentOp, [np.zeros(shape, np.float32)], (1, 1, 3, 2), np.float32,
            cell=CellAttr(Cell.RNN), weight=ConstantAttr.of(blob),
        )  # fmt: skip
