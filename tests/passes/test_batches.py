"""Batches: what several images leave in local memory, whichever part of them a command makes."""

from __future__ import annotations

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684 import tile
from tests.branch_nets import BranchNet
from tests.compiled import compiled
from tests.pipelines import static_text


def layers(batch: int, integer: bool) -> ModuleOp:
    """Convolutions whose weights come part by part, and functions of all channels between."""
    net = BranchNet((batch, 128, 8, 6), integer)
    channels = 512 if integer else 256
    x = net.conv(net.input, channels, kernel=3)
    x = net.conv(net.prelu(x), channels, kernel=3)
    net.conv(net.prelu(x), channels, kernel=3)
    return net.module()


def in_slices(batch: int) -> ModuleOp:
    """Large tensors, image by image, and then one that all images are together in."""
    net = BranchNet((batch, 64, 56, 56), False)
    x = net.prelu(net.conv(net.input, 64, kernel=3))
    x = net.conv(net.conv(x, 64, kernel=3, stride=(2, 2)), 64, kernel=3, stride=(2, 2))
    net.conv(net.prelu(x), 256, kernel=3)
    return net.module()


def stored(module: ModuleOp, precision: str) -> list[tile.StoreOp]:
    """Stores of anything but the network's results."""
    text = static_text(2, precision)
    run_pipeline(module, parse_pipeline(text[: text.index(",tile-merge-loads")]))

    def buffer(value: SSAValue) -> object:
        owner = value.owner
        return buffer(owner.source) if isinstance(owner, tile.ViewOp) else owner

    stores = [op for op in module.walk() if isinstance(op, tile.StoreOp)]
    return [op for op in stores if not isinstance(buffer(op.dst), tile.OutputOp)]


@pytest.mark.parametrize(("batch", "integer"), [(1, False), (4, False), (3, False), (8, True)])
def test_parts_of_the_channels_of_all_images_stay(batch: int, integer: bool) -> None:
    precision = "INT8" if integer else "FP32"
    assert not stored(layers(batch, integer), precision)
    findings = compiled(layers(batch, integer), 2, precision)
    assert findings.ok, findings.verdict()


def test_images_that_are_computed_apart_stay() -> None:
    assert not stored(in_slices(4), "FP32")
    findings = compiled(in_slices(4), 2, "FP32")
    assert findings.ok, findings.verdict()
