"""Equalised nets compute the same in float and lose less in 8 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bmnetu.calibration.int8.equalize import equalize
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.thresholds.channels import Channels
from bmnetu.frontend import load_network
from bmnetu.frontend.ufw_pb2 import NetParameter
from dialects.blob import Array
from dialects.execute import execute
from dialects.ufw.reference import evaluate
from tests.calibration.harness import Files, batch, cosine, data_layer, layer
from tests.networks import random_weights

CONV = "convolution_param { num_output: 12 kernel_size: 3 pad: 1 }"
DEPTHWISE = "convolution_param { num_output: 12 kernel_size: 3 pad: 1 group: 12 }"
GROUPED = "convolution_param { num_output: 18 kernel_size: 1 group: 3 bias_term: false }"
FULL = "inner_product_param { num_output: 5 }"
DATA, FIRST = data_layer(1, 3, 8, 8), layer("Convolution", "data", "a", CONV)
LAST = layer("InnerProduct", "z", "out", FULL)

CHAINS = {
    "relu": layer("ReLU", "a", "z"),
    "leaky relu": layer("ReLU", "a", "z", "relu_param { negative_slope: 0.2 }"),
    "prelu": layer("PReLU", "a", "z"),
    "pools": layer("Pooling", "a", "p", "pooling_param { kernel_size: 2 stride: 2 }")
    + layer("Pooling", "p", "z", "pooling_param { pool: AVE kernel_size: 2 stride: 2 }"),
    "depthwise": layer("ReLU", "a", "b") + layer("Convolution", "b", "c", DEPTHWISE)
    + layer("ReLU", "c", "z"),
    "grouped": layer("PReLU", "a", "b") + layer("Convolution", "b", "z", GROUPED),
    "flatten": layer("Dropout", "a", "d") + layer("Flatten", "d", "z"),
    "two readers": layer("ReLU", "a", "z") + layer("Convolution", "z", "side", CONV),
}  # fmt: skip


def uneven(text: str, layer_name: str = "Convolution_a") -> NetParameter:
    """Random weights; output channel c of one layer is 2^(c - 6) times larger."""
    weights = random_weights(text, 1)
    for each in weights.layer:
        if each.name == layer_name:
            for blob in each.blobs:
                array = np.array(blob.data, np.float32).reshape(12, -1)
                array *= 2.0 ** (np.arange(12) - 6)[:, None]
                blob.data[:] = array.ravel()
    return weights


def equalized(files: Files, data: dict[str, Array]) -> tuple[FloatNet, dict[str, Array]]:
    """The net after it, and every blob's statistics on the data by the same name."""
    net = FloatNet(load_network(files.model, files.weight), keep_bn=False)
    channels = Channels()
    channels.watch("data", data["data"])
    execute(net.function, data, evaluate, channels.watch)
    equalize(net, channels)
    return net, channels.peaks


@pytest.mark.parametrize("name", CHAINS)
def test_the_float_outputs_stay(tmp_path: Path, name: str) -> None:
    text = DATA + FIRST + CHAINS[name] + LAST
    files = Files.of(tmp_path, text, uneven(text))
    data = batch(files.samples(1), 0)
    before = load_network(files.model, files.weight)
    weights = FloatNet(before, keep_bn=False)
    expected = execute(weights.function, data, evaluate)
    net, peaks = equalized(files, data)
    changed = [
        old.properties["weight"] != new.properties["weight"]
        for old, new in zip(weights.layers, net.layers, strict=True)
        if "weight" in old.properties
    ]
    assert all(changed)
    seen = Channels()
    results = execute(net.function, data, evaluate, seen.watch)
    for found, real in zip(results, expected, strict=True):
        assert np.abs(found - real).max() <= 1e-5 * np.abs(real).max()
    for blob, array in seen.peaks.items():
        assert np.allclose(array, peaks[blob], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", CHAINS)
def test_uneven_channels_lose_less(tmp_path: Path, name: str) -> None:
    text = DATA + FIRST + CHAINS[name] + LAST
    weights = uneven(text)
    for each in weights.layer:
        if each.name == "InnerProduct_out":  # every channel counts alike in the output
            array = np.array(each.blobs[0].data, np.float32).reshape(5, -1)
            channels = array.reshape(5, 12, -1) if array.shape[1] % 18 else array.reshape(5, 18, -1)
            scale = 2.0 ** (6 - np.arange(channels.shape[1]) * 12 // channels.shape[1])
            each.blobs[0].data[:] = (channels * scale[:, None]).ravel()
    files = Files.of(tmp_path, text, weights)
    data = files.samples()
    one = batch(files.samples(seed=5), 0)
    cosines: list[float] = []
    for on in (False, True):
        made = files.calibrate(data, equalize=on, adaptive_rounding=False)
        cosines.append(cosine(made.int8_outputs(one)["out"], made.float_outputs(one)["out"]))
    assert 1 - cosines[1] < 0.5 * (1 - cosines[0])


def test_float_layers_and_given_thresholds_keep_their_channels(tmp_path: Path) -> None:
    text = DATA + FIRST + CHAINS["relu"] + LAST
    for setting in ("forward_with_float: true", "threshold: 4"):
        fixed = text.replace('top: "z"', f'top: "z" {setting}')
        files = Files.of(tmp_path, fixed, uneven(fixed))
        net, _ = equalized(files, batch(files.samples(1), 0))
        plain = FloatNet(load_network(files.model, files.weight), keep_bn=False)
        for old, new in zip(plain.layers, net.layers, strict=True):
            assert old.properties == new.properties
