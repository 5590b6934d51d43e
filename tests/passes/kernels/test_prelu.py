"""PReLU in two commands, where a maximum or a minimum of both products is the result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Block, SSAValue

from bmnetu.report.profile import profile
from dialects.constant import ConstantAttr
from dialects.quant import compute, types
from dialects.quant.base import int_attr
from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops as ufw
from dialects.ufw.layer import SI8, LayerOp, Top
from passes.kernels.pointwise import chosen_of_both
from tests.compiled import compiled
from tests.one_layer import check, one_layer

SLOPES: dict[str, tuple[list[float], str | None]] = {
    "flat": ([0.25, 0.5, -0.5, 1, -1, 0.125], "max"),
    "steep": ([1, 1.5, 1.25, 1.75, 1, 1.5], "min"),
    "both": ([0.25, 1.5, 1, -1, 1.75, 0.5], None),
    "one flat": ([0.25], "max"),
    "one steep": ([1.5], "min"),
    "one negative": ([-0.75], "max"),
}
SHIFT = 6
CASES = [(name, integer) for name in SLOPES for integer in (False, True)]


def layer(slopes: list[float], integer: bool) -> Any:
    """A PReLU with these slopes."""
    given = np.array(slopes, np.float32)

    def build(x: SSAValue) -> LayerOp:
        if not integer:
            return ufw.PReLUOp(x, Top("y"), given)
        steps = np.rint(given * (1 << SHIFT)).astype(np.int8)
        top = Top("y", SI8, ScaleAttr.of(0.05))
        return ufw.PReLUOp(x, top, steps, right_shift=SHIFT)

    return build


@pytest.mark.parametrize(("name", "integer"), CASES)
def test_the_numbers(name: str, integer: bool) -> None:
    build = layer(SLOPES[name][0], integer)
    assert check(build, (3, 6, 9, 11), integer=integer, opts=(0, 2)) < 1e-6


def op(slopes: list[float], integer: bool, multiplier: int = 1, shift: int = 0) -> compute.PReluOp:
    """The op of the quant level; with a multiplier it has another scale."""
    kind = types.int_tensor((1, len(slopes), 2, 2), 0.1, False)
    result = (
        kind if (multiplier, shift) == (1, 0) else types.int_tensor(kind.get_shape(), 0.2, False)
    )
    given = np.array(slopes, np.float32)
    if not integer:
        kind = result = types.float_tensor(kind.get_shape())
    steps = np.rint(given * (1 << SHIFT)).astype(np.int8) if integer else given
    return compute.PReluOp.create(
        operands=[Block(arg_types=[kind]).args[0]],
        result_types=[result],
        properties={
            "tops": ArrayAttr([StringAttr("y")]), "slope": ConstantAttr.of(steps),
            "shift": int_attr(SHIFT if integer else 0), "multiplier": int_attr(multiplier),
            "multiplier_shift": int_attr(shift),
        },
    )  # fmt: skip


@pytest.mark.parametrize(("name", "integer"), CASES)
def test_what_is_chosen(name: str, integer: bool) -> None:
    slopes, join = SLOPES[name]
    assert chosen_of_both(op(slopes, integer)) == join


def test_zero_times_infinity_is_not_chosen() -> None:
    assert chosen_of_both(op([0, 0.5], integer=False)) is None
    assert chosen_of_both(op([0, 0.5], integer=True)) == "max"


def test_beside_a_multiplier() -> None:
    """Half of what is positive stays: a slope of 0.75 is steep."""
    assert chosen_of_both(op([0.75, 0.5], True, 64, 7)) == "min"
    assert chosen_of_both(op([0.25, 0.5], True, 64, 7)) == "max"
    assert chosen_of_both(op([0.25, 0.75], True, 64, 7)) is None


@pytest.mark.parametrize("slopes", [[0.25], [0.25, 0.5] * 32])
@pytest.mark.parametrize("multiplier", [1, 90])
def test_all_bytes(slopes: list[float], multiplier: int) -> None:
    """Both products, rounded and cut to 8 bits: the larger one is the op's meaning."""
    given = op(slopes, True, multiplier, 0 if multiplier == 1 else 7)
    x = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 16, 16).repeat(len(slopes), 1)

    def product(factor: Any, shift: int) -> Any:
        whole = x.astype(np.int64) * factor
        return np.clip((whole + (1 << shift >> 1)) >> shift, -128, 127)

    steps = given.slope.array.astype(np.int64).reshape(1, -1, 1, 1)
    positive = product(multiplier, given.multiplier_shift.value.data)
    expected = np.maximum(positive, product(steps, SHIFT))
    np.testing.assert_array_equal(given.meaning([x]), expected)


def test_it_takes_fewer_cycles() -> None:
    def cycles(name: str) -> int:
        module = one_layer(layer(SLOPES[name][0] * 8, False), (1, 48, 60, 60))
        assert compiled(module, 2, "FP32").ok
        return profile(module).total.tiu_cycles

    assert cycles("flat") < 0.8 * cycles("both")
