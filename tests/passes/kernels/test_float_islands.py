"""Floats between 8-bit layers: they stay in local memory, in the lanes of their channels."""

from __future__ import annotations

from math import prod

import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects.bm1684.cycles import schedule
from dialects.bm1684.isa import Engine
from dialects.quant import compute
from dialects.ufw import ops as ufw
from passes.commands import filling
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


def test_several_images_of_a_pixel() -> None:
    """What stores them channel by channel takes a row of the transfer a number."""
    numbers, floats = tensor((4, 70, 1, 1), "si8"), tensor((4, 70, 1, 1), "f32")
    assert transfers(check(compute.DequantizeOp, [numbers], [floats], 2)) == 0
    assert transfers(check(compute.QuantizeOp, [floats], [numbers], 2)) > 0


def moved(module: ModuleOp, shape: tuple[int, ...]) -> float:
    """What all transfers move, in tensors of this shape."""
    (group,) = command_groups(main_function(module))
    commands = [op.instruction for op in group.commands]
    sizes = [
        prod(i[f"src_{x}size"] for x in "nchw") for i in commands if i.engine is Engine.GDMA
    ]
    return sum(sizes) / prod(shape)


def normalised(shape: tuple[int, ...], groups: int, integer: bool) -> ModuleOp:
    """A normalisation between convolutions, of which the second has halos; and a sum around it."""
    net = BranchNet(shape, integer)
    x = net.conv(net.input, shape[1])
    y = net.add(ufw.StandardizeOp(x, net.top(), groups=groups))
    net.sum(x, net.conv(y, shape[1], kernel=3))
    return net.module()


@pytest.mark.parametrize("groups", [1, 4, 20])
@pytest.mark.parametrize("integer", [False, True])
def test_a_normalisation_between_convolutions(groups: int, integer: bool) -> None:
    shape = (1, 20, 40, 40)
    module = normalised(shape, groups, integer)
    findings = compiled(module, 2, "INT8" if integer else "FP32")
    assert findings.ok, findings.verdict()
    assert moved(module, shape) < 3.1  # the input, the result, weights


@pytest.mark.parametrize("shape", [(3, 8, 40, 40), (1, 130, 7, 9), (1, 6, 300, 260), (2, 6, 1, 1)])
@pytest.mark.parametrize("integer", [False, True])
def test_it_computes_the_same_everywhere(shape: tuple[int, ...], integer: bool) -> None:
    found = [
        compiled(normalised(shape, 2, integer), opt, "INT8" if integer else "FP32")
        for opt in (0, 1, 2)
    ]
    assert all(each.ok for each in found), [each.verdict() for each in found]


def test_sums_stay_where_local_memory_holds_their_tensors() -> None:
    """Of three tensors each takes almost a quarter of a lane."""
    net = BranchNet((1, 64, 140, 218), False)
    x = net.conv(net.input, 64)
    y = net.conv(x, 64)
    net.conv(net.sum(x, y), 2)
    module = net.module()
    assert compiled(module, 2, "FP32").ok
    assert moved(module, (1, 64, 140, 218)) < 1.2


def test_weights_come_while_statistics_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The few numbers of two normalisations stand in the queue before the weights behind them."""

    def cycles() -> int:
        net = BranchNet((1, 320, 14, 14), False)
        x = net.conv(net.conv(net.input, 320), 320, kernel=3)
        for _ in range(2):
            x = net.add(ufw.StandardizeOp(x, net.top(), groups=1))
        net.conv(x, 1280)
        module = net.module()
        assert compiled(module, 2, "FP32").ok
        (group,) = command_groups(main_function(module))
        return schedule([[op.instruction for op in group.commands]]).total

    found = cycles()
    monkeypatch.setattr(filling, "LOADS_AHEAD", 8)
    assert found < cycles()
