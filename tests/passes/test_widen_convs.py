"""Narrow convolutions before a pooling: the same numbers of wide ones, in fewer cycles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from dialects.bm1684.cycles import schedule
from dialects.quant.compute import ConvOp
from dialects.quant.movement import InterleaveOp
from passes.image.groups import command_groups
from passes.module.functions import main_function
from passes.quant.quant_widen_convs import Narrow, narrow_convs
from tests.branch_cases import narrow
from tests.branch_nets import BranchNet
from tests.compiled import compiled
from tests.quant_runs import evaluated, run

WIDEN = "quant-widen-convs"


def widened(module: ModuleOp) -> tuple[int, ...]:
    """The weights' shapes of convolutions that were made wide."""
    found = [op.weight.shape[0] for op in module.walk() if isinstance(op, ConvOp)]
    interleaved = any(isinstance(op, InterleaveOp) for op in module.walk())
    return tuple(found) if interleaved else ()


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize(
    ("build", "outputs"),
    [
        (narrow(16, (40, 64)), 128),
        (narrow(10, (41, 66), pad=[0, 0, 0, 0]), 128),
        (narrow(5, (40, 70), pad=[1, 1, 2, 0]), 128),
        (narrow(32, (48, 66), pool=3), 192),
        (narrow(16, (65, 96), kernel=5, stride=[2, 2]), 128),
        (narrow(8, (48, 50), images=1), 128),
    ],
)
def test_the_same_numbers(
    build: Callable[[bool], ModuleOp], outputs: int, integer: bool
) -> None:
    plain = run(build(integer), "convert-ufw-to-quant")
    wide = run(plain.clone(), WIDEN)
    assert widened(wide)[0] == outputs
    for got, expected in zip(evaluated(wide), evaluated(plain), strict=True):
        assert expected.min() < expected.max()
        if integer:
            np.testing.assert_array_equal(got, expected)
        else:
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


Between = Callable[[BranchNet, SSAValue], object]
"""The layers behind a convolution."""


def pooled(integer: bool, between: Between, outputs: int = 16, group: int = 1) -> ModuleOp:
    """A convolution of 3 by 3 on 40 by 64, and what follows."""
    net = BranchNet((1, 3, 40, 64), integer)
    between(net, net.conv(net.input, outputs, 3, group))
    return net.module()


STAY: Sequence[Between] = [
    lambda net, x: net.pool(x, "max", 3, 2),  # windows that share columns
    lambda net, x: net.pool(x, "max", 3, 3, 1),  # padding
    lambda net, x: net.pool(x, "max", 3, 3),  # the last window is clipped
    lambda net, x: net.pool(x, "average", 2, 2),
]


@pytest.mark.parametrize("between", STAY)
def test_others_stay(between: Between) -> None:
    module = run(pooled(True, between), "convert-ufw-to-quant")
    assert not list(narrow_convs(main_function(module)))


@pytest.mark.parametrize(("size", "outputs", "count"), [(8, 24, 0), (64, 12, 1)])
def test_larger_weights_must_pay(size: int, outputs: int, count: int) -> None:
    """Those of a small map take longer to load than the multipliers save."""
    net = BranchNet((1, 16, size, size), False)
    net.pool(net.conv(net.input, outputs, 3), "max", 2, 2)
    module = run(net.module(), "convert-ufw-to-quant")
    assert len(list(narrow_convs(main_function(module)))) == count


@pytest.mark.parametrize("integer", [False, True])
def test_without_a_pooling(integer: bool) -> None:
    """Where something else reads the convolution, too. Its result is compared as it was."""
    net = BranchNet((1, 32, 40, 64), integer)
    x = net.conv(net.input, 16, 3)
    net.pool(x, "max", 2, 2)
    net.conv(x, 40, 3)
    plain = run(net.module(), "convert-ufw-to-quant")
    wide = run(plain.clone(), WIDEN)
    assert widened(wide) == (64, 40)
    for which in ("pooled", "none"):
        assert not widened(run(plain.clone(), f"{WIDEN}{{which={which}}}"))
    assert [op.top for op in wide.walk() if isinstance(op, InterleaveOp)] == ["t1"]
    for got, expected in zip(evaluated(wide), evaluated(plain), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("outputs", "group"), [(33, 1), (64, 1), (18, 3)])
def test_wide_and_grouped_ones_stay(outputs: int, group: int) -> None:
    module = pooled(True, lambda net, x: net.pool(x, "max", 2, 2), outputs, group=group)
    assert not list(narrow_convs(main_function(run(module, "convert-ufw-to-quant"))))


def test_a_pooling_of_rows_alone() -> None:
    rows = pooled(True, lambda net, x: net.pool(x, "max", (2, 1), (2, 1)))
    module = run(rows, "convert-ufw-to-quant")
    plain = evaluated(module)
    assert widened(run(module, WIDEN)) == (64,)
    np.testing.assert_array_equal(evaluated(module), plain)


@pytest.mark.parametrize(("integer", "images"), [(False, 2), (True, 5)])
def test_several_words_of_images_stay(integer: bool, images: int) -> None:
    """The halves of their channels do not lie one behind the other."""
    module = run(narrow(16, (40, 64), images=images)(integer), "convert-ufw-to-quant")
    assert not list(narrow_convs(main_function(module)))


@pytest.mark.parametrize("integer", [False, True])
def test_it_takes_fewer_cycles(integer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(narrow: Narrow) -> bool:
        return False

    def cycles() -> int:
        module = narrow(16, (96, 192))(integer)
        assert compiled(module, 2, "INT8" if integer else "FP32").ok
        groups = command_groups(main_function(module))
        return schedule([op.instruction for op in group.commands] for group in groups).total

    wide = cycles()
    monkeypatch.setattr(Narrow, "pays", never)
    assert wide < 0.95 * cycles()
