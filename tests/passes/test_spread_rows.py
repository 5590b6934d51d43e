"""Pieces of an image side by side in the lanes: the same numbers, in fewer cycles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import VerifyException

from bmnetu.pipeline import run_pipeline
from dialects.bm1684.cycles import schedule
from dialects.quant.base import PIECES, QuantOp, i64s, pieces_of
from dialects.quant.compute import ConvOp
from dialects.quant.eltwise import BinaryKind
from dialects.quant.movement import ConcatOp
from dialects.quant.windows import RowWindow
from dialects.ufw import ops as ufw
from passes.image.groups import command_groups
from passes.module.functions import main_function
from passes.quant import quant_spread_rows
from passes.quant.quant_widen_convs import QuantWidenConvsPass
from passes.spread.layers import Spread
from passes.spread.pieces import Pieces, rows_together
from passes.spread.region import Entry, Region, regions_of
from passes.tile.tile_keep_local import TileKeepLocalPass
from passes.verification.findings import Findings
from passes.verify_layers import VerifyLayersPass
from tests.branch_nets import BranchNet
from tests.compiled import compiled
from tests.pipelines import static_passes
from tests.quant_runs import evaluated, run
from tests.spread_nets import NETWORKS, narrow_net, relu

Array = NDArray[Any]
Build = Callable[[bool], ModuleOp]
LOWER = "convert-ufw-to-quant,quant-fuse-relu"
SPREAD = "quant-spread-rows"


def windowed(x: Array, window: RowWindow, taps: Array) -> Array:
    """Weighted sums of the rows under a window, zeros outside of the image."""
    padded = np.concatenate([np.zeros(window.pad), x, np.zeros(window.extent)])
    starts = range(0, window.out * window.stride, window.stride)
    return np.array([padded[i : i + window.extent] @ taps for i in starts])


@pytest.mark.parametrize("seed", range(60))
def test_good_rows_are_those_of_the_whole(seed: int) -> None:
    """And no others, as far as the numbers can tell."""
    rng = np.random.default_rng(seed)
    count, height = int(rng.choice((2, 4))), int(rng.integers(40, 90))
    strides = [int(rng.choice((1, 1, 2))) for _ in range(2)]
    step = int(np.prod(strides))
    shift = (height // count - int(rng.integers(0, 6))) // step * step
    pieces: Pieces | None = Pieces.of(height, count, shift)
    whole, rows = rng.standard_normal(height), height - (count - 1) * shift
    parts = [whole[i * shift : i * shift + rows] for i in range(count)]
    for stride in strides:
        extent = int(rng.integers(stride, 6))
        pad = int(rng.integers(0, extent))
        taps = rng.uniform(0.5, 1, extent)
        out = (len(whole) + 2 * pad - extent) // stride + 1
        window = RowWindow(len(whole), out, stride, pad, extent)
        whole = windowed(whole, window, taps)
        assert pieces is not None
        pieces = pieces.through(window)
        if pieces is None:
            return  # the overlap is used up
        short = replace(window, out=pieces.rows)
        parts = [windowed(part, short, taps) for part in parts]
        for i, (part, (first, end)) in enumerate(zip(parts, pieces.good, strict=True)):
            at = np.arange(pieces.rows) + i * pieces.shift
            same = np.isclose(part, whole[at])
            inside = (at >= first) & (at < end)
            assert same[inside].all()
            assert not same[~inside].any()


def test_the_overlap_must_be_enough() -> None:
    window = RowWindow(64, 64, 1, 1, 3)
    assert Pieces.of(64, 2, 32).through(window) is None
    once = Pieces.of(64, 2, 31).through(window)
    assert once is not None
    assert once == Pieces(31, 33, ((0, 32), (32, 64)))
    assert once.through(window) is None


def test_pieces_begin_at_steps() -> None:
    halving = RowWindow(64, 32, 2, 1, 3)
    assert Pieces.of(64, 2, 31).through(halving) is None
    assert Pieces.of(64, 2, 30).through(halving) == Pieces(15, 17, ((0, 17), (16, 32)))


def test_parts_begin_where_the_engine_takes_a_tensor() -> None:
    """Parts begin at a multiple of two rows, and with a window of 3 what they read in the piece."""
    pieces = Pieces.of(64, 2, 27)
    assert pieces.cuts(RowWindow(64, 64), 1, 1) == (0, 27, 64)
    assert pieces.cuts(RowWindow(64, 64, 1, 1, 3), 1, 1) == (0, 28, 64)
    assert pieces.cuts(RowWindow(64, 64), 2, 1) == (0, 27, 64)
    assert pieces.cuts(RowWindow(64, 64), 1, 2) == (0, 28, 64)
    assert pieces.cuts(RowWindow(64, 64), 2, 2) is None
    assert Pieces.of(64, 2, 32).cuts(RowWindow(64, 64, 1, 1, 3), 1, 1) is None


def test_shares_of_a_mean() -> None:
    assert Pieces.of(64, 2, 30).shares(64) == (0, 32, 64)
    assert Pieces.of(63, 2, 30).shares(63) is None
    assert Pieces(30, 34, ((0, 31), (31, 64))).shares(64) is None


@pytest.mark.parametrize(("width", "rows"), [(32, 1), (16, 2), (112, 2), (56, 4), (28, 8), (7, 32)])
def test_rows_together(width: int, rows: int) -> None:
    assert rows_together(width) == rows


def in_pieces(module: ModuleOp) -> dict[str, int]:
    """The tensors that lie in pieces, and in how many."""
    found = {op.top: pieces_of(op) for op in module.walk() if isinstance(op, QuantOp)}
    return {top: len(pieces[1]) for top, pieces in found.items() if pieces}


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("build", NETWORKS)
def test_the_same_numbers(build: Build, integer: bool) -> None:
    plain = run(build(integer), LOWER)
    beside = run(plain.clone(), SPREAD)
    assert in_pieces(beside)
    for got, expected in zip(evaluated(beside), evaluated(plain), strict=True):
        assert expected.min() < expected.max()
        if integer:
            np.testing.assert_array_equal(got, expected)
        else:
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_which_tensors_lie_in_pieces() -> None:
    """Of all that the lanes hold; the last convolution makes a whole."""
    separable, quarters, weighted, chained = (
        in_pieces(run(build(False), f"{LOWER},{SPREAD}")) for build in NETWORKS
    )
    assert separable == {"t2": 2, "t4": 2, "t5": 2}
    assert quarters == {f"t{i}": 4 for i in range(1, 9)}
    assert set(weighted.values()) == {2}
    assert len(weighted) == 5
    assert chained == {"t1": 4, "t2": 4, "t3": 2, "t4": 2}


def wide(net: BranchNet) -> None:
    net.conv(relu(net, net.conv(net.input, 33, 3)), 16)


def given(net: BranchNet) -> None:
    """The functions' result is an output."""
    net.function(net.conv(net.input, 16, 3), "swish")


def normalised(net: BranchNet) -> None:
    """A softmax takes channels together."""
    net.conv(net.add(ufw.SoftmaxOp(net.conv(net.input, 16, 3), net.top())), 24)


@pytest.mark.parametrize("build", [wide, given, normalised])
def test_others_stay(build: Callable[[BranchNet], None]) -> None:
    net = narrow_net(False, 3, (112, 112))
    build(net)
    assert not in_pieces(run(net.module(), f"{LOWER},{SPREAD}"))


@pytest.mark.parametrize(("integer", "images"), [(False, 2), (True, 1), (True, 5)])
def test_several_words_of_images_stay(integer: bool, images: int) -> None:
    """And a single 8-bit image, which is cut into strips."""
    net = BranchNet((images, 3, 112, 112), integer)
    x = net.function(net.conv(net.input, 16, 3), "swish")
    net.conv(net.function(net.conv(x, 16, 3, group=16), "swish"), 64)
    assert not in_pieces(run(net.module(), f"{LOWER},{SPREAD}"))


def spread(module: ModuleOp, precision: str, without: str = "") -> Findings:
    """Compiles a module in place, and compares it; few outputs are no reason for wide kernels."""
    passes = [item for item in static_passes(2, precision, verify=True) if item.name != without]
    narrow = QuantWidenConvsPass(which="pooled")
    run_pipeline(module, [narrow if item.name == narrow.name else item for item in passes])
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    return verify.findings


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("build", NETWORKS)
def test_it_takes_fewer_cycles(
    build: Build, integer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(found: Spread) -> float:
        return 0.0

    def cycles() -> int:
        module = build(integer)
        found = spread(module, "INT8" if integer else "FP32")
        assert found.ok, found.verdict()
        groups = command_groups(main_function(module))
        return schedule([op.instruction for op in group.commands] for group in groups).total

    beside = cycles()
    monkeypatch.setattr(quant_spread_rows, "_saved", never)
    assert beside < 0.97 * cycles()


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("build", NETWORKS)
def test_pieces_in_ddr_are_compared(build: Build, integer: bool) -> None:
    """Their rows of the network do not follow each other there."""
    found = spread(build(integer), "INT8" if integer else "FP32", TileKeepLocalPass.name)
    assert found.ok, found.verdict()


def test_a_wrong_row_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row more than a piece has right is refused, or seen by the compare."""
    facts = Spread._facts  # pyright: ignore[reportPrivateUsage]

    def one_more(self: Spread, op: QuantOp, pieces: Pieces) -> Any:
        (first, end), *rest = pieces.good
        return facts(self, op, replace(pieces, good=((first, end + 1), *rest)))

    monkeypatch.setattr(Spread, "_facts", one_more)
    with pytest.raises(VerifyException, match="lie outside"):
        compiled(NETWORKS[0](False), 2, "FP32")
    monkeypatch.setattr(ModuleOp, "verify", Mock())
    assert not compiled(NETWORKS[0](False), 2, "FP32").ok


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([], "list of integers"),
        ([64], "three for each"),
        ([64, 0, 10], "three for each"),
        ([64, *[0, 10, 0] * 3], "three for each"),
        ([64, 0, 10, 0, 60, 10, 54], "outside"),
        ([64, 0, 10, 0, 0, 10, 60], "outside"),
        ([64, 0, 0, 0, 0, 10, 54], "outside"),
        ([64, -1, 10, 0, 0, 10, 54], "outside"),
    ],
)
def test_pieces_that_are_none(numbers: list[int], said: str) -> None:
    net = BranchNet((1, 3, 64, 64), False)
    net.conv(net.input, 16, 3)
    module = run(net.module(), LOWER)
    conv = next(op for op in module.walk() if isinstance(op, QuantOp))
    conv.attributes[PIECES] = i64s(numbers)
    with pytest.raises(VerifyException, match=said):
        module.verify()


def test_parts_begin_as_soon_as_they_can() -> None:
    assert Pieces(31, 33, ((0, 32), (32, 64))).cuts(RowWindow(64, 64), 1, 1) == (0, 32, 64)


@pytest.mark.parametrize("begin", [1, 2])
def test_pieces_of_some_rows_begin_where_the_engine_takes_a_tensor(begin: int) -> None:
    """Two by two rows of 112 floats of the tensor that the rows are a part of; of a network input
    any."""
    net = narrow_net(False, 64, (80 + begin, 112))
    whole = net.function(net.input, "tanh")
    _, rows = net.add_all(ufw.SliceOp(whole, [net.top(), net.top()], [begin, 80], axis=2))
    net.conv(rows, 16)
    net.conv(net.input, 16)
    module = run(net.module(), LOWER)
    of_rows, of_input = (Entry.of(op) for op in module.walk() if isinstance(op, ConvOp))
    assert of_rows is not None
    assert of_input is not None
    for row in range(4):
        assert of_rows.can_begin(row, 40) == ((begin + row) % 2 == 0)
    assert of_input.can_begin(1, 40)


def test_parts_of_a_piece_lie_where_the_engine_takes_a_tensor() -> None:
    """A piece that begins in one part of an entry and ends in the next."""
    net = narrow_net(False, 3, (80, 112))
    parts = [net.conv(net.input, 16, stride=[2, 1]) for _ in range(2)]
    net.add(ufw.ConcatOp(parts, net.top(), axis=2))
    module = run(net.module(), LOWER)
    entries = (Entry.of(op) for op in module.walk() if isinstance(op, ConcatOp))
    assert next(entries) is None  # its parts have names: others see them
    for op in module.walk():
        if isinstance(op, ConvOp):
            op.tops = ArrayAttr([StringAttr("")])
    (entry,) = (Entry.of(op) for op in module.walk() if isinstance(op, ConcatOp))
    assert entry is not None
    assert [(low, rows) for _, low, rows in entry.parts(38, 10)] == [(38, 2), (0, 8)]
    assert entry.can_begin(38, 10)
    assert not entry.can_begin(39, 10)


Build16 = Callable[[BranchNet, SSAValue], None]
"""Layers behind a function of 16 channels of 80 rows of 128 floats."""


def behind(build: Build16, channels: int = 16) -> ModuleOp:
    net = narrow_net(False, 3, (80, 128))
    build(net, net.function(net.conv(net.input, channels, 3), "swish"))
    return run(net.module(), LOWER)


def times(net: BranchNet, x: SSAValue, factors: SSAValue) -> SSAValue:
    return net.add(ufw.BinaryOp([x, factors], net.top(), BinaryKind.MUL))


def one_factor(net: BranchNet, x: SSAValue) -> None:
    """The same for all channels."""
    factor = net.conv(net.pool(x, "average", (80, 128), 1), 1)
    net.conv(times(net, x, factor), 40)


def mean_of_all(net: BranchNet, x: SSAValue) -> None:
    """Pieces that do not overlap: each is as long as its part of the mean."""
    net.pool(x, "average", (80, 128), 1)
    net.conv(x, 40)


def joined(net: BranchNet, x: SSAValue) -> None:
    """A result of the network, with its name, whose rows stand beside others."""
    y = net.conv(x, 40)
    net.add(ufw.ConcatOp([y, net.conv(net.input, 40)], net.top(), axis=2))


@pytest.mark.parametrize("build", [one_factor, mean_of_all, joined])
def test_ends_of_a_region(build: Build16) -> None:
    plain = behind(build)
    beside = run(plain.clone(), SPREAD)
    assert in_pieces(beside)
    tops = {op.top for op in plain.walk() if isinstance(op, QuantOp)}
    assert tops <= {op.top for op in beside.walk() if isinstance(op, QuantOp)}
    for got, expected in zip(evaluated(beside), evaluated(plain), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def regions(module: ModuleOp) -> list[Region]:
    """Those that begin with the first convolution."""
    block = main_function(module).body.block
    entry = next(entry for op in block.ops if (entry := Entry.of(op)))
    return list(regions_of(block, entry))


def test_factors_of_channels_or_pixels_end_a_region() -> None:
    """One channel times many, and factors of columns, which differ from pixel to pixel."""

    def spreads(net: BranchNet, x: SSAValue) -> None:
        net.conv(times(net, x, net.pool(net.conv(net.input, 16), "average", (80, 128), 1)), 40)

    def meets(net: BranchNet, x: SSAValue) -> None:
        net.conv(times(net, x, net.pool(net.conv(net.input, 16), "average", (80, 1), 1)), 40)

    assert not regions(behind(spreads, 1))
    assert not regions(behind(meets))
    assert regions(behind(spreads))


@pytest.mark.parametrize("at", [0, 1])
def test_pieces_are_not_cut_again(at: int) -> None:
    module = behind(mean_of_all)
    assert regions(module)
    ops = [op for op in module.walk() if isinstance(op, QuantOp)]
    ops[at].attributes[PIECES] = i64s([160, 0, 80, 0])
    if at:
        assert not regions(module)
    else:
        assert Entry.of(ops[at]) is None
