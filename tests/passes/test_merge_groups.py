"""Groups of a convolution that are merged: the same integers, in fewer cycles."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684.cycles import schedule
from dialects.bm1684.isa import Engine
from dialects.bm1684.npu import CommandOp
from dialects.execute import execute
from dialects.quant import reference, types
from dialects.quant.compute import ConvOp
from dialects.ufw import ops as ufw
from passes.module.functions import main_function
from passes.verification.inputs import random_inputs
from passes.verify_layers import VerifyLayersPass
from tests.net_maker import NetMaker
from tests.pipelines import static_text
from tests.quant_runs import run
from tests.random_nets import finished

MERGE = "quant-merge-groups"


def grouped(
    groups: int, channels: int, outputs: int, images: int = 1, integer: bool = True
) -> ModuleOp:
    """A 3x3 convolution of so many groups of ``channels`` to ``outputs`` channels each."""
    net = NetMaker(Random(groups), integer)
    shape = (images, groups * channels, 14, 15)
    kind = types.int_tensor(shape, 0.02, False) if integer else types.float_tensor(shape)
    x = net.block.insert_arg(kind, 0)
    weights = (groups * outputs, channels, 3, 3)
    settings = net.coefficients(weights, weights[0], channels * 9)
    weight = settings.pop("weight")
    net.add(
        ufw.ConvolutionOp(
            x, net.top(False), weight, stride=[1, 1], pad=[1, 1], dilation=[1, 1], group=groups,
            **settings,
        )
    )  # fmt: skip
    return finished(net)


def convolution(module: ModuleOp) -> ConvOp:
    (found,) = (op for op in module.walk() if isinstance(op, ConvOp))
    return found


@pytest.mark.parametrize(
    ("groups", "channels", "outputs"),
    [(32, 4, 4), (32, 4, 6), (24, 1, 2), (6, 10, 3), (5, 3, 3), (16, 1, 3)],
)
@pytest.mark.parametrize("integer", [True, False])
def test_the_same_numbers(groups: int, channels: int, outputs: int, integer: bool) -> None:
    plain = run(grouped(groups, channels, outputs, 2, integer), "convert-ufw-to-quant")
    merged = run(plain.clone(), MERGE)
    merged.verify()
    op = convolution(merged)
    assert op.group.value.data < groups
    assert groups % op.group.value.data == 0
    args = main_function(plain).body.block.args
    inputs = random_inputs([(types.shape_of(x), types.dtype_of(x)) for x in args], 1)
    (got,), (expected,) = (execute(main_function(m), inputs, reference.evaluate)
                         for m in (merged, plain))  # fmt: skip
    assert expected.min() < expected.max()
    if integer:
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("groups", "channels", "outputs"),
    [(64, 1, 1), (2, 96, 128), (2, 2500, 1), (2, 4100, 1), (1, 8, 8)],
)
@pytest.mark.parametrize("integer", [True, False])
def test_what_stays(groups: int, channels: int, outputs: int, integer: bool) -> None:
    """Depthwise ones, wide groups, those whose channels a command could not count."""
    module = grouped(groups, channels, outputs, integer=integer)
    run(module, f"convert-ufw-to-quant,{MERGE}")
    assert convolution(module).group.value.data == groups


def compiled(module: ModuleOp, text: str) -> int:
    """Cycles of the tensor unit for a network, which is compared."""
    passes = parse_pipeline(text)
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    run_pipeline(module, passes, lambda item: None)
    assert verify.findings.ok, verify.findings.verdict()
    commands = [op.instruction for op in module.walk() if isinstance(op, CommandOp)]
    return schedule([commands]).busy[Engine.TIU]


@pytest.mark.parametrize("images", [1, 4])
@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize(("prec", "times"), [("INT8", 2.0), ("FP32", 1.15)])
def test_it_takes_fewer_cycles(opt: int, images: int, prec: str, times: float) -> None:
    text = static_text(opt, prec, verify=True)
    assert MERGE in text
    module = grouped(32, 4, 4, images, prec == "INT8")
    before = compiled(module.clone(), text.replace(f"{MERGE},", ""))
    assert times * compiled(module, text) < before
