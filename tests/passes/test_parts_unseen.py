"""Tensors some parts of which lie nowhere are not compared; all others are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from xdsl.ir import SSAValue

from dialects.ufw import ops as ufw
from tests.branch_nets import BranchNet
from tests.compiled import compiled


def quantised(net: BranchNet) -> SSAValue:
    """Floats that a convolution quantises itself where they are strips of a single image."""
    return net.conv(net.conv(net.input, 2), 40, kernel=3)


def halos(net: BranchNet) -> SSAValue:
    """Strips of floats with rows of their neighbours."""
    return net.conv(net.conv(net.input, 2, kernel=3), 40, kernel=3)


def softmax(net: BranchNet) -> SSAValue:
    """8-bit numbers of a single image that a softmax reads as they are."""
    return net.add(ufw.SoftmaxOp(net.conv(net.input, 3, kernel=3), net.top()))


@pytest.mark.parametrize("images", [5, 9])
@pytest.mark.parametrize(
    ("build", "unseen"),
    [(quantised, "in0/quantize"), (halos, "in0/quantize"), (softmax, "t2/dequantize")],
)
def test_a_last_slice_of_one_image(
    images: int, build: Callable[[BranchNet], SSAValue], unseen: str
) -> None:
    net = BranchNet((images, 1, 96, 128), True)
    build(net)
    findings = compiled(net.module(), 2, "INT8", input_as_fp32=("in0",))
    assert findings.ok, findings.verdict()
    tops = {tensor.top for tensor in findings.tensors}
    assert unseen not in tops
    assert {"t1", "t2"} <= tops
