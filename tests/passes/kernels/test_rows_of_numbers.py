"""Functions of tensors whose images are a few numbers: no slower at opt 2 than at opt 1."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from xdsl.dialects.builtin import ModuleOp

from bmnetu.report.profile import profile
from dialects.bm1684.cycles import schedule
from dialects.bm1684.cycles.gdma import LOAD_CYCLES
from dialects.ufw import ops as ufw
from dialects.ufw.layer import shape_of
from passes.image.groups import command_groups
from passes.module.functions import main_function
from tests.branch_nets import BranchNet
from tests.compiled import compiled


def cycles(module: ModuleOp, opt: int, precision: str) -> int:
    found = compiled(module, opt, precision)
    assert found.ok, found.verdict()
    groups = command_groups(main_function(module))
    return schedule([op.instruction for op in group.commands] for group in groups).total


def function(shape: tuple[int, ...], name: str, integer: bool) -> ModuleOp:
    net = BranchNet(shape, integer)
    if name == "relu":
        net.add(ufw.ReLUOp(net.input, net.top()))
    else:
        net.function(net.input, name)
    return net.module()


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("name", ["relu", "sigmoid"])
@pytest.mark.parametrize(
    "shape", [(8,), (9000, 1), (128, 256), (197, 768), (64, 1, 28, 28), (64, 16, 2, 2), (40, 5, 3)]
)
def test_rows_are_runs_of_words(shape: tuple[int, ...], name: str, integer: bool) -> None:
    precision = "INT8" if integer else "FP32"
    first, second = (
        cycles(function(shape, name, integer), opt, precision) for opt in (1, 2)
    )
    assert second <= 1.05 * first + LOAD_CYCLES


BORDER: dict[str, Callable[[BranchNet], object]] = {
    "function": lambda net: net.function(net.input, "sigmoid"),
    "slopes": lambda net: net.prelu(net.input),
    "product of one": lambda net: net.add(
        ufw.EltwiseOp([net.input] * 2, net.top(), ufw.EltwiseOperation.PRODUCT)
    ),
    "rows": lambda net: net.add_all(
        ufw.SliceOp(net.input, [net.top(), net.top()], (1, shape_of(net.input)[2] - 1), 2)
    ),
}


@pytest.mark.parametrize(
    ("name", "integer"),
    [*product(BORDER, [False]), *product(["function", "slopes", "rows"], [True])],
)
@pytest.mark.parametrize("shape", [(2, 1028, 2, 1), (1, 4095, 2, 1), (1, 1, 251, 100)])
def test_between_an_input_and_an_output_nothing_has_to_stay(
    shape: tuple[int, ...], name: str, integer: bool
) -> None:
    def network() -> ModuleOp:
        net = BranchNet(shape, integer)
        BORDER[name](net)
        return net.module()

    first, second = (cycles(network(), opt, "INT8" if integer else "FP32") for opt in (1, 2))
    assert second <= first


@pytest.mark.parametrize("channels", [96, 1152])
def test_one_number_a_channel_stays_in_its_lane(channels: int) -> None:
    """As squeeze and excitation has: on its way through DDR it would hold up all other loads."""
    net = BranchNet((1, channels, 6, 6), False)
    mean = net.pool(net.conv(net.input, channels), "average", 6, 1)
    net.conv(net.function(net.conv(mean, channels), "sigmoid"), 8)
    module = net.module()
    assert compiled(module, 2, "FP32").ok
    assert profile(module).total.ddr_written == 4 * 8
