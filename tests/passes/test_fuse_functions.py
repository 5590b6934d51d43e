"""Chains of functions that are longer than one function can be."""

from __future__ import annotations

import pytest

from dialects.composed import MOST_STEPS
from dialects.ufw.activation import PointwiseOp
from passes.module.functions import main_function
from tests.branch_nets import BranchNet
from tests.compiled import compiled
from tests.quant_runs import run


def chain(count: int) -> BranchNet:
    """So many functions one after the other."""
    net = BranchNet((1, 8, 6, 5), False)
    x = net.input
    for name in ("sigmoid", "sin") * (count // 2):
        x = net.function(x, name)
    return net


def test_a_long_chain_becomes_a_few_functions() -> None:
    module = run(chain(6 * MOST_STEPS).module(), "ufw-fuse-functions")
    ops = list(main_function(module).body.block.ops)[:-1]
    assert len(ops) < MOST_STEPS
    assert all(isinstance(op, PointwiseOp) for op in ops)


@pytest.mark.parametrize("opt", [1, 2])
def test_it_computes_the_same(opt: int) -> None:
    module = chain(2 * MOST_STEPS).module()
    assert compiled(module, opt, "FP32").ok
