"""Every pointwise function from the prototxt to the commands, in both precisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.ways.static import OPT_LEVELS
from dialects.functions import FUNCTIONS, ROWS, Function, Parameters
from tests.calibration.harness import Files, batch, cosine, data_layer, layer
from tests.functions import COARSE, POSITIVE, settings_text

BROKEN_POWERS = [{"power": power, "scale": 0.2, "shift": 4.0} for power in (0.5, -1.5)]
CASES = [
    *((row, parameters) for row in ROWS for parameters in row.samples),
    *((FUNCTIONS["power"], parameters) for parameters in BROKEN_POWERS),
]


@pytest.mark.parametrize(
    ("row", "parameters"), CASES, ids=[f"{row.name} {dict(each)}" for row, each in CASES]
)
def test_a_function_in_both_precisions(
    tmp_path: Path, row: Function, parameters: Parameters
) -> None:
    text = data_layer(2, 6, 5, 7) + layer(row.layer, "data", "y", settings_text(row, parameters))
    files = Files.of(tmp_path, text)
    samples = files.samples(4, spread=3)
    if row.name in POSITIVE:
        samples = {name: np.abs(x) + 0.5 for name, x in samples.items()}
    calibrated = files.calibrate(samples, th_method="MAX")
    one = batch(samples, 1, 2)
    expected, found = calibrated.float_outputs(one), calibrated.int8_outputs(one)
    assert cosine(expected["y"], found["y"]) > (0.98 if row.name in COARSE else 0.999)
    int8 = calibrated.result
    for opt in OPT_LEVELS:
        result = bmnetu.compile(files.model, files.weight, tmp_path / "fp32", opt=opt)
        (compared,) = result.layers
        assert compared.isolated < row.error
        assert bool(compared.undefined) == (row.name in ("sqrt", "rsqrt"))
        result = bmnetu.compile(int8.prototxt, int8.umodel, tmp_path / "int8", prec="INT8", opt=opt)
        assert [each.dtype in ("int8", "uint8") for each in result.layers] == [True]
        assert result.findings is not None
        assert result.findings.ok
