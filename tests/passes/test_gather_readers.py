"""Layers that make less of a tensor come to those that read it before."""

from __future__ import annotations

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.quant.base import QuantOp
from passes.module.functions import main_function
from passes.slices.gather import gather_readers
from tests.branch_nets import BranchNet
from tests.compiled import compiled


def net(late: str) -> BranchNet:
    """a -> b -> c, and a layer behind them that reads a, pooled or not, before c reads all."""
    found = BranchNet((1, 8, 16, 16), False)
    a = found.conv(found.input, 8)
    b = found.conv(a, 16, 3)
    c = found.pool(b, "max", 4, 4)
    d = found.pool(a, "max", 4, 4) if late == "pooled" else found.function(a, "sigmoid")
    if late == "read again":
        d = found.pool(a, "max", 4, 4)
        found.conv(a, 8)
    if late != "same size":
        found.concat(c, d)
    return found


def order(late: str) -> list[str]:
    module = net(late).module()
    run_pipeline(module, parse_pipeline("convert-ufw-to-quant"), lambda item: None)
    block = main_function(module).body.block
    gather_readers(block)
    return [op.top for op in block.ops if isinstance(op, QuantOp)]


def test_a_pooling() -> None:
    assert order("pooled") == ["t1", "t2", "t4", "t3", "t5"]


def test_what_makes_as_much_stays() -> None:
    assert order("same size") == ["t1", "t2", "t3", "t4"]


def test_a_tensor_that_is_read_later_stays_anyway() -> None:
    assert order("read again") == ["t1", "t2", "t3", "t4", "t5", "t6", "t7"]


def test_the_numbers() -> None:
    assert compiled(net("pooled").module(), 2, "FP32").ok
