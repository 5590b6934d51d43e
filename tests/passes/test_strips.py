"""Strips: the same network with every layer on strips that strips can serve at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.execute import execute
from dialects.quant import reference, types
from dialects.quant.strips import IMAGE_HEIGHT, STRIP_OPS, QuantizeStripsOp
from passes.module.functions import main_function
from passes.strips.plan import StripPlan, _Offer, plan_strips  # pyright: ignore[reportPrivateUsage]
from tests.pipelines import static_passes
from tests.random_nets import random_module

SEEDS = range(40)


@pytest.fixture
def strips_wherever_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer stays whole only where it has no other place."""

    def dear(self: StripPlan, op: Operation) -> _Offer:
        return _Offer(1e12, None)

    monkeypatch.setattr(StripPlan, "_stay_whole", dear)


def quant_module(seed: int) -> ModuleOp:
    module = random_module(seed, integer=True)
    run_pipeline(module, parse_pipeline("convert-ufw-to-quant"), lambda p: None)
    return module


def on_strips(module: ModuleOp) -> list[Operation]:
    return [op for op in module.walk() if IMAGE_HEIGHT in op.attributes]


def results(module: ModuleOp, inputs: Mapping[int, Any]) -> list[Any]:
    return execute(main_function(module), list(inputs.values()), reference.evaluate)


@pytest.mark.usefixtures("strips_wherever_possible")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_on_strips_computes_the_same(seed: int) -> None:
    module = quant_module(seed)
    rng = np.random.default_rng(seed)
    inputs: dict[int, Any] = {}
    for i, arg in enumerate(main_function(module).body.block.args):
        values = rng.integers(-128, 256, types.shape_of(arg))
        inputs[i] = values.astype(types.dtype_of(arg))
    expected = results(module, inputs)
    run_pipeline(module, parse_pipeline("quant-cut-strips"), lambda p: None)
    module.verify()
    for got, one in zip(results(module, inputs), expected, strict=True):
        np.testing.assert_array_equal(got, one)


@pytest.mark.usefixtures("strips_wherever_possible")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_npu_computes_strips(seed: int) -> None:
    module = random_module(seed, integer=True)
    run_pipeline(
        module, static_passes(2, "INT8", verify=True), lambda p: None
    )


@pytest.mark.usefixtures("strips_wherever_possible")
def test_the_random_networks_have_strips() -> None:
    found: set[str] = set()
    for seed in SEEDS:
        module = quant_module(seed)
        run_pipeline(module, parse_pipeline("quant-cut-strips"), lambda p: None)
        found |= {op.name for op in on_strips(module)}
        found |= {op.name for op in module.walk() if isinstance(op, tuple(STRIP_OPS))}
    # strips of floats are those of network inputs, see test_float_islands.py
    assert {op.name for op in STRIP_OPS if op is not QuantizeStripsOp} <= found
    assert {"quant.conv", "quant.max_pool", "quant.eltwise", "quant.requantize"} <= found


@pytest.mark.parametrize("seed", SEEDS)
def test_strips_cover_their_image(seed: int) -> None:
    module = quant_module(seed)
    plan = plan_strips(main_function(module).body.block)
    for op, group in plan.placed.items():
        for value in (*op.operands, *op.results):
            assert 4 * group.rows(value) >= types.shape_of(value)[2]
