"""Random networks of all layer types: every layer on the NPU model equals the CPU reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmnetu.ways.static import OPT_LEVELS
from dialects.quant import types
from dialects.ufw.ops import UFW
from passes.module.functions import main_function
from tests.compiled import random_findings
from tests.host_nets import random_host_module
from tests.random_nets import random_module

SEEDS = st.integers(0, 1 << 20)


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
@given(seed=SEEDS)
@settings(max_examples=16, derandomize=True, database=None)
def test_every_layer_of_a_random_net(precision: str, seed: int) -> None:
    found = [random_findings(seed, opt, precision)[1] for opt in OPT_LEVELS]
    for opt, findings in enumerate(found):
        assert findings.ok, f"random_module({seed}), {precision}, opt {opt}: {findings.verdict()}"
        assert findings.tensors
    for name, output in found[0].outputs.items():
        if output.dtype != np.float32:
            for other in found[1:]:
                np.testing.assert_array_equal(other.outputs[name], output)


@pytest.mark.parametrize("integer", [False, True])
def test_the_generator_reaches_every_layer_and_extreme_shapes(integer: bool) -> None:
    layers: set[str] = set()
    ranks: set[int] = set()
    batches: set[int] = set()
    channels = 0
    for seed in range(150):
        function = main_function(random_module(seed, integer))
        layers |= {op.name for op in function.body.block.ops if op.name.startswith("ufw.")}
        with_host = main_function(random_host_module(seed, integer))
        layers |= {op.name for op in with_host.body.block.ops if op.name.startswith("ufw.")}
        for arg in function.body.block.args:
            shape = types.shape_of(arg)
            ranks.add(len(shape))
            batches.add(shape[0])
            channels = max(channels, *shape[1:2], 0)
    assert layers == {op.name for op in UFW.operations}
    assert ranks == {1, 2, 3, 4, 5}
    assert batches >= {1, 2, 4, 5, 9}
    assert channels == 5000
