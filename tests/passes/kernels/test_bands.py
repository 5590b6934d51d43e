"""Bands: the first layer is computed piece by piece while its input comes in."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import CONV
from dialects.bm1684.layout import lane_rows
from dialects.bm1684.npu import CommandOp
from dialects.quant import types
from dialects.ufw import ops as ufw
from passes.kernels import window
from passes.kernels.tiling import Axis, Problem, TileSize
from passes.kernels.window import BANDS, band_rows, rows_at_most, rows_in_place
from passes.module.functions import main_function
from tests.compiled import compiled
from tests.net_maker import NetMaker
from tests.random_nets import finished


def problem(out: int, width: int, *, pack: int = 4, multiple: int = 1) -> Problem:
    return Problem(4, 3, 64, Axis(out, out, 1), Axis(width, width, 1), pack, True,
                   multiple=multiple)  # fmt: skip


@pytest.mark.parametrize(
    ("out", "width", "channels", "images", "multiple", "rows"),
    [
        (112, 112, 64, 4, 1, 14),
        (112, 113, 64, 4, 1, 32),  # a band starts at a multiple of 32 words
        (112, 112, 65, 4, 1, 14),  # each row of lanes has a band of its own
        (112, 112, 64, 5, 1, 112),  # and another group of images
        (100, 16, 64, 4, 2, 14),
        (5, 32, 64, 4, 1, 1),
    ],
)
def test_rows_of_a_band(
    out: int, width: int, channels: int, images: int, multiple: int, rows: int
) -> None:
    p = problem(out, width, multiple=multiple)
    assert band_rows(p, TileSize(images, channels, out, width), BANDS) == rows


@pytest.mark.parametrize(("cycles", "rows"), [(13.0, 32), (14.0, 14)])
def test_a_band_that_starts_elsewhere_is_copied_where_that_pays(cycles: float, rows: int) -> None:
    """The last of eight bands instead of four saves an eighth of 791 steps, which are copied; four
    loads more begin."""
    assert band_rows(problem(112, 113), TileSize(4, 64, 112, 113), BANDS, cycles) == rows


def test_as_many_bands_are_not_copied() -> None:
    """Four of at most 8 rows, of which the last has 4, are as many as four of 7."""
    assert band_rows(problem(28, 112), TileSize(4, 64, 28, 112), 4, 99.0) == 8


def test_a_few_bands_more_are_not_copied() -> None:
    """Seven of 16 rows, or eight of 14."""
    assert band_rows(problem(112, 110), TileSize(4, 64, 112, 110), BANDS, 99.0) == 16


@pytest.mark.parametrize(
    ("rows", "width", "found"),
    [(7, 112, 8), (7, 113, 7), (31, 113, 32), (4, 128, 4), (90, 113, 60)],
)
def test_bands_of_about_so_many_rows(rows: int, width: int, found: int) -> None:
    """Not far more, as they take memory: a band of 113 columns begins behind 32 rows."""
    assert rows_at_most(problem(60, width), TileSize(4, 64, 60, width), rows) == found


@pytest.mark.parametrize(
    ("out", "tile", "rows"),
    [
        (149, TileSize(1, 64, 75, 149), 64),  # 32 rows of 149 columns end at 128 bytes
        (149, TileSize(1, 64, 20, 149), 20),
        (149, TileSize(1, 65, 75, 149), 75),  # several rows of lanes, which are not together
        (149, TileSize(1, 64, 75, 80), 75),
        (149, TileSize(1, 64, 149, 149), 149),
        (900, TileSize(1, 64, 75, 149), 75),  # more than half of local memory
    ],
)
def test_rows_of_a_tile_that_can_stay(out: int, tile: TileSize, rows: int) -> None:
    assert rows_in_place(problem(out, 149, pack=1), tile).h == rows


def test_depthwise_rows_of_lanes_stay_whole() -> None:
    p = replace(problem(112, 112), dense=False)
    assert band_rows(p, TileSize(4, 64, 112, 112), BANDS) == 14
    assert band_rows(p, TileSize(4, 65, 112, 112), BANDS) == 112


def two_layers(
    integer: bool, batch: int, outputs: int, stride: int, group: int, width: int = 24
) -> ModuleOp:
    """Two convolutions, the first with so many groups."""
    net = NetMaker(Random(0), integer)
    shape = (batch, 3 * group, 20, width)
    kind = types.int_tensor(shape, 0.02, False) if integer else types.float_tensor(shape)
    net.values.append(net.block.insert_arg(kind, 0))
    for x, inputs, outs, g in ((0, shape[1], outputs, group), (1, outputs, 40, 1)):
        settings = net.coefficients((outs, inputs // g, 5, 5), outs, inputs // g * 25)
        weight = settings.pop("weight")
        net.add(ufw.ConvolutionOp(
            net.values[x], net.top(False), weight, stride=[stride] * 2, pad=[2, 2],
            dilation=[1, 1], group=g, **settings,
        ))  # fmt: skip
    return finished(net)


def run(
    integer: bool, batch: int, outputs: int, stride: int, group: int, width: int = 24
) -> list[CommandOp]:
    """Compiles them, compared, at opt 2."""
    module = two_layers(integer, batch, outputs, stride, group, width)
    findings = compiled(module, 2, "INT8" if integer else "FP32")
    assert findings.ok, findings.verdict()
    return [op for op in main_function(module).body.block.ops if isinstance(op, CommandOp)]


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize(
    ("batch", "outputs", "stride"), [(1, 36, 1), (4, 36, 2), (4, 70, 1), (5, 36, 1)]
)
def test_one_group_is_cut(
    integer: bool, batch: int, outputs: int, stride: int
) -> None:
    commands = [op.instruction for op in run(integer, batch, outputs, stride, 1)]
    first = [i for i in commands if i.kind is CONV and i["res0_c"] == min(outputs, 64)]
    others = [i for i in commands if i.kind is CONV and i["res0_c"] == outputs - 64]
    whole = batch > (4 if integer else 1) or (integer and batch == 1)
    assert (len(first) > 1) == (not whole)
    assert len(first) <= BANDS
    assert len(others) == len(first) * (outputs > 64)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("outputs", [24, 70])
def test_bands_of_an_odd_width_are_copied(
    integer: bool, outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "LOAD_CYCLES", 0)  # or else small images stay whole
    commands = [op.instruction for op in run(integer, 4 if integer else 1, outputs, 2, 1, 25)]
    bands = [i for i in commands if i.kind is CONV and i["res0_c"] in (64, outputs, outputs - 64)]
    assert len([i for i in bands if i["res0_h"] == 2]) == 5 * lane_rows(outputs)
    assert all(i["res0_addr"] % BM1684.alignment == 0 for i in bands)


def test_groups_are_cut_one_by_one() -> None:
    """Wide ones, which are not merged."""
    commands = [op.instruction for op in run(False, 1, 192, 1, 3)]
    assert len([i for i in commands if i.kind is CONV and i["res0_c"] == 64]) > 6
