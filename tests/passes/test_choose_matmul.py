"""Inner products of many rows as products of matrices."""

from __future__ import annotations

import numpy as np
import pytest
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from dialects.quant.compute import ConvOp
from dialects.quant.reductions import MatMulOp
from dialects.ufw.layer import Top
from dialects.ufw.ops import InnerProductOp
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.module.functions import main_function
from passes.quant.quant_choose_matmul import QuantChooseMatmulPass
from tests.one_layer import check, one_layer

SIZES = [
    (8, 4, 8), (8, 5, 8), (70, 130, 100), (70, 131, 100), (9, 4200, 70), (130, 64, 1100),
    (64, 65, 64), (65, 64, 65), (300, 7, 3),
]  # fmt: skip
"""Rows, terms, outputs."""


class Layer:
    """The layer of a number of outputs, with random coefficients."""

    def __init__(self, terms: int, outputs: int, bias: bool, axis: int) -> None:
        random = np.random.default_rng(terms + outputs)
        self.weight = random.standard_normal((outputs, terms)).astype(np.float32)
        self.bias = random.standard_normal(outputs).astype(np.float32) if bias else None
        self.axis = axis

    def __call__(self, x: SSAValue) -> InnerProductOp:
        return InnerProductOp(x, Top("y"), self.weight, self.bias, axis=self.axis)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("rows", "terms", "outputs"), SIZES)
def test_the_numbers_stay(rows: int, terms: int, outputs: int, bias: bool) -> None:
    assert check(Layer(terms, outputs, bias, 1), (rows, terms), opts=(1, 2)) < 1e-3


def test_rows_of_several_images() -> None:
    assert check(Layer(33, 20, True, 2), (3, 7, 33), opts=(1, 2)) < 1e-4


@pytest.mark.parametrize(("rows", "chosen"), [(4, ConvOp), (7, ConvOp), (8, MatMulOp)])
def test_of_few_rows_it_stays_a_convolution(rows: int, chosen: type) -> None:
    function = _lowered(Layer(64, 256, True, 1), (rows, 64))
    kinds = [type(op) for op in function.body.block.ops if isinstance(op, (ConvOp, MatMulOp))]
    assert kinds == [chosen]


def _lowered(layer: Layer, shape: tuple[int, ...]) -> FuncOp:
    from xdsl.context import Context

    module = one_layer(layer, shape)
    for step in (ConvertUfwToQuantPass(), QuantChooseMatmulPass()):
        step.apply(Context(), module)
    return main_function(module)
