"""Functions behind a max pooling: the same bits of fewer numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block

from dialects.constant import ConstantAttr
from dialects.quant.base import QuantOp
from dialects.quant.compute import LookupOp, MaxPoolOp, PReluOp
from dialects.quant.movement import InterleaveOp
from passes.module.functions import main_function
from passes.quant.quant_sink_functions import keeps_order
from tests.branch_nets import BranchNet
from tests.compiled import compiled
from tests.passes.kernels.one_quant_op import tensor
from tests.passes.test_widen_convs import evaluated, run

SINK = "quant-sink-functions"


def pooled_prelu(least: float, images: int) -> Callable[[bool], ModuleOp]:
    """Convolutions and a pooling that reads a PReLU with slopes from ``least`` on."""

    def build(integer: bool) -> ModuleOp:
        net = BranchNet((images, 16, 24, 28), integer)
        x = net.prelu(net.conv(net.input, 24, 3), least)
        net.conv(net.pool(x, "max", 3, 2, 1), 24, 3)
        return net.module()

    return build


def behind_poolings(module: ModuleOp) -> int:
    """PReLUs that read a pooling."""
    ops = list(main_function(module).body.block.ops)
    return sum(isinstance(op, PReluOp) and isinstance(op.x.owner, MaxPoolOp) for op in ops)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize(("least", "images", "sinks"), [(0.0, 1, 1), (0.0, 5, 1), (-0.5, 1, 0)])
def test_the_numbers(integer: bool, least: float, images: int, sinks: int) -> None:
    build = pooled_prelu(least, images)
    before = run(build(integer), "convert-ufw-to-quant")
    after = run(build(integer), f"convert-ufw-to-quant,{SINK}")
    assert behind_poolings(after) == sinks
    for one, other in zip(evaluated(before), evaluated(after), strict=True):
        np.testing.assert_array_equal(one, other)
    findings = compiled(build(integer), 2, "INT8" if integer else "FP32")
    assert findings.ok, findings.verdict()


def narrow_prelu(integer: bool) -> ModuleOp:
    net = BranchNet((1, 3, 40, 64), integer)
    net.conv(net.pool(net.prelu(net.conv(net.input, 16, 3), 0.0), "max", 2, 2), 24, 3)
    return net.module()


@pytest.mark.parametrize("integer", [False, True])
def test_functions_behind_a_wide_pooling_come_before_its_columns_are_interleaved(
    integer: bool,
) -> None:
    module = run(narrow_prelu(integer), f"convert-ufw-to-quant,{SINK},quant-widen-convs")
    interleave = next(op for op in module.walk() if isinstance(op, InterleaveOp))
    prelu = interleave.xs[0].owner
    assert isinstance(prelu, PReluOp)
    assert prelu.slope.array.size == 64
    assert compiled(narrow_prelu(integer), 2, "INT8" if integer else "FP32").ok


def table(results: np.ndarray, signed: bool) -> QuantOp:
    kind = tensor((1, 1, 1, 1), "si8" if signed else "ui8")
    block = Block(arg_types=[kind])
    numbers = np.arange(256).astype(np.uint8)
    found = np.zeros(256, np.uint8)
    order = np.argsort(numbers.view(np.int8) if signed else numbers)
    found[order] = results.astype(np.int8 if signed else np.uint8).view(np.uint8)
    return LookupOp.create(
        operands=[block.args[0]], result_types=[kind],
        properties={"table": ConstantAttr.of(found)},
    )  # fmt: skip


@pytest.mark.parametrize("signed", [False, True])
def test_tables_that_keep_the_order(signed: bool) -> None:
    rising = np.linspace(-128, 127, 256) + (0 if signed else 128)
    assert keeps_order(table(rising, signed))
    falls = rising.copy()
    falls[200] = rising[190]
    assert not keeps_order(table(falls, signed))
