"""Float residual sums: the convolution that comes last adds to the other tensor where that lies."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from bmnetu.pipeline import run_pipeline
from bmnetu.ways.search import NO_SLICES
from dialects.bm1684 import tile
from dialects.quant import compute
from dialects.ufw import ops as ufw
from passes.quant.quant_slice_rows import QuantSliceRowsPass
from passes.tile.tile_keep_local import TileKeepLocalPass
from tests.branch_nets import BranchNet
from tests.compiled import compiled
from tests.pipelines import static_passes

LARGE = (1, 6, 60, 60)
SHAPES = [(1, 6, 9, 7), (3, 6, 8, 8), (1, 6, 40, 33)]


def residual(
    shape: tuple[int, ...],
    channels: int,
    inner: int,
    blocks: int = 2,
    branches: bool = True,
    integer: bool = False,
) -> ModuleOp:
    """A stem, and bottlenecks that are added to it; every second one to a branch of its own."""
    net = BranchNet(shape, integer)
    x = net.conv(net.input, channels)
    for block in range(blocks):
        y = net.conv(net.conv(x, inner), inner, kernel=3)
        y = net.conv(y, channels)
        x = net.sum(net.conv(x, channels) if branches and block % 2 else x, y)
        x = net.add(ufw.ReLUOp(x, net.top()))
    return net.module()


def stored(module: ModuleOp) -> Counter[str]:
    """How many stores there are, but for those of outputs, where tensors stay in local memory, and
    convolutions that add. Nothing runs in slices of rows."""
    for item in static_passes(2, "FP32"):
        whole = isinstance(item, QuantSliceRowsPass)
        run_pipeline(module, [QuantSliceRowsPass(NO_SLICES) if whole else item], lambda item: None)
        if isinstance(item, TileKeepLocalPass):
            break
    found = Counter[str]()
    for op in module.walk():
        if isinstance(op, tile.StoreOp):
            found["stored"] += not isinstance(_buffer(op.dst), tile.OutputOp)
        elif isinstance(op, tile.ConvOp):
            found["added"] += bool(op.accumulate.value.data)
    return found


def _buffer(value: SSAValue) -> Operation | Block:
    owner = value.owner
    return _buffer(owner.source) if isinstance(owner, tile.ViewOp) else owner


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize("channels", [24, 130])
@pytest.mark.parametrize("shape", SHAPES)
def test_they_compute_the_same(shape: tuple[int, ...], channels: int, opt: int) -> None:
    findings = compiled(residual(shape, channels, 16), opt, "FP32")
    assert findings.ok, findings.verdict()


@pytest.mark.parametrize("channels", [24, 130])
def test_nothing_goes_through_ddr_between(channels: int) -> None:
    found = stored(residual(SHAPES[0], channels, 16, blocks=4))
    assert not found["stored"]
    assert found["added"] >= 4


def test_a_tensor_of_half_of_local_memory_is_read_and_added_to_there() -> None:
    """Two blocks: the first convolution of each takes it in two parts of its rows, as there is no
    room for all of its operand and result in half of local memory; it stores these parts. What the
    last one makes stays where the tensor is."""
    found = stored(residual(LARGE, 1024, 160, branches=False))
    assert found["stored"] == 2 * 2
    findings = compiled(residual(LARGE, 1024, 160, branches=False), 2, "FP32")
    assert findings.ok, findings.verdict()


def twice_read() -> ModuleOp:
    """Two sums with one tensor: the first one must leave it as it is."""
    net = BranchNet((1, 6, 5, 5), False)
    x = net.conv(net.input, 6)
    net.sum(x, net.sum(x, net.conv(x, 6, kernel=3)))
    return net.module()


def test_a_tensor_that_is_read_later_stays_as_it_is() -> None:
    module = twice_read()
    for item in static_passes(2, "FP32"):
        if item.name == "convert-quant-to-tile":
            break
        run_pipeline(module, [item], lambda item: None)
    assert not [op for op in module.walk() if isinstance(op, compute.ConvAddOp)]
    findings = compiled(twice_read(), 2, "FP32")
    assert findings.ok, findings.verdict()


def test_a_network_that_asks_for_both_operands_gets_them() -> None:
    """The other operand is an output: it must not be changed where it lies."""
    net = BranchNet((1, 6, 7, 7), False)
    x = net.conv(net.input, 70)
    y = net.conv(net.conv(x, 8, kernel=3), 70)
    net.add(ufw.PointwiseOp(x, net.top(), "sigmoid"))
    net.sum(x, y)
    findings = compiled(net.module(), 2, "FP32")
    assert findings.ok, findings.verdict()
    assert len(findings.outputs) == 2
    assert all(np.isfinite(array).all() for array in findings.outputs.values())


def test_slices_of_a_layer_are_fused_alike() -> None:
    """The other operand is made of parts that all slices read but the last: its tensor must not be
    compared where only some of it is there."""
    net = BranchNet((1, 1, 113, 128), False)
    whole = net.concat(net.conv(net.input, 128), net.conv(net.input, 128))
    net.conv(net.sum(net.conv(net.conv(whole, 8), 256), whole), 4)
    findings = compiled(net.module(), 2, "FP32")
    assert findings.ok, findings.verdict()
