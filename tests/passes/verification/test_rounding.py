"""Sums of floats that cancel: what rounds is no error, a term that is missing is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Block, Operation, SSAValue

from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.base import i64s
from dialects.quant.compute import ConvOp, PReluOp
from dialects.quant.reductions import ReduceKind, ReduceKindAttr, ReduceOp
from dialects.ufw import ops as ufw
from passes.verification.findings import FLOAT_TOLERANCE, Difference
from passes.verification.rounding import rounding_of
from tests.compiled import compiled
from tests.one_layer import one_layer

SHAPE = (1, 2, 300, 400)


def centred() -> np.ndarray[Any, Any]:
    """Numbers whose sum over each map is about 0."""
    x = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    return x - x.mean(axis=(2, 3), keepdims=True)


def reduction(kind: ReduceKind) -> Operation:
    x = Block(arg_types=[types.float_tensor(SHAPE)]).args[0]
    properties = {
        "kind": ReduceKindAttr(kind), "axes": i64s([2, 3]),
        "tops": ArrayAttr([StringAttr("y")]),
    }  # fmt: skip
    result = types.float_tensor((1, 2, 1, 1))
    return ReduceOp.create(operands=[x], result_types=[result], properties=properties)


def one_after_the_other(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The sums of maps in float32."""
    total = np.add.accumulate(x.reshape(1, 2, -1), axis=2, dtype=np.float32)
    return total[..., -1].reshape(1, 2, 1, 1)


def test_a_sum_that_cancels_may_round() -> None:
    op, x = reduction(ReduceKind.SUM), centred()
    exact = x.sum(axis=(2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
    # each 300-th number large: the sum of all is small, its parts are not
    x[0, :, 0, :] += 50.0
    x[0, :, 1, :] -= 50.0
    slack = rounding_of(op, [x])
    assert slack is not None
    got = one_after_the_other(x)
    assert Difference.between(got, exact).error > FLOAT_TOLERANCE
    assert Difference.between(got, exact, slack=slack).error <= FLOAT_TOLERANCE


def test_a_missing_term_is_found() -> None:
    op, x = reduction(ReduceKind.SUM), centred()
    exact = x.sum(axis=(2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
    slack = rounding_of(op, [x])
    got = exact.copy()
    got[0, 1] -= np.float32(0.5)
    assert Difference.between(got, exact, slack=slack).index == (0, 1, 0, 0)


def test_a_convolution_counts_the_magnitudes_of_its_products() -> None:
    x = Block(arg_types=[types.float_tensor((1, 2, 1, 1))]).args[0]
    weight, bias = np.array([[[[1.0]], [[-1.0]]]]), np.array([-3.0])
    properties = {
        "weight": ConstantAttr.of(weight.astype(np.float32)),
        "bias": ConstantAttr.of(bias.astype(np.float32)),
        "tops": ArrayAttr([StringAttr("y")]),
    }
    result = types.float_tensor((1, 1, 1, 1))
    op = ConvOp.create(operands=[x], result_types=[result], properties=properties)
    slack = rounding_of(op, [np.array([5.0, -5.0], np.float32).reshape(1, 2, 1, 1)])
    assert slack is not None
    assert float(slack[0, 0, 0, 0]) == pytest.approx(13.0 * 4 * 2.0**-23)
    assert op.weight.array.min() == -1.0, "the layer's own weights stay"


def test_what_is_no_sum_has_no_allowance() -> None:
    assert rounding_of(reduction(ReduceKind.MAX), [centred()]) is None
    x = Block(arg_types=[types.float_tensor(SHAPE)]).args[0]
    slope = ConstantAttr.of(np.zeros(1, np.float32))
    properties = {"slope": slope, "tops": ArrayAttr([StringAttr("y")])}
    result = types.float_tensor(SHAPE)
    op = PReluOp.create(operands=[x], result_types=[result], properties=properties)
    assert rounding_of(op, [centred()]) is None


def test_the_compare_of_a_layer_allows_it() -> None:
    """What the NPU adds up one after the other is off by more than the tolerance."""

    def build(x: SSAValue) -> ufw.ReduceOp:
        return ufw.ReduceOp(x, ufw.Top("y"), ufw.ReduceOperation.SUM, [2, 3])

    x = centred()
    x[0, :, ::2] += 50.0
    x[0, :, 1::2] -= 50.0
    module = one_layer(build, SHAPE)
    findings = compiled(module, 1, "FP32", given={"in0": x})
    assert findings.ok, findings.verdict()
    (top,) = findings.outputs.values()
    exact = x.sum(axis=(2, 3), dtype=np.float64).reshape(top.shape)
    assert np.abs(top - exact).max() > FLOAT_TOLERANCE, "the sums must need the allowance"
