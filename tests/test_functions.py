"""Every pointwise function from the prototxt to the commands, in both precisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.ways.static import OPT_LEVELS
from dialects.functions import FUNCTIONS, ROWS, Function, Parameters
from tests.calibration.harness import Calibrated, Files, batch, cosine, data_layer, layer
from tests.functions import COARSE, POSITIVE, settings_text

BROKEN_POWERS = [{"power": power, "scale": 0.2, "shift": 4.0} for power in (0.5, -1.5)]
CASES: dict[str, tuple[Function, Parameters]] = {
    f"{row.name}{i}": (row, parameters)
    for row in ROWS
    for i, parameters in enumerate(
        (*row.samples, *BROKEN_POWERS) if row.name == "power" else row.samples
    )
}
"""A function and its parameters by the name of its blob."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A net in which each function is an output."""
    text = data_layer(2, 6, 5, 7)
    text += layer("Power", "data", "positive", "power_param { scale: 0.05 shift: 1 }")
    for name, (row, parameters) in CASES.items():
        bottom = "positive" if row.name in POSITIVE else "data"
        text += layer(row.layer, bottom, name, settings_text(row, parameters))
    return Files.of(tmp_path_factory.mktemp("functions"), text)


@pytest.fixture(scope="module")
def calibrated(files: Files) -> Calibrated:
    return files.calibrate(files.samples(4, spread=3), th_method="MAX")


def test_tables_are_near_the_functions(files: Files, calibrated: Calibrated) -> None:
    one = batch(files.samples(4, spread=3), 1, 2)
    expected, found = calibrated.float_outputs(one), calibrated.int8_outputs(one)
    for name, (row, _) in CASES.items():
        least = 0.98 if row.name in COARSE else 0.998
        assert cosine(expected[name], found[name]) > least, name


@pytest.mark.parametrize("opt", OPT_LEVELS)
def test_float_functions(files: Files, opt: int, tmp_path: Path) -> None:
    result = bmnetu.compile(files.model, files.weight, tmp_path, opt=opt)
    assert result.findings is not None
    compared = {each.top: each for each in result.findings.tensors}
    for name, (row, _) in CASES.items():
        assert compared[name].isolated.error < row.error, name
        assert not compared[name].undefined
    assert all(np.isfinite(each).all() for each in result.findings.outputs.values())


@pytest.mark.parametrize("opt", OPT_LEVELS)
def test_tables(calibrated: Calibrated, opt: int, tmp_path: Path) -> None:
    int8 = calibrated.result
    result = bmnetu.compile(int8.prototxt, int8.umodel, tmp_path, prec="INT8", opt=opt)
    assert {each.dtype for each in result.layers} <= {"int8", "uint8"}
    assert len(result.layers) == len(CASES) + 1
    assert result.findings is not None
    assert result.findings.ok


def test_the_rows_are_all_there() -> None:
    assert {row.name for row, _ in CASES.values()} == set(FUNCTIONS)
