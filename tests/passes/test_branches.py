"""Branched networks stay in local memory, and give the numbers that they mean."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from bmnetu.report.profile import profile
from dialects.bm1684.isa import MOVE, Direction
from dialects.bm1684.npu import CommandOp
from dialects.execute import names_of
from dialects.quant import types
from dialects.quant.base import CHANNEL_ORDER, i64s
from dialects.quant.movement import ConcatOp
from dialects.quant.windows import ROWS
from passes.channels.shuffles import channel_order
from passes.module.functions import main_function, named_outputs
from passes.quant.quant_fold_shuffles import dense
from passes.slices import plan_rows
from tests.branch_cases import CASES
from tests.branch_nets import BranchNet
from tests.compiled import compiled
from tests.passes.slices import lowered

PRECISIONS = {False: "FP32", True: "INT8"}
THROUGH_DDR = (
    "kept order", "in slices", "narrow, 16 outputs in four images", "residual, five images",
)  # fmt: skip
"""Cases where an output is read again, the order of channels has to stay, or images are large."""


@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_numbers(name: str, integer: bool, opt: int) -> None:
    findings = compiled(CASES[name](integer), opt, PRECISIONS[integer])
    assert findings.ok, findings.verdict()


@pytest.mark.parametrize("name", [name for name in CASES if name not in THROUGH_DDR])
def test_only_the_outputs_are_stored(name: str) -> None:
    module = CASES[name](False)
    outputs = [types.shape_of(value) for value, _ in named_outputs(main_function(module))]
    assert compiled(module, 2, "FP32").ok
    assert profile(module).total.ddr_written == 4 * sum(map(prod, outputs))


@pytest.mark.parametrize("integer", [False, True])
def test_shared_parts_are_copied_in_their_lanes(integer: bool) -> None:
    """Nothing moves between lanes: both concatenations have a part in the same ones."""
    module = CASES["shared parts"](integer)
    assert compiled(module, 2, PRECISIONS[integer]).ok
    found = [op.instruction for op in module.walk() if isinstance(op, CommandOp)]
    moves = [i for i in found if i.kind is MOVE]
    assert all(i["direction"] != Direction.LOCAL_TO_LOCAL for i in moves)


def test_every_layer_is_compared() -> None:
    """Also those whose channels stand in another order."""
    module = CASES["nested"](True)
    tops = {name for op in main_function(module).body.block.ops for name in names_of(op, "tops")}
    findings = compiled(module, 2, "INT8")
    assert {each.top for each in findings.tensors} == tops


def test_slices_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made in slices and read as a whole stands in the same order of channels."""
    monkeypatch.setattr(plan_rows, "SLICE_CYCLES", 0)
    net = BranchNet((1, 3, 40, 40), False)
    whole = net.concat(net.conv(net.input, 1, 3), net.input)
    name = f"t{net.count}"
    net.conv(net.conv(whole, 64, 3), 8, 3)
    net.conv(net.pool(whole, "max", 40, 40), 8)
    passes = ("convert-ufw-to-quant", "quant-arrange-concats", "quant-slice-rows{space=3000}")
    module = lowered(net.module(), *passes)
    concats = [op for op in module.walk() if isinstance(op, ConcatOp) and op.top == name]
    joined = [op for op in concats if op.axis.value.data == ROWS]
    assert joined
    for op in joined:
        assert op.attributes[CHANNEL_ORDER] == i64s([1, 2, 3, 0])


def test_the_order_of_a_shuffle() -> None:
    x = (2, 6, 4, 5)
    split = (2, 3, 2, 20)
    assert channel_order(x, split, (0, 2, 1, 3), x) == pytest.approx([0, 2, 4, 1, 3, 5])
    assert channel_order(x, split, (0, 1, 3, 2), x) is None
    assert channel_order(x, split, (0, 2, 1, 3), (2, 6, 5, 4)) is None


def test_groups_as_one() -> None:
    """The products of each group with its own channels, and no others."""
    random = np.random.default_rng(0)
    weight = random.integers(1, 9, (6, 2, 1, 1)).astype(np.int8)
    x = random.integers(-9, 9, (4, 7))
    apart = [weight[3 * g : 3 * g + 3, :, 0, 0] @ x[2 * g : 2 * g + 2] for g in (0, 1)]
    np.testing.assert_array_equal(dense(weight, 2)[:, :, 0, 0] @ x, np.concatenate(apart))
