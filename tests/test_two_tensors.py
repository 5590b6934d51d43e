"""Layers of several tensors from the prototxt to the commands, in both precisions."""

from __future__ import annotations

from pathlib import Path

import pytest

import bmnetu
from bmnetu.ways.static import OPT_LEVELS
from tests.calibration.harness import Files, batch, cosine, data_layer, layer

CHANNELS = 6
POOL = "pooling_param { pool: AVE global_pooling: true }"


SMALL = layer("Pooling", "data", "small", POOL)
TANH = layer("TanH", "data", "t")
SHAPE = "shape { dim: 6 dim: 1 dim: 7 }"
PARAMETER = f'layer {{ name: "p" type: "Parameter" top: "p" parameter_param {{ {SHAPE} }} }}\n'


def broadcast(bottoms: str, operation: str) -> str:
    param = f"broadcast_binary_param {{ operation: {operation} }}"
    return layer("BroadcastBinary", bottoms, "y", param)


def eltwise(operation: str) -> str:
    return TANH + layer("Eltwise", "data t", "y", f"eltwise_param {{ operation: {operation} }}")


def constant(settings: str) -> str:
    return layer("ConstBinary", "data", "y", f"const_binary_param {{ {settings} }}")


WHOLE = {
    **{f"repeated {x}": SMALL + broadcast("data small", x)
       for x in ("ADD", "SUB", "MUL", "MAX", "MIN")},
    "min": eltwise("MIN"),
    "sub": eltwise("SUB"),
    "axpy": SMALL + layer("Sigmoid", "small", "gate") + TANH + layer("Axpy", "gate data t", "y"),
    "parameter": PARAMETER + broadcast("data p", "MUL"),
    "number": constant("operation: LE value: 0.5"),
}  # fmt: skip
"""Nets whose last layer has an INT8 form."""
FLOAT = {
    **{f"repeated {x}": SMALL + broadcast("data small", x) for x in ("GT", "DIV")},
    "blob": constant("operation: SUB"),
    "choice": TANH
    + layer("Compare", "data t", "greater", "compare_param { operation: GT }")
    + layer("Select", "greater data t", "y"),
    "log softmax": layer("LogSoftmax", "data", "y", "softmax_param { axis: 1 }"),
}
"""Nets whose last layer is float in an INT8 net."""
NETS = WHOLE | FLOAT


@pytest.mark.parametrize("name", NETS)
def test_both_precisions(tmp_path: Path, name: str) -> None:
    files = Files.of(tmp_path, data_layer(2, CHANNELS, 5, 7) + NETS[name])
    samples = files.samples(4, spread=2)
    calibrated = files.calibrate(samples, th_method="MAX")
    one = batch(samples, 1, 2)
    expected, found = calibrated.float_outputs(one), calibrated.int8_outputs(one)
    if "DIV" not in name:
        assert cosine(expected["y"], found["y"]) > (0.95 if "GT" in name else 0.995)
    int8 = calibrated.result
    for opt in OPT_LEVELS:
        result = bmnetu.compile(files.model, files.weight, tmp_path / "fp32", opt=opt)
        assert all(each.isolated < 1e-5 for each in result.layers)
        result = bmnetu.compile(int8.prototxt, int8.umodel, tmp_path / "int8", prec="INT8", opt=opt)
        assert (result.layers[-1].dtype != "float32") == (name in WHOLE)
        assert result.findings is not None
        assert result.findings.ok
