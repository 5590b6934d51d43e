"""A single image of floats, the network's input, is quantised band by band, strips and all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from bmnetu.report.profile import profile
from dialects.bm1684.isa import CONV, FILL, Direction, Engine, Instruction
from dialects.bm1684.npu import CommandOp
from dialects.quant import types
from dialects.quant.base import int_attr
from dialects.quant.strips import QuantizeStripsOp
from tests.compiled import compiled
from tests.one_layer import one_layer
from tests.passes.kernels import one_quant_op
from tests.passes.kernels.test_strip_input import CASES, Size, convolution

BORDER: dict[str, Any] = {"input_as_fp32": ("in0",)}
FEW = ((1, 3, 9, 20), (3, 3), 1, (1, 1, 1, 1))
"""A last strip that has no row of the image at all."""
COLUMNS = ((1, 4, 17, 7), (3, 1), 2, (0, 0, 15, 15))
"""Every other column under a kernel of one."""


def layer(
    shape: tuple[int, ...], kernel: Size, stride: int, pad: tuple[int, ...], *, signed: bool
) -> ModuleOp:
    """A convolution of an 8-bit image, which a border makes of floats."""
    build = convolution(shape[1], kernel, stride, pad)
    return one_layer(build, shape, integer=True, signed=signed)


def instructions(module: ModuleOp) -> list[Instruction]:
    return [op.instruction for op in module.walk() if isinstance(op, CommandOp)]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("shape", "kernel", "stride", "pad"), [*CASES, FEW, COLUMNS])
def test_the_numbers(
    shape: tuple[int, ...], kernel: Size, stride: int, pad: tuple[int, ...], signed: bool
) -> None:
    module = layer(shape, kernel, stride, pad, signed=signed)
    findings = compiled(module, 2, "INT8", **BORDER)
    assert findings.ok, findings.verdict()


def test_numbers_outside_of_8_bits_are_cut() -> None:
    """Floats far out of range, halves, and both zeros."""
    numbers = np.array([1e30, -1e30, 0.5, -0.5, 1.5, 126.5, 127.5, -128.5, -0.0], np.float32)
    x = np.resize(numbers * np.float32(0.05), (1, 3, 30, 26)).astype(np.float32)
    module = layer(x.shape, (3, 3), 2, (1, 1, 1, 1), signed=True)
    findings = compiled(module, 2, "INT8", given={"in0": x}, **BORDER)
    assert findings.ok, findings.verdict()


def test_the_engines_overlap() -> None:
    """Floats of a band are loaded while the one before is quantised, stored, and computed; an odd
    width does not hinder it."""
    module = layer((1, 3, 227, 227), (3, 3), 2, (0, 0, 0, 0), signed=True)
    assert compiled(module, 2, "INT8", **BORDER).ok
    found = instructions(module)
    assert len([i for i in found if i.kind is CONV]) == 4
    total = profile(module).total
    assert total.cycles < 0.85 * (total.tiu_cycles + total.gdma_cycles)


def test_rows_that_are_not_folded_stay_in_local_memory() -> None:
    """They move from the lanes of rows to those of channels."""
    module = layer((1, 3, 60, 60), (1, 1), 1, (0, 0, 0, 0), signed=True)
    compiled(module, 2, "INT8", **BORDER)
    moves = [i for i in instructions(module) if i.engine is Engine.GDMA]
    local = [i for i in moves if i["direction"] == Direction.LOCAL_TO_LOCAL]
    assert sum(i["src_csize"] for i in local if i["dst_csize"] == 1) == 15 * 3
    assert sum(i["direction"] == Direction.LOCAL_TO_SYSTEM for i in moves) == 1  # the output


def test_taps_of_rows_are_channels_of_one_load() -> None:
    """Nothing is moved between lanes, and the image's floats are loaded once."""
    module = layer((1, 3, 227, 227), (3, 3), 2, (0, 0, 0, 0), signed=True)
    compiled(module, 2, "INT8", **BORDER)
    moves = [i for i in instructions(module) if i.engine is Engine.GDMA and i.kind is not FILL]
    assert all(i["direction"] != Direction.LOCAL_TO_LOCAL for i in moves)
    loads = [i for i in moves if i["direction"] == Direction.SYSTEM_TO_LOCAL]
    assert [i["src_csize"] for i in loads].count(9) == 4
    rows = sum(i["src_nsize"] * i["src_csize"] for i in loads if i["src_hsize"] == 3)
    assert rows == 227


@pytest.mark.parametrize("channels", [3, 70])
@pytest.mark.parametrize(("height", "rows", "above", "below"), [(30, 8, 0, 0), (9, 4, 2, 3)])
def test_strips_that_are_made_at_once(
    channels: int, height: int, rows: int, above: int, below: int
) -> None:
    """By the op's own kernel: no convolution reads them."""
    image, strips = (1, channels, height, 6), (4, channels, above + rows + below, 6)
    made = types.int_tensor(strips, 0.05, False)
    halos = {"above": int_attr(above), "below": int_attr(below)}
    one_quant_op.check(QuantizeStripsOp, [types.float_tensor(image)], [made], 2, **halos)
