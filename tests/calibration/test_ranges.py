"""No layer keeps its operand's scale where its result can be larger, and coefficients may be 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.frontend.ufw_pb2 import NetParameter
from tests.calibration.harness import Calibrated, Files, batch, cosine, data_layer, layer
from tests.networks import random_weights

DATA = data_layer(1, 3, 8, 8)
CONV = layer("Convolution", "data", "c", "convolution_param { num_output: 6 kernel_size: 3 }")
LAST = layer("Convolution", "y", "out", "convolution_param { num_output: 4 kernel_size: 1 }")
SLOPED = {
    "leaky": layer("ReLU", "c", "y", "relu_param { negative_slope: 4 }"),
    "negative": layer("ReLU", "c", "y", "relu_param { negative_slope: -3 }"),
    "prelu": layer("PReLU", "c", "y"),
    "shared": layer("PReLU", "c", "y", "prelu_param { channel_shared: true }"),
}


def with_slopes(text: str, slopes: list[float]) -> NetParameter:
    """Random weights, and these slopes in the PReLU: as many as it has, the first ones."""
    weights = random_weights(text, 1)
    for each in weights.layer:
        if each.name == "PReLU_y":
            each.blobs[0].data[:] = slopes[: len(each.blobs[0].data)]
    return weights


def calibrated(folder: Path, text: str, slopes: list[float]) -> Calibrated:
    files = Files.of(folder, text, with_slopes(text, slopes))
    return files.calibrate(files.samples(24), th_method="MAX")


@pytest.mark.parametrize("slopes", [[5, 3, 4, -6, 2, 7], [0.25, 0.25, 6, 0.25, 0.25, 0.25]])
@pytest.mark.parametrize("name", SLOPED)
def test_slopes_above_1_do_not_saturate(tmp_path: Path, name: str, slopes: list[float]) -> None:
    if name == "shared":
        slopes = [5.0]
    made = calibrated(tmp_path, DATA + CONV + SLOPED[name] + LAST, slopes)
    assert made.result.thresholds["y"] > made.result.thresholds["c"]
    for seed in (5, 6):
        one = batch(made.files.samples(1, seed), 0)
        assert cosine(made.int8_outputs(one)["out"], made.float_outputs(one)["out"]) > 0.9985


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize("name", SLOPED)
def test_slopes_above_1_compile(tmp_path: Path, name: str, opt: int) -> None:
    """The compare of every layer holds the NPU to the reference."""
    text = DATA + CONV + SLOPED[name] + LAST
    made = calibrated(tmp_path, text, [5.0, 0.1, 3, -4, 2, 6])
    compiled = bmnetu.compile(made.result.prototxt, made.result.umodel, tmp_path, opt=opt)
    assert all(each.ok for each in compiled.layers)


@pytest.mark.parametrize("slope", [1.0, 0.25, -1.0])
def test_slopes_up_to_1_keep_the_scale(tmp_path: Path, slope: float) -> None:
    made = calibrated(tmp_path, DATA + CONV + SLOPED["prelu"] + LAST, [slope] * 6)
    assert made.result.thresholds["y"] == made.result.thresholds["c"]


def test_a_slope_above_1_of_what_is_never_negative_keeps_the_scale(tmp_path: Path) -> None:
    near = layer("Pooling", "s", "c", "pooling_param { kernel_size: 3 stride: 1 pad: 1 }")
    text = DATA + layer("Sigmoid", "data", "s") + near + SLOPED["leaky"]
    made = calibrated(tmp_path, text, [])
    assert made.result.thresholds["y"] == made.result.thresholds["c"]
    assert made.records()["y"].is_unsigned


def test_a_umodel_that_keeps_the_scale_is_computed_in_it(tmp_path: Path) -> None:
    """What an int8umodel records wins, also where it saturates."""
    made = calibrated(tmp_path, DATA + CONV + SLOPED["leaky"] + LAST, [])
    message = made.message()
    (record,) = (each for each in message.activation if each.blob == "y")
    record.threshold = made.result.thresholds["c"]
    made.result.umodel.write_bytes(message.SerializeToString())
    compiled = bmnetu.compile(made.result.prototxt, made.result.umodel, tmp_path, prec="INT8")
    assert all(each.ok for each in compiled.layers)


@pytest.mark.parametrize("factors", [[0, 1], [1, 0], [0, 0], [0, -2]])
def test_coefficients_of_0(tmp_path: Path, factors: list[int]) -> None:
    settings = " ".join(f"coeff: {factor}" for factor in factors)
    text = DATA + layer("TanH", "data", "t")
    text += layer("Eltwise", "data t", "e", f"eltwise_param {{ {settings} }}")
    files = Files.of(tmp_path, text)
    made = files.calibrate(files.samples())
    one = batch(files.samples(1, 5), 0)
    expected, found = made.float_outputs(one)["e"], made.int8_outputs(one)["e"]
    assert np.abs(expected - found).max() <= 0.05 * max(1.0, np.abs(expected).max())
