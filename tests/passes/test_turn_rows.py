"""8-bit inner products of many rows as convolutions: the same integers, in fewer cycles."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684.cycles import schedule
from dialects.bm1684.npu import CommandOp
from dialects.execute import execute
from dialects.quant import reference, types
from dialects.quant.movement import TransposeOp
from dialects.ufw import ops as ufw
from passes.module.functions import main_function
from passes.verification.inputs import random_inputs
from passes.verify_layers import VerifyLayersPass
from tests.net_maker import NetMaker
from tests.pipelines import static_text
from tests.quant_runs import run
from tests.random_nets import finished

TURN = ",quant-turn-rows"


def matrix(shape: tuple[int, ...], outputs: int, axis: int = 2) -> ModuleOp:
    net = NetMaker(Random(outputs), True)
    x = net.block.insert_arg(types.int_tensor(shape, 0.02, False), 0)
    terms = int(np.prod(shape[axis:]))
    settings = net.coefficients((outputs, terms), outputs, terms)
    weight = settings.pop("weight")
    net.add(ufw.InnerProductOp(x, net.top(False), weight, axis=axis, **settings))
    return finished(net)


def turned(module: ModuleOp) -> int:
    return sum(isinstance(op, TransposeOp) for op in module.walk())


SHAPES = [((1, 20, 33), 40), ((3, 17, 8), 5), ((1, 4, 9, 70), 65), ((5, 16, 130), 7)]


@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
def test_the_integers_stay(shape: tuple[int, ...], outputs: int) -> None:
    modules = [
        run(matrix(shape, outputs, len(shape) - 1), f"convert-ufw-to-quant{more}")
        for more in ("", TURN)
    ]
    assert [turned(module) for module in modules] == [0, 2]
    data = random_inputs([(shape, "int8")], 7)
    first, second = (
        execute(main_function(module), data, reference.evaluate)[0] for module in modules
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
def test_on_the_npu(shape: tuple[int, ...], outputs: int, opt: int) -> None:
    module = matrix(shape, outputs, len(shape) - 1)
    assert "quant-turn-rows" in static_text(opt, "INT8")
    check = VerifyLayersPass(1)
    run_pipeline(module, [*parse_pipeline(static_text(opt, "INT8")), check], lambda item: None)
    assert check.findings.ok, check.findings.verdict()


@pytest.mark.parametrize(
    ("shape", "outputs", "axis"),
    [((1, 15, 33), 40, 2), ((20, 33), 40, 1), ((1, 20, 4, 8), 5, 2), ((1, 20, 5000), 3, 2)],
)
def test_what_stays(shape: tuple[int, ...], outputs: int, axis: int) -> None:
    """Few rows, a batch, several dimensions of terms, and more terms than channels."""
    assert not turned(run(matrix(shape, outputs, axis), f"convert-ufw-to-quant{TURN}"))


def test_it_takes_fewer_cycles() -> None:
    def cycles(text: str) -> float:
        module = run(matrix((1, 196, 192), 384), text)
        commands = [op.instruction for op in module.walk() if isinstance(op, CommandOp)]
        return schedule([commands]).total

    text = static_text(1, "INT8")
    assert cycles(text) < 0.7 * cycles(text.replace(TURN, ""))
