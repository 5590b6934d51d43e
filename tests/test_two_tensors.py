"""Layers of several tensors from the prototxt to the commands, in both precisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.ways.static import OPT_LEVELS
from tests.calibration.harness import Calibrated, Files, batch, cosine, data_layer, layer

POOL = "pooling_param { pool: AVE global_pooling: true }"
SHAPE = "shape { dim: 6 dim: 1 dim: 7 }"
INPUTS = (
    data_layer(2, 6, 5, 7)
    + layer("Pooling", "data", "small", POOL)
    + layer("TanH", "data", "t")
    + layer("Sigmoid", "small", "gate")
    + f'layer {{ name: "p" type: "Parameter" top: "p" parameter_param {{ {SHAPE} }} }}\n'
)


def broadcast(bottoms: str, operation: str, top: str) -> str:
    param = f"broadcast_binary_param {{ operation: {operation} }}"
    return layer("BroadcastBinary", bottoms, top, param)


def eltwise(operation: str, top: str) -> str:
    return layer("Eltwise", "data t", top, f"eltwise_param {{ operation: {operation} }}")


def constant(settings: str, top: str) -> str:
    return layer("ConstBinary", "data", top, f"const_binary_param {{ {settings} }}")


WHOLE = {
    **{x: broadcast("data small", x, x) for x in ("ADD", "SUB", "MUL", "MAX", "MIN")},
    "least": eltwise("MIN", "least"),
    "difference": eltwise("SUB", "difference"),
    "axpy": layer("Axpy", "gate data t", "axpy"),
    "factors": broadcast("data p", "MUL", "factors"),
    "number": constant("operation: LE value: 0.5", "number"),
}
"""Layers whose results are 8 bit in an INT8 net, by their tops."""
FLOAT = {
    **{x: broadcast("data small", x, x) for x in ("GT", "DIV")},
    "blob": constant("operation: SUB", "blob"),
    "greater": layer("Compare", "data t", "greater", "compare_param { operation: GT }"),
    "choice": layer("Select", "greater data t", "choice"),
    "log": layer("LogSoftmax", "data", "log", "softmax_param { axis: 1 }"),
}
"""Layers whose results are float in an INT8 net."""
LOOSE = {"GT": 0.9, "greater": 0.9, "choice": 0.9, "number": 0.98, "DIV": -1.0}
"""The least cosine of what jumps, or has no bound."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    text = INPUTS + "".join((WHOLE | FLOAT).values())
    return Files.of(tmp_path_factory.mktemp("two"), text)


@pytest.fixture(scope="module")
def calibrated(files: Files) -> Calibrated:
    return files.calibrate(files.samples(4, spread=2), th_method="MAX")


def test_integers_are_near_the_floats(files: Files, calibrated: Calibrated) -> None:
    one = batch(files.samples(4, spread=2), 1, 2)
    expected, found = calibrated.float_outputs(one), calibrated.int8_outputs(one)
    for name in expected:
        assert cosine(expected[name], found[name]) > LOOSE.get(name, 0.995), name


@pytest.mark.parametrize("opt", OPT_LEVELS)
def test_float_layers(files: Files, opt: int, tmp_path: Path) -> None:
    result = bmnetu.compile(files.model, files.weight, tmp_path, opt=opt)
    assert all(each.isolated < 1e-5 for each in result.layers)
    assert result.findings is not None
    assert result.findings.ok


@pytest.mark.parametrize("opt", OPT_LEVELS)
def test_integer_layers(calibrated: Calibrated, opt: int, tmp_path: Path) -> None:
    int8 = calibrated.result
    result = bmnetu.compile(int8.prototxt, int8.umodel, tmp_path, prec="INT8", opt=opt)
    assert result.findings is not None
    outputs = result.findings.outputs
    floats = {name for name, output in outputs.items() if output.dtype == np.float32}
    assert floats == (FLOAT.keys() & outputs.keys()) | ({"p"} & outputs.keys())
    assert result.findings.ok
