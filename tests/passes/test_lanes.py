"""Where tensors end: what is computed stays in the lanes of its channels.

In local memory another tensor may begin in the lane behind the last channel: another part of the
same concatenation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, Space
from tests.branch_nets import BranchNet
from tests.compiled import compiled
from tests.pipelines import static_text
from tests.random_nets import random_module

Cell = tuple[int, int]
"""A lane, and a row of lanes of a group of images."""


def place_of(value: SSAValue) -> tuple[tile.BufferOp, int]:
    """The buffer under a memref, and the byte where it begins there."""
    begin = 0
    while isinstance(value.owner, tile.ViewOp):
        begin += value.owner.offset.value.data
        value = value.owner.source
    assert isinstance(value.owner, tile.BufferOp)
    return value.owner, begin


def cells(ref: Ref, step: int, begin: int) -> Iterator[Cell]:
    """What words of a tensor touch, of rows of lanes that take so many words each."""
    _, _, h, w = ref.shape
    groups, channels = ref.groups, ref.shape[1]
    strides = ref.layout.strides
    for group in range(groups):
        for channel in range(channels):
            row, lane = divmod(ref.place.lane + channel, BM1684.lanes)
            first = begin // 4 + group * strides[0] + row * strides[1]
            for y in range(h):
                at = first + y * strides[2]
                yield from ((lane, r) for r in {at // step, (at + (w - 1) * strides[3]) // step})


def beside(module: ModuleOp) -> Iterator[str]:
    """Ops that write lanes in which the tensor that they make, and that is stored, has no channel.
    """
    stored = {place_of(op.src)[0] for op in module.walk() if isinstance(op, tile.StoreOp)}
    others = (tile.BufferOp, tile.ViewOp, tile.ObserveOp, tile.StoreOp)
    for op in module.walk():
        if not isinstance(op, tile.TileOp) or isinstance(op, others):
            continue
        buffer, begin = place_of(op.operands[0])
        whole, into = (Ref.of(x).as_words() for x in (buffer.ref, op.operands[0]))
        if buffer not in stored or whole.place.space is not Space.LMEM or into.layout.unit != 4:
            continue
        step = whole.layout.strides[1]
        if not set(cells(into, step, begin)) <= set(cells(whole, step, 0)):
            yield f"{op.name} at {op.location}"


def lowered(module: ModuleOp, precision: str) -> ModuleOp:
    text = static_text(2, precision)
    run_pipeline(module, parse_pipeline(text[: text.index(",tile-keep-local")]))
    return module


@pytest.mark.parametrize("integer", [False, True])
def test_random_networks(integer: bool) -> None:
    for seed in range(40):
        module = lowered(random_module(seed, integer), "INT8" if integer else "FP32")
        assert not list(beside(module))


def sums(batch: int, channels: int, integer: bool) -> ModuleOp:
    """A sum, and the tensor that it adds to, side by side."""
    net = BranchNet((batch, 20, 6, 7), integer)
    x = net.conv(net.input, channels)
    net.conv(net.concat(net.sum(x, net.conv(x, channels)), x), 30)
    return net.module()


def poolings(batch: int, channels: int, integer: bool) -> ModuleOp:
    """Poolings of the whole map side by side, the second one first."""
    net = BranchNet((batch, 20, 6, 7), integer)
    x = net.conv(net.input, channels)
    y = net.conv(net.pool(x, "max", (6, 7), (1, 1)), channels)
    z = net.pool(net.conv(x, channels), "average", (6, 7), (1, 1))
    net.conv(net.concat(z, y), 30)
    return net.module()


@pytest.mark.parametrize("build", [sums, poolings])
@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize(("batch", "channels"), [(1, 72), (4, 72), (1, 150), (5, 150)])
def test_what_lies_behind_the_last_channel_stays(
    build: Callable[[int, int, bool], ModuleOp], batch: int, channels: int, integer: bool
) -> None:
    precision = "INT8" if integer else "FP32"
    assert not list(beside(lowered(build(batch, channels, integer), precision)))
    findings = compiled(build(batch, channels, integer), 2, precision)
    assert findings.ok, findings.verdict()
