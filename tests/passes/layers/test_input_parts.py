"""Float convolutions of many input channels, or large weights, are sums of smaller ones."""

from __future__ import annotations

import pytest

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684.chip import BM1684
from dialects.quant import compute
from tests.branch_nets import BranchNet
from tests.compiled import compiled

CASES = [((1, 4100, 3, 4), 3, 2), ((2, 8200, 2, 2), 1, 3), ((1, 2000, 9, 9), 9, 3)]


def net_of(shape: tuple[int, ...], kernel: int, integer: bool = False) -> BranchNet:
    net = BranchNet(shape, integer)
    net.conv(net.input, 5, kernel=kernel)
    return net


@pytest.mark.parametrize(("shape", "kernel", "parts"), CASES)
def test_each_part_fits(shape: tuple[int, ...], kernel: int, parts: int) -> None:
    module = net_of(shape, kernel).module()
    run_pipeline(module, parse_pipeline("convert-ufw-to-quant"), lambda item: None)
    found = [op.weight.shape for op in module.walk() if isinstance(op, compute.ConvOp)]
    assert len(found) == parts
    assert sum(weight[1] for weight in found) == shape[1]
    assert all(weight[1] <= BM1684.limits.channels for weight in found)


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize(("shape", "kernel"), [case[:2] for case in CASES])
def test_they_compute_the_same(
    shape: tuple[int, ...], kernel: int, integer: bool, opt: int
) -> None:
    precision = "INT8" if integer else "FP32"
    findings = compiled(net_of(shape, kernel, integer).module(), opt, precision)
    assert findings.ok, findings.verdict()
