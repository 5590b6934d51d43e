"""Perceptrons of a transformer as images: the vendor's runtime and simulator compute what our NPU
model computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from tests.frontend.onnx.graphs import numbers
from tests.passes.test_channels_first import Builder, block
from tests.vendor.runtime import replay, run_bmodel
from tests.vendor.test_random_nets import compare

SHAPES = [(1, 50, 70), (1, 9, 14, 33), (3, 20, 24)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("prec", ["FP32", "INT8"])
def test_two_perceptrons(shape: tuple[int, ...], prec: str, tmp_path: Path) -> None:
    b = Builder(shape)
    wide = 4 * shape[-1]
    x = block(b, block(b, "x", wide), wide)
    soft = b.add("Softmax", x, b.shapes[x], axis=-1)
    model, weight = b.net(soft, x).write(tmp_path), None
    if prec == "INT8":
        data = tmp_path / "data.npz"
        np.savez(data, x=numbers(4 * shape[0], *shape[1:], seed=5))
        made = bmnetu.calibrate(model, None, data, tmp_path / "int8", th_method="MAX")
        model, weight = made.prototxt, made.umodel
    result = bmnetu.compile(model, weight, tmp_path / "out", prec=prec, opt=2)
    findings = result.findings
    assert result.bmodel is not None
    assert findings is not None
    compare(run_bmodel(result.bmodel, findings.inputs), findings.outputs)
    compare(replay(result.bmodel, findings.inputs, 3, 1), findings.outputs)
