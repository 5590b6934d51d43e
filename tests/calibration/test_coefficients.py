"""Integer coefficients: the shift, the rounding, the overflow of biases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects import test
from xdsl.dialects.builtin import TensorType, f32

from bmnetu.calibration.thresholds.coefficients import IntegerCoefficients, RealCoefficients
from dialects.constant import Array
from dialects.ufw import ops
from dialects.ufw.ops import Top


def integers(weight: Array, bias: Array | None = None) -> IntegerCoefficients:
    """RealCoefficients in result steps as integers."""
    found = RealCoefficients(weight, bias).integers(1.0, 1.0)
    assert found is not None
    return found


def error(weight: Array, bias: Array, shift: int) -> float:
    """The definition: mean over outputs of what is lost of weights and biases."""
    step = 2.0**-shift
    w = np.clip(np.rint(weight / step), -127, 127) * step
    b = np.clip(bias / step, -32768, 32767) * step
    return float(((weight - w) ** 2).sum() / len(weight) + ((bias - b) ** 2).mean())


@given(st.integers(0, 1000), st.floats(-6, 5), st.floats(-6, 12))
def test_the_shift_costs_least(seed: int, size: float, bias_size: float) -> None:
    random = np.random.default_rng(seed)
    weight = random.normal(0, 2.0**size, (8, 100))
    bias = random.normal(0, 2.0**bias_size, 8)
    found = RealCoefficients(weight, bias).integers(1.0, 1.0)
    if found is None:
        assert np.abs(weight).max() > 127
        return
    least = min(error(weight, bias, shift) for shift in range(32))
    assert error(weight, bias, found.shift) <= 1.1 * least + 1e-12


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30), st.floats(0.01, 1))
def test_weights_are_within_half_a_step_or_clipped(weights: list[float], ratio: float) -> None:
    weight = np.array(weights)
    found = RealCoefficients(weight, None).integers(ratio, 1.0)
    assert found is not None
    assert found.weight.dtype == np.int8
    ideal = weight * ratio * 2.0**found.shift
    assert np.all((np.abs(found.weight - ideal) <= 0.5) | (np.abs(found.weight) == 127))


def test_halves_round_to_even() -> None:
    found = integers(np.array([127, 0.5, 1.5, -2.5]), np.array([0.5, 1.5, -0.5, 2.5]))
    assert found.shift == 0
    assert found.weight.tolist() == [127, 0, 2, -2]
    assert found.bias is not None
    assert found.bias.tolist() == [0, 2, 0, 2]


def test_the_shift_yields_to_biases_that_overflow() -> None:
    found = integers(np.array([[0.01], [-0.02]]), np.full(2, 100.0))
    assert found.bias is not None
    assert found.shift == 8
    assert found.bias.tolist() == [100 << 8] * 2
    assert found.weight.tolist() == [[3], [-5]]
    assert found.clipped == 0


def test_biases_without_room_at_any_shift_are_counted() -> None:
    found = integers(np.ones((10, 1)), np.array([1e9] + [0.0] * 9))
    assert found.bias is not None
    assert found.bias.max() == 32767
    assert found.clipped == 1


def test_one_weight_far_out_is_clipped() -> None:
    weight = np.random.default_rng(0).uniform(-63, 63, (1, 4000))
    weight[0, 0] = 65
    found = integers(weight)
    assert found.shift == 1
    assert found.weight[0, 0] == 127


def test_a_weight_counts_as_what_it_meets() -> None:
    """Weights that meet nothing give no reason against clipping them."""
    weight = np.array([[1.0] * 20 + [70.0]])
    shifts = [
        RealCoefficients(weight, None, np.array(power)).shifts(np.ones(1), np.ones(1))[0][0]
        for power in ([1.0] * 21, [1.0] * 20 + [0.0])
    ]
    assert shifts == [0, 1]


def test_a_layer_keeps_its_full_scale_over_an_octave() -> None:
    weight = np.random.default_rng(1).normal(0, 1, (4, 1000))
    ratios = 2.0 ** np.linspace(-3, -2, 50)
    _, errors = RealCoefficients(weight, None).shifts(ratios, np.ones(50))
    in_weights = errors / ratios**2
    assert in_weights.max() > 2.5 * in_weights.min()


def test_weights_above_127_steps_have_no_integers() -> None:
    assert RealCoefficients(np.array([1.0, -127.6]), None).integers(1.0, 1.0) is None


def test_weights_that_meet_nothing_on_the_data_are_rounded_as_ever() -> None:
    weight = np.random.default_rng(3).normal(0, 1, (2, 9))
    found = [RealCoefficients(weight, None, power).integers(1.0, 1.0) for power in (0.0, 1.0)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].weight.tolist() == found[1].weight.tolist()


def test_dead_weights_are_zeros() -> None:
    found = integers(np.zeros(2), np.array([0.0, 1.0]))
    assert found.weight.tolist() == [0, 0]
    assert found.bias is not None
    assert found.bias[1] / 2.0**found.shift == 1


def source(*shape: int) -> Any:
    return test.TestOp(result_types=[TensorType(f32, shape)]).results[0]


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_the_power_meets_the_weights_of_its_channel(groups: int) -> None:
    """Against plain loops over outputs and channels."""
    weight = np.zeros((12, 6 // groups, 2, 1), np.float32)
    op = ops.ConvolutionOp(source(1, 6, 4, 4), Top("y"), weight, group=groups)
    power = np.arange(1.0, 7)
    found = np.broadcast_to(op.meet_weights(power), weight.shape)
    for o in range(12):
        for i in range(6 // groups):
            assert np.all(found[o, i] == power[o // (12 // groups) * (6 // groups) + i])


def test_the_power_of_an_inner_product_follows_its_maps() -> None:
    op = ops.InnerProductOp(source(1, 2, 2, 2), Top("y"), np.zeros((3, 8), np.float32))
    found = np.broadcast_to(op.meet_weights(np.array([1.0, 5.0])), (3, 8))
    assert found[0].tolist() == [1.0] * 4 + [5.0] * 4
