"""Functions and sums of some rows of a larger tensor, which lie apart in DDR."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from xdsl.ir import SSAValue

from dialects.ufw import ops as ufw
from tests.branch_nets import BranchNet
from tests.compiled import compiled

Layer = Callable[[BranchNet, SSAValue], SSAValue]
LAYERS: dict[str, Layer] = {
    "function": lambda net, x: net.function(x, "swish"),
    "prelu": lambda net, x: net.prelu(x),
    "leaky": lambda net, x: net.add(ufw.ReLUOp(x, net.top(), 0.25)),
    "sum": lambda net, x: net.sum(x, x),
}
SHAPES = [(1, 3, 40, 36), (5, 70, 21, 13), (2, 130, 11, 300), (1, 6, 17), (2, 5, 9, 4, 7)]


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_rows_of_a_larger_tensor(name: str, integer: bool, opt: int) -> None:
    """Two parts along axis 2, which is that of rows where there are four."""
    for shape in SHAPES:
        net = BranchNet(shape, integer)
        x = net.sum(net.input, net.input)
        first = shape[2] // 3
        cut = ufw.SliceOp(x, [net.top(), net.top()], [first, shape[2] - first], axis=2)
        net.add(cut)
        parts = [LAYERS[name](net, part) for part in cut.results]
        net.add(ufw.ConcatOp(parts, net.top(), axis=2))
        findings = compiled(net.module(), opt, "INT8" if integer else "FP32")
        assert findings.ok, (shape, findings.verdict())
