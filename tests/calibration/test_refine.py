"""Refined nets: sums nearer to the float net's, on the net's own integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmnetu.calibration.int8 import refine
from bmnetu.calibration.int8.refine import sample_batches
from bmnetu.frontend import load_network
from dialects.constant import Array
from passes.module.functions import main_function
from tests.calibration.harness import Calibrated, Files, batch, data_layer, layer

CONV = "convolution_param { num_output: 12 kernel_size: 3 pad: 1 }"
BARE = "convolution_param { num_output: 12 kernel_size: 1 bias_term: false }"
GROUPED = "convolution_param { num_output: 12 kernel_size: 3 pad: 1 group: 4 bias_term: false }"
FULL = "inner_product_param { num_output: 30 bias_term: false }"
CHAIN = "".join(
    [
        data_layer(8, 3, 10, 10),
        layer("Convolution", "data", "a", CONV),
        layer("PReLU", "a", "b"),
        layer("Convolution", "b", "c", GROUPED),
        layer("ReLU", "c", "d"),
        layer("Convolution", "d", "e", BARE),
        layer("Scale", "e", "f"),
        layer("Eltwise", "f b", "g"),
    ]
)
NET = CHAIN + layer("InnerProduct", "g", "out", FULL)
PLAIN: dict[str, Any] = {"equalize": False, "adaptive_rounding": False, "bias_correction": False}


def off(made: Calibrated, data: dict[str, Array]) -> float:
    """The square of what the channels of the result are off in the mean over batches and maps."""
    errors = [
        made.int8_outputs(one)["g"] - made.float_outputs(one)["g"]
        for one in (batch(data, i, 8) for i in range(3))
    ]
    return float(np.square(np.mean(np.concatenate(errors), axis=(0, 2, 3))).sum())


@pytest.mark.parametrize("keep_bn", [False, True])
@pytest.mark.parametrize("step", ["adaptive_rounding", "bias_correction"])
def test_refined_layers_are_less_off_in_the_mean(tmp_path: Path, keep_bn: bool, step: str) -> None:
    files = Files.of(tmp_path, CHAIN)
    data, fresh = files.samples(3), files.samples(3, seed=7)
    for array in (data["data"], fresh["data"]):
        array += array.mean(axis=1, keepdims=True) + 1  # channels alike, and a mean
    flags = PLAIN | {"keep_bn": keep_bn, "th_method": "MAX"}
    plain = off(files.calibrate(data, **flags), fresh)
    refined = off(files.calibrate(data, **flags | {step: True}), fresh)
    assert refined < 0.5 * plain


def test_a_layer_without_bias_gets_one(tmp_path: Path) -> None:
    files = Files.of(tmp_path, NET)
    made = files.calibrate(files.samples(), **PLAIN | {"bias_correction": True})
    layers = made.layers()
    assert layers["InnerProduct_out"].inner_product_param.bias_term
    assert len(layers["InnerProduct_out"].blobs) == 2
    assert len(layers["Convolution_c"].blobs) == 2
    assert made.int8_outputs(batch(files.samples(), 0, 8))["out"].shape == (8, 30)


def test_one_sample_corrects_nothing(tmp_path: Path) -> None:
    """Its mean is no mean."""
    files = Files.of(tmp_path, NET.replace("dim: 8", "dim: 1", 1))
    data = files.samples(1)
    with_it = files.calibrate(data, **PLAIN | {"bias_correction": True}).message()
    without = files.calibrate(data, **PLAIN).message()
    assert with_it == without


def test_a_cut_row_is_rounded_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files.of(tmp_path, NET)
    whole = files.calibrate(files.samples()).layers()["InnerProduct_out"]
    monkeypatch.setattr(refine, "LARGEST_PIECE", 300)
    cut = files.calibrate(files.samples()).layers()["InnerProduct_out"]
    one, other = (np.array(each.blobs[0].int32_data) for each in (whole, cut))
    assert 0 < np.mean(one != other) < 0.5
    assert np.abs(one - other).max() < 10


@pytest.mark.parametrize(("budget", "count"), [(1, 1), (3 * 4 * 2 * 300, 3), (1 << 30, 32)])
def test_the_sample_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int, count: int
) -> None:
    """The widest place of this net holds the input and a blob of its size."""
    text = data_layer(1, 3, 10, 10) + layer("TanH", "data", "a") + layer("TanH", "a", "b")
    files = Files.of(tmp_path, text)
    function = main_function(load_network(files.model, files.weight).module)
    monkeypatch.setattr(refine, "SAMPLE_BYTES", budget)
    assert sample_batches(function) == count
