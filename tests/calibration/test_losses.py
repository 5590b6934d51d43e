"""What calibration says unasked of what 8 bits lose, and that sound nets get no report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bmnetu.frontend.ufw_pb2 import NetParameter
from tests.calibration.harness import Calibrated, Files, data_layer, layer
from tests.networks import random_weights

DATA = data_layer(1, 3, 8, 8)
CONV = "convolution_param { num_output: 4 kernel_size: 3 }"
BOXES = "".join(
    [
        DATA,
        layer("Convolution", "data", "a", CONV),
        layer("Convolution", "data", "b", CONV),
        layer("Sigmoid", "b", "s"),
        layer("Concat", "a s", "cat"),
    ]
)
PERMUTED = layer("Permute", "cat", "p", "permute_param { order: 0 order: 2 order: 3 order: 1 }")
MOVED = PERMUTED + layer("Flatten", "p", "out")


def scaled(text: str, name: str, factors: np.ndarray | float, blob: int = 0) -> NetParameter:
    """Random weights; the output channels of one layer are multiplied."""
    weights = random_weights(text, 1)
    for each in weights.layer:
        if each.name == name:
            array = np.array(each.blobs[blob].data, np.float32)
            rows = array.reshape(np.size(factors), -1)
            each.blobs[blob].data[:] = (rows * np.reshape(factors, (-1, 1))).ravel()
    return weights


def made(
    folder: Path, text: str, weights: NetParameter | None = None, **flags: object
) -> Calibrated:
    files = Files.of(folder, text, weights)
    return files.calibrate(files.samples(12), **flags)


def said(found: Calibrated) -> list[str]:
    return [line for line in found.notes() if line.startswith("note: INT8 loss: ")]


@pytest.mark.parametrize("moves", ["", MOVED])
def test_an_operand_that_a_concatenation_loses(tmp_path: Path, moves: str) -> None:
    weights = scaled(BOXES + moves, "Convolution_a", 600.0)
    found = made(tmp_path, BOXES + moves, weights, layer_table=True)
    (line,) = said(found)
    assert 'operand "s"' in line
    assert "-fpfwd_blocks=Concat_cat" in line
    table = found.result.table
    assert table is not None
    (loss,) = json.loads(table.read_bytes())["losses"]
    assert loss["layer"] == "Concat_cat"
    helped = made(tmp_path, BOXES + moves, weights, fpfwd_blocks="Concat_cat")
    assert not said(helped)


def test_a_channel_of_an_output_that_is_lost(tmp_path: Path) -> None:
    text = DATA + layer("Convolution", "data", "a", CONV)
    weights = scaled(text, "Convolution_a", np.array([300.0, 1, 1, 300]))
    (line,) = said(made(tmp_path, text, weights))
    assert 'channels 1..2 of "Convolution_a"' in line


@pytest.mark.parametrize(("count", "reported"), [(1, False), (2, True)])
def test_one_sample_does_not_show_a_small_channel(
    tmp_path: Path, count: int, reported: bool
) -> None:
    text = DATA + layer("Convolution", "data", "a", CONV)
    weights = scaled(text, "Convolution_a", np.array([300.0, 1, 1, 300]))
    files = Files.of(tmp_path, text, weights)
    lines = said(files.calibrate(files.samples(count)))
    assert any("channels 1..2" in line for line in lines) == reported


def test_a_threshold_that_saturates(tmp_path: Path) -> None:
    text = DATA + layer("TanH", "data", "t").replace('top: "t"', 'top: "t" threshold: 0.3')
    lines = said(made(tmp_path, text))
    assert any("saturates" in line and "prototxt" in line for line in lines)


def test_biases_that_are_clipped(tmp_path: Path) -> None:
    text = DATA + layer("Convolution", "data", "a", CONV)
    text += layer("Convolution", "a", "b", CONV)
    weights = scaled(text, "Convolution_b", 1e-6)
    for each in weights.layer:
        if each.name == "Convolution_b":
            each.blobs[1].data[:] = [1e3, 1e-3, 1e-3, -1e3]
    found = made(tmp_path, text.replace('top: "b"', 'top: "b" threshold: 2'), weights)
    assert any("biases" in line and "-fpfwd_blocks=Convolution_b" in line for line in said(found))


def test_equal_losses_are_one_line(tmp_path: Path) -> None:
    text = DATA + "".join(layer("Convolution", "data", f"a{i}", CONV) for i in range(6))
    weights = random_weights(text, 1)
    for each in weights.layer:
        if each.blobs:
            array = np.array(each.blobs[0].data, np.float32).reshape(4, -1)
            each.blobs[0].data[:] = (array * [[400], [1], [1], [400]]).ravel()
    lines = said(made(tmp_path, text, weights))
    assert len(lines) == 1
    assert "5 more like it" in lines[0]


def test_a_sound_net_hears_nothing(tmp_path: Path) -> None:
    text = DATA + layer("Convolution", "data", "a", CONV) + layer("ReLU", "a", "r")
    text += layer("Pooling", "r", "p", "pooling_param { kernel_size: 2 stride: 2 }")
    text += layer("InnerProduct", "p", "f", "inner_product_param { num_output: 5 }")
    found = made(tmp_path, text + layer("Softmax", "f", "out"))
    assert not said(found)


def test_searches_judge_the_worst_operand(tmp_path: Path) -> None:
    """The whole output is near 1 anyhow; the lost operand is what the target is for."""
    weights = scaled(BOXES + MOVED, "Convolution_a", 600.0)
    found = made(tmp_path, BOXES + MOVED, weights, target_cosine=0.999)
    assert "Concat_cat" in found.result.float_layers
    assert any('worst: "out: s"' in line for line in found.lines)
