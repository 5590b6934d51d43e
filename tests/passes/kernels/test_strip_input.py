"""A single 8-bit image of the network's input is read strip by strip as it comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from bmnetu.report.profile import profile
from dialects.bm1684.isa import CONV, Direction
from dialects.bm1684.npu import CommandOp
from dialects.quant.scale import ScaleAttr
from dialects.quant.strips import with_halos
from dialects.ufw import ops as ufw
from dialects.ufw.layer import SI8, LayerOp, Top
from passes.kernels.input_strips.rows import strips_with
from tests.compiled import compiled
from tests.one_layer import one_layer

Size = tuple[int, int]


def convolution(
    channels: int, kernel: Size, stride: int, pad: tuple[int, ...], dilation: Size = (1, 1)
) -> Any:
    """A convolution to 16 channels."""
    random = np.random.default_rng(channels)
    weight = random.integers(-99, 99, (16, channels, *kernel)).astype(np.int8)
    bias = random.integers(-999, 999, 16).astype(np.int16)

    def build(x: SSAValue) -> LayerOp:
        top = Top("y", SI8, ScaleAttr.of(0.05))
        return ufw.ConvolutionOp(
            x, top, weight, bias, stride=(stride, stride), pad=pad, dilation=dilation,
            right_shift=9,
        )  # fmt: skip

    return build


def stores(module: ModuleOp) -> int:
    """Transfers to DDR."""
    commands = [op.instruction for op in module.walk() if isinstance(op, CommandOp)]
    moves = [c for c in commands if c.engine.name == "GDMA"]
    return sum(c["direction"] == Direction.LOCAL_TO_SYSTEM for c in moves)


CASES: list[tuple[tuple[int, ...], Size, int, tuple[int, ...]]] = [
    ((1, 3, 64, 60), (3, 3), 1, (1, 1, 1, 1)),
    ((1, 3, 65, 60), (3, 3), 2, (1, 1, 1, 1)),  # strips that the image does not fill
    ((1, 3, 61, 50), (7, 7), 2, (3, 3, 3, 3)),
    ((1, 1, 40, 48), (5, 3), 1, (2, 2, 1, 1)),
    ((1, 6, 33, 40), (3, 3), 1, (0, 0, 0, 0)),
    ((1, 80, 36, 30), (3, 3), 1, (1, 1, 1, 1)),  # two rows of lanes
    ((1, 3, 30, 33), (1, 1), 1, (0, 0, 0, 0)),
    ((1, 3, 80, 80), (3, 1), 2, (0, 0, 0, 0)),  # every other column alone
]
"""Shape, kernel, stride and pad."""


@pytest.mark.parametrize(("shape", "kernel", "stride", "pad"), CASES)
def test_the_numbers(
    shape: tuple[int, ...], kernel: Size, stride: int, pad: tuple[int, ...]
) -> None:
    module = one_layer(convolution(shape[1], kernel, stride, pad), shape, integer=True)
    findings = compiled(module, 2, "INT8")
    assert findings.ok, findings.verdict()
    assert stores(module) == 1  # the output; no strips


def test_few_pixels_are_one_band() -> None:
    """Two of each row: a band takes a step of 16 at least."""
    build = convolution(1, (11, 11), 4, (10, 2, 6, 5), (2, 1))
    module = one_layer(build, (1, 1, 23, 9), integer=True)
    assert compiled(module, 2, "INT8").ok
    found = [op.instruction for op in module.walk() if isinstance(op, CommandOp)]
    assert len([i for i in found if i.kind is CONV]) == 1


def test_the_engines_overlap() -> None:
    """The convolution of a band runs while the next one is loaded."""
    module = one_layer(convolution(3, (3, 3), 1, (1, 1, 1, 1)), (1, 3, 224, 224), integer=True)
    assert compiled(module, 2, "INT8").ok
    total = profile(module).total
    assert total.cycles < 0.9 * (total.tiu_cycles + total.gdma_cycles)


@pytest.mark.parametrize(("above", "below", "height"), [(0, 0, 8), (1, 1, 8), (2, 1, 7), (0, 2, 5)])
def test_which_strips_have_a_row(above: int, below: int, height: int) -> None:
    """Against the strips themselves, filled with a number that the image does not have."""
    image = np.ones((1, 1, height, 3), np.int8)
    strips = with_halos(image, 2, above, below, 0)
    for row in range(above + 2 + below):
        first, last = strips_with(row, 2, above, height)
        assert [k for k in range(4) if strips[k, 0, row, 0]] == list(range(first, last))
