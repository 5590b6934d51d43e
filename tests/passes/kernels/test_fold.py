"""Folding: the same convolution with taps as channels, on numbers and on the NPU model."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dialects.bm1684 import isa
from dialects.bm1684.isa import Direction
from dialects.bm1684.npu import CommandOp
from dialects.quant import types
from dialects.ufw import ops as ufw
from passes.kernels.convolution import conv, fold
from passes.kernels.convolution.choice import choose_fold
from passes.kernels.convolution.fold import AxisFold, Fold
from passes.kernels.tiling import Axis
from passes.module.functions import main_function
from tests.compiled import compiled
from tests.net_maker import NetMaker
from tests.random_nets import finished


@st.composite
def axis_folds(draw: st.DrawFn) -> AxisFold:
    size, kernel, stride = (draw(st.integers(1, top)) for top in (30, 7, 4))
    before, after = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    assume(kernel <= size + before + after)
    axis = Axis(size, (size + before + after - kernel) // stride + 1, kernel, stride, 1, before)
    step = draw(st.sampled_from([1, stride]))
    return AxisFold(axis, step, step * draw(st.integers(1, 4)))


@given(axis_folds(), st.integers(0, 99))
def test_the_folded_axis_adds_up_the_same_products(one: AxisFold, seed: int) -> None:
    axis, folded = one.axis, one.folded
    rng = np.random.default_rng(seed)
    x, weight = rng.integers(-9, 9, axis.size), rng.integers(-9, 9, axis.kernel)
    copies = np.zeros((one.taps, folded.size), int)
    for tap in range(one.taps):
        first, count = one.inside(tap, 0, folded.size)
        for g in range(folded.size):
            position = one.source(tap, g)
            assert (0 <= position < axis.size) == (first <= g < first + count)
            copies[tap, g] = x[position] if 0 <= position < axis.size else 0
    kernel = one.weights(weight, 0)
    assert kernel.shape == (folded.kernel, one.taps)
    padded = np.pad(x, (axis.pad, axis.span(axis.out)))
    for out in range(axis.out):
        at = out * folded.stride + folded.dilation * np.arange(folded.kernel)
        expected = padded[out * axis.stride :][: axis.kernel] @ weight
        assert (copies[:, at].T * kernel).sum() == expected


def run(
    shape: tuple[int, ...], kernel: int, stride: int, pad: int, integer: bool, outputs: int = 70
) -> list[CommandOp]:
    """Compiles one convolution at opt 2, compared; returns its commands."""
    net = NetMaker(Random(kernel), integer)
    kind = types.int_tensor(shape, 0.02, False) if integer else types.float_tensor(shape)
    x = net.block.insert_arg(kind, 0)
    net.values.append(x)
    settings = net.coefficients((outputs, shape[1], kernel, kernel), outputs, shape[1] * kernel**2)
    weight = settings.pop("weight")
    net.add(ufw.ConvolutionOp(
        x, net.top(False), weight, stride=[stride] * 2, pad=[pad] * 2, dilation=[1, 1], group=1,
        **settings,
    ))  # fmt: skip
    module = finished(net)
    findings = compiled(module, 2, "INT8" if integer else "FP32")
    assert findings.ok, findings.verdict()
    return [op for op in main_function(module).body.block.ops if isinstance(op, CommandOp)]


def moves(commands: list[CommandOp]) -> int:
    """Transfers from lane to lane."""
    found = [op.instruction for op in commands]
    return sum(i.values.get("direction") == Direction.LOCAL_TO_LOCAL for i in found)


def input_channels(commands: list[CommandOp]) -> int:
    """Of the convolutions."""
    found = [op.instruction for op in commands]
    return max(i["opd0_c"] for i in found if i.kind is isa.CONV)


Choice = tuple[Fold, float]
FOLDS = [(1, 1, 1, 3), (1, 3, 1, 1), (2, 2, 2, 2), (2, 4, 2, 2), (1, 2, 2, 4), (2, 2, 1, 5)]
"""Step and taps down, step and taps across."""


@pytest.mark.parametrize(("band", "batches"), [(fold.BAND, ((1, 0), (5, 3))), (2048, ((2, 1),))])
@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("form", FOLDS)
def test_every_form_on_the_npu(
    form: tuple[int, int, int, int],
    integer: bool,
    band: int,
    batches: tuple[tuple[int, int], ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Images and padding: one and none, some of a word, more than a word."""

    def forced(axes: tuple[Axis, Axis], weight: np.ndarray, *_: Any, **__: Any) -> Choice:
        down, across = axes
        return Fold(weight.shape[1], AxisFold(down, *form[:2]), AxisFold(across, *form[2:])), 0

    monkeypatch.setattr(conv, "choose_fold", forced)
    monkeypatch.setattr(fold, "BAND", band)
    for batch, pad in batches:
        assert moves(run((batch, 3, 19, 22), 5, 2, pad, integer))


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("form", [f for f in FOLDS if f[2] == 1])
def test_taps_that_are_loaded_to_their_lanes(
    form: tuple[int, int, int, int], integer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is copied from lane to lane."""

    def forced(axes: tuple[Axis, Axis], weight: np.ndarray, *_: Any, **__: Any) -> Choice:
        down, across = axes
        taps = AxisFold(down, *form[:2]), AxisFold(across, *form[2:])
        return Fold(weight.shape[1], *taps, direct=True), 0

    monkeypatch.setattr(conv, "choose_fold", forced)
    for batch, pad in ((2, 0), (5, 3)):
        commands = run((batch, 3, 19, 22), 5, 2, pad, integer)
        assert input_channels(commands) == 3 * form[1] * form[3]
        assert not moves(commands)


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "integer", "folds"),
    [
        ((4, 3, 40, 40), 7, 2, True, True),
        ((4, 1, 28, 28), 5, 1, True, True),
        ((1, 3, 40, 40), 3, 2, False, False),  # one idle channel does as well
        ((4, 64, 12, 12), 3, 1, True, False),
        ((4, 16, 12, 12), 1, 1, True, False),
    ],
)
def test_few_channels_are_folded(
    shape: tuple[int, ...], kernel: int, stride: int, integer: bool, folds: bool
) -> None:
    found = input_channels(run(shape, kernel, stride, kernel // 2, integer))
    assert (found > shape[1] + 1) == folds


def test_three_float_channels_get_an_idle_one() -> None:
    axis = Axis(224, 112, 3, 2, 1, 1)
    weight = np.ones((32, 3, 3, 3), np.float32)
    found, _ = choose_fold((axis, axis), weight, True, 1, is_float=True)
    assert found is not None
    assert (found.folded_channels, found.moves) == (4, False)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 31, 2), (1, 1, 31, 34)])
def test_bands_that_lie_in_the_padding(shape: tuple[int, ...], integer: bool) -> None:
    run(shape, 5, 1, 17, integer, outputs=3)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize(
    ("shape", "kernel", "stride"),
    [
        ((1, 1, 50, 52), 33, 1),
        ((4, 3, 17, 17), 17, 1),
        ((2, 1, 70, 70), 64, 2),
        ((1, 2, 40, 40), 31, 3),
    ],
)
def test_taps_beyond_the_largest_dilation(
    shape: tuple[int, ...], kernel: int, stride: int, integer: bool
) -> None:
    """Folded taps are as many rows apart as there are of them."""
    run(shape, kernel, stride, 2, integer)
