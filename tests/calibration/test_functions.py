"""A chain of layers that is a function of one tensor is one layer of the INT8 net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.ways.static import OPT_LEVELS
from tests.calibration.harness import Files, batch, data_layer, layer

SETTINGS = "convolution_param { num_output: 8 kernel_size: 3 }"
CONV = layer("Convolution", "data", "conv", SETTINGS)


def power(bottom: str, top: str, **settings: float) -> str:
    fields = " ".join(f"{name}: {value!r}" for name, value in settings.items())
    return layer("Power", bottom, top, f"power_param {{ {fields} }}")


def product(bottoms: str, top: str) -> str:
    return layer("Eltwise", bottoms, top, "eltwise_param { operation: PROD }")


HARD_SWISH = (
    power("conv", "add", shift=3.0)
    + layer("ReLU6", "add", "clip")
    + product("conv clip", "mul")
    + power("mul", "y", scale=1 / 6)
)
CHAINS = {
    "HSwish": HARD_SWISH,
    "Swish": layer("Sigmoid", "conv", "gate") + product("conv gate", "y"),
    "GELU": power("conv", "scaled", scale=2**-0.5) + layer("Erf", "scaled", "erf")
    + power("erf", "one", shift=1.0) + product("conv one", "by") + power("by", "y", scale=0.5),
    "Mish": layer("Softplus", "conv", "plus") + layer("TanH", "plus", "t") + product("conv t", "y"),
    "ComposedFunction": layer("AbsVal", "conv", "abs") + power("abs", "y", power=1.5, shift=0.1),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHAINS)
def test_a_chain_is_one_table(tmp_path: Path, kind: str) -> None:
    files = Files.of(tmp_path, data_layer(1, 3, 8, 9) + CONV + CHAINS[kind])
    samples = files.samples(8)
    calibrated = files.calibrate(samples, th_method="MAX")
    layers = calibrated.layers()
    assert [each.type for each in layers.values()][-1] == kind
    assert set(calibrated.records()) == {"data", "conv", "y"}
    one = batch(samples, 2, 1)
    expected, found = calibrated.float_outputs(one)["y"], calibrated.int8_outputs(one)["y"]
    assert np.abs(expected - found).max() < 0.03 * np.abs(expected).max()
    result = calibrated.result
    for opt in OPT_LEVELS:
        compiled = bmnetu.compile(
            result.prototxt, result.umodel, tmp_path / "out", prec="INT8", opt=opt
        )
        assert compiled.layers[0].dtype == "int8"
        assert len(compiled.layers) == 2
        assert compiled.findings is not None
        assert compiled.findings.ok
    compiled = bmnetu.compile(files.model, files.weight, tmp_path / "out", opt=2)
    assert len(compiled.layers) == 2
    assert all(each.isolated < 1e-5 for each in compiled.layers)


def test_a_float_layer_of_a_chain_makes_it_float(tmp_path: Path) -> None:
    text = HARD_SWISH.replace('name: "ReLU6_clip"', 'name: "ReLU6_clip" forward_with_float: true')
    files = Files.of(tmp_path, data_layer(1, 3, 8, 9) + CONV + text)
    calibrated = files.calibrate(files.samples(8), th_method="MAX")
    assert calibrated.result.float_layers == ("Power_y",)
    assert calibrated.layers()["Power_y"].forward_with_float
