"""Weights of small layers in one transfer: the same numbers, with fewer loads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from bmnetu.pipeline import run_pipeline
from dialects.bm1684 import tile
from dialects.bm1684.cycles import cycles_of
from dialects.bm1684.cycles.gdma import load_cycles
from dialects.bm1684.isa import MOVE, Direction
from passes.image.groups import command_groups
from passes.module.functions import main_function
from passes.tile.tile_merge_loads import TileMergeLoadsPass, cycles_saved
from passes.verification.findings import Findings
from passes.verify_layers import VerifyLayersPass
from tests.branch_nets import BranchNet
from tests.pipelines import static_passes

LATE = 800


def separable(integer: bool) -> ModuleOp:
    """Depthwise and pointwise convolutions with PReLU, from 3 to 130 channels."""
    net = BranchNet((1, 3, 20, 24), integer)
    x = net.conv(net.input, 24, kernel=3)
    for channels, outputs in ((24, 40), (40, 70), (70, 130)):
        x = net.conv(net.prelu(x), channels, kernel=3, group=channels)
        x = net.conv(x, outputs)
    return net.module()


def branches(integer: bool) -> ModuleOp:
    """Parts of a concatenation, which begin in other lanes than the first."""
    net = BranchNet((1, 16, 18, 22), integer)
    parts = [net.conv(net.input, outputs, kernel=kernel) for outputs, kernel in
             ((24, 1), (20, 3), (28, 1))]  # fmt: skip
    net.conv(net.concat(*parts), 10)
    return net.module()


NETWORKS = [separable, branches]


def merged(module: ModuleOp, precision: str, late: int) -> Findings:
    """Compiles a module in place, and compares it."""
    passes = static_passes(2, precision, verify=True)
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    merge = TileMergeLoadsPass(late)
    run_pipeline(module, [merge if isinstance(p, TileMergeLoadsPass) else p for p in passes])
    return verify.findings


def loads(module: ModuleOp, precision: str, late: int) -> list[int]:
    """Cycles of the loads from DDR; the compare found nothing."""
    findings = merged(module, precision, late)
    assert findings.ok, findings.verdict()
    groups = command_groups(main_function(module))
    commands = [op.instruction for group in groups for op in group.commands]
    return [
        cycles_of(command) or 0
        for command in commands
        if command.kind is MOVE and command["direction"] == Direction.SYSTEM_TO_LOCAL
    ]


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("build", NETWORKS)
def test_fewer_loads_and_the_same_numbers(
    build: Callable[[bool], ModuleOp], integer: bool
) -> None:
    precision = "INT8" if integer else "FP32"
    alone, together = (loads(build(integer), precision, late) for late in (0, LATE))
    assert len(together) < len(alone)
    assert sum(together) < sum(alone) - 100


def lowered(module: ModuleOp, precision: str) -> ModuleOp:
    passes = static_passes(2, precision)
    at = next(i for i, p in enumerate(passes) if isinstance(p, TileMergeLoadsPass))
    run_pipeline(module, passes[:at])
    return module


def test_what_is_saved_is_what_the_loads_take_less() -> None:
    alone, together = (loads(separable(True), "INT8", late) for late in (0, LATE))
    saved = cycles_saved(main_function(lowered(separable(True), "INT8")), LATE)
    assert saved == pytest.approx(sum(alone) - sum(together), rel=0.03)


@pytest.mark.parametrize("late", [50, 150, 400])
def test_nothing_comes_later_than_it_may(late: int) -> None:
    module = lowered(separable(False), "FP32")
    before = {op.value.data.shape for op in module.walk() if isinstance(op, tile.ConstantOp)}
    run_pipeline(module, [TileMergeLoadsPass(late)])
    now = {op.value.data.shape for op in module.walk() if isinstance(op, tile.ConstantOp)}
    assert now != before
    alone = [load_cycles(4 * int(np.prod(shape)), 4 * shape[-1]) for shape in before]
    for shape in now - before:
        whole = load_cycles(4 * int(np.prod(shape)), 4 * shape[-1])
        assert any(whole <= first + late for first in alone)
