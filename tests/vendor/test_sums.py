"""Layers that add over many numbers: the vendor's runtime and simulator compute what our NPU model
computes."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdsl.ir import SSAValue

from bmnetu.bmodel import write
from bmnetu.emit.static import bmodel_of
from dialects.ufw import ops
from dialects.ufw.ops import Top
from tests.compiled import compiled
from tests.one_layer import one_layer
from tests.passes.layers.test_sums import SHAPED
from tests.vendor.runtime import replay, run_bmodel
from tests.vendor.test_random_nets import compare


@pytest.mark.parametrize("name", [*SHAPED, "matmul of two"])
def test_a_layer(name: str, tmp_path: Path) -> None:
    def product(a: SSAValue, b: SSAValue) -> ops.LayerOp:
        return ops.MatMulOp(a, b, Top("t"), transpose_b=True)

    build, shapes = product, [(2, 3, 70, 33), (2, 1, 45, 33)]
    if name in SHAPED:
        build, shapes = SHAPED[name][0], [SHAPED[name][1]]
    for integer in (True, False):
        module = one_layer(build, *shapes, integer=integer)
        findings = compiled(module, 2, "INT8" if integer else "FP32")
        assert findings.ok, findings.verdict()
        path = tmp_path / "compilation.bmodel"
        path.write_bytes(write(bmodel_of(module)))
        compare(run_bmodel(path, findings.inputs), findings.outputs)
    compare(replay(path, findings.inputs, 0, 1), findings.outputs)
