"""Every pointwise function and layer of several tensors on the real BMRuntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from dialects.functions import ROWS
from tests.calibration.harness import Files, data_layer, layer
from tests.functions import POSITIVE, settings_text
from tests.vendor.runtime import run_bmodel

TOLERANCE = 1e-5
"""Of a result, relative where it is larger than 1: the simulator divides with another error."""


def functions() -> str:
    """A layer a row, each an output; of positive numbers where it needs them."""
    text = layer("Sigmoid", "data", "positive")
    for row in ROWS:
        bottom = "positive" if row.name in POSITIVE else "data"
        for i, parameters in enumerate(row.samples):
            text += layer(row.layer, bottom, f"{row.name}{i}", settings_text(row, parameters))
    for power in (0.5, -1.5, 0.3333, -0.7):
        param = f"power_param {{ power: {power} shift: 0.25 }}"
        text += layer("Power", "positive", f"power {power}".replace(" ", "_"), param)
    return text


def several() -> str:
    """Arithmetic and comparison with what repeats, and a choice."""
    text = layer("Pooling", "data", "small", "pooling_param { pool: AVE global_pooling: true }")
    text += layer("Slice", "data", "plane rest", "slice_param { slice_point: 1 }")
    for operand in ("small", "plane"):
        for kind in ("ADD", "SUB", "MUL", "DIV", "MAX", "MIN", "GT", "LE", "EQ"):
            param = f"broadcast_binary_param {{ operation: {kind} }}"
            text += layer("BroadcastBinary", f"data {operand}", f"{operand}_{kind}", param)
    text += layer("Select", "small_GT data small", "choice")
    return text + layer("LogSoftmax", "data", "log", "softmax_param { axis: 1 }")


@pytest.mark.parametrize("opt", [0, 2])
@pytest.mark.parametrize("name", ["functions", "several"])
def test_the_vendor_computes_the_same(tmp_path: Path, name: str, opt: int) -> None:
    text = {"functions": functions, "several": several}[name]()
    files = Files.of(tmp_path, data_layer(2, 6, 5, 7) + text)
    result = bmnetu.compile(files.model, files.weight, tmp_path / "out", opt=opt)
    found = result.findings
    assert found is not None
    assert result.bmodel is not None
    real = run_bmodel(result.bmodel, found.inputs)
    assert real.keys() == found.outputs.keys()
    for output, expected in found.outputs.items():
        error = np.abs(real[output] - expected) / np.maximum(1, np.abs(expected))
        assert np.nanmax(error) <= TOLERANCE, output
