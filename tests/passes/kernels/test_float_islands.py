"""Floats between 8-bit layers: they stay in local memory, in the lanes of their channels."""

from __future__ import annotations

from math import prod

import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects.bm1684.isa import Engine, Instruction
from dialects.quant import compute, types
from dialects.ufw import ops as ufw
from passes.image.groups import command_groups
from passes.module.functions import main_function
from tests.branch_nets import BranchNet
from tests.compiled import compiled
from tests.passes.kernels.one_quant_op import check, tensor, transfers

SHAPES = [(1, 70, 6, 5), (1, 3, 40, 40), (4, 70, 6, 5), (3, 64, 9, 9), (5, 70, 6, 5)]


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize("kind", ["si8", "ui8"])
@pytest.mark.parametrize("shape", SHAPES)
def test_both_ways(shape: tuple[int, ...], kind: str, opt: int) -> None:
    numbers, floats = tensor(shape, kind), tensor(shape, "f32")
    found = [
        check(compute.DequantizeOp, [numbers], [floats], opt),
        check(compute.QuantizeOp, [floats], [numbers], opt),
    ]
    if opt == 2:
        assert [transfers(module) for module in found] == [0, 0]


def moved(module: ModuleOp, shape: tuple[int, ...]) -> list[Instruction]:
    """The transfers of a whole tensor or more."""
    (group,) = command_groups(main_function(module))
    commands = [op.instruction for op in group.commands]
    large = [
        i for i in commands
        if i.engine is Engine.GDMA and prod(i[f"src_{x}size"] for x in "nchw") >= prod(shape)
    ]  # fmt: skip
    return large


@pytest.mark.parametrize("groups", [1, 5, 70])
@pytest.mark.parametrize("integer", [False, True])
def test_a_normalisation_between_convolutions(groups: int, integer: bool) -> None:
    shape = (1, 70, 20, 20)
    net = BranchNet(shape, integer)
    x = net.conv(net.input, 70)
    x = net.add(ufw.StandardizeOp(x, net.top(), groups=groups))
    net.conv(x, 70)
    module = net.module()
    findings = compiled(module, 2, "INT8" if integer else "FP32")
    assert findings.ok, findings.verdict()
    assert len(moved(module, types.shape_of(x))) <= 2  # the input and the result
