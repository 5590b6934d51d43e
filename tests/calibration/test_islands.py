"""Layers that flags keep in float: which they are, and that such nets compile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.calibration.int8.islands import blocks, keep_float
from bmnetu.calibration.int8.quantized_net import layer_name
from bmnetu.calibration.run.net import FloatNet
from bmnetu.errors import UsageError
from bmnetu.frontend import load_network
from bmnetu.options import calibrate_options
from dialects.blob import Array
from tests.calibration.harness import Files, batch, data_layer, layer

CONV = "convolution_param { num_output: 4 kernel_size: 3 pad: 1 }"
DATA = data_layer(2, 4, 6, 6)
JOINED = "".join(
    [
        DATA,
        layer("Convolution", "data", "a", CONV),
        layer("BatchNorm", "a", "n"),
        layer("Scale", "n", "s"),
        layer("ReLU", "s", "r"),
        layer("Convolution", "r", "b", CONV),
        layer("Sigmoid", "b", "g"),
        layer("Eltwise", "r g", "e", "eltwise_param { operation: PROD }"),
        layer("Convolution", "data", "c", CONV),
        layer("Concat", "e c", "j"),
        layer("Pooling", "j", "p", "pooling_param { kernel_size: 2 stride: 2 }"),
        layer("InnerProduct", "p", "f", "inner_product_param { num_output: 3 }"),
        layer("TanH", "f", "t"),
        layer("Softmax", "f", "m"),
    ]
)
FRONT = {"Convolution_a", "ReLU_r"}
"""What is left of the first block when BatchNorm and Scale are folded."""
END = {"InnerProduct_f", "TanH_t", "Softmax_m"}


NAMED: list[tuple[dict[str, str], set[str]]] = [
    ({}, set()),
    ({"fpfwd_inputs": "BatchNorm_n"}, {"data", "Convolution_a"}),
    ({"fpfwd_inputs": "Sigmoid_g"}, {"data", *FRONT, "Convolution_b", "Sigmoid_g"}),
    ({"fpfwd_outputs": "InnerProduct_f"}, END),
    ({"fpfwd_outputs": "Eltwise_e"}, {"Eltwise_e", "Concat_j", "Pooling_p", *END}),
    ({"fpfwd_blocks": "Convolution_a"}, FRONT),
    ({"fpfwd_blocks": "Scale_s"}, FRONT),
    ({"fpfwd_blocks": "ReLU_r"}, {"ReLU_r"}),
    ({"fpfwd_blocks": "Convolution_b"}, {"Convolution_b", "Sigmoid_g"}),
    ({"fpfwd_blocks": "Eltwise_e"}, {"Eltwise_e"}),
    ({"fpfwd_blocks": "Concat_j"}, {"Concat_j", "Pooling_p"}),
    ({"fpfwd_blocks": "InnerProduct_f"}, {"InnerProduct_f", "TanH_t"}),
    ({"fpfwd_blocks": "data"}, {"data"}),
    ({"fpfwd_blocks": "Convolution_a,Convolution_c"}, {*FRONT, "Convolution_c"}),
    ({"fpfwd_inputs": "ReLU_r", "fpfwd_outputs": "TanH_t"}, {"data", *FRONT, "TanH_t"}),
]


def float_net(files: Files, **flags: object) -> FloatNet:
    network = load_network(files.model, files.weight)
    paths = {"model": files.model, "weight": files.weight, "data": "x", "outdir": "x"}
    options = calibrate_options(**paths, **flags)
    keep_float(network, options.fpfwd_inputs, options.fpfwd_outputs, options.fpfwd_blocks)
    return FloatNet(network, bool(flags.get("keep_bn")))


def test_named_layers_and_their_neighbours_are_float(tmp_path: Path) -> None:
    files = Files.of(tmp_path, JOINED)
    for flags, expected in NAMED:
        net = float_net(files, **flags)
        marked = {message.name for message in net.message.layer if message.forward_with_float}
        found = {layer_name(op) for op in net.layers if op in net.floats}
        found |= {name for name, value in net.inputs.items() if value in net.floats}
        assert found == expected | {"Softmax_m"}
        assert found - marked <= {"Softmax_m", "Convolution_a"}


@pytest.mark.parametrize("flags", [NAMED[i][0] for i in (2, 4, 5, 8, 10, 12)])
def test_a_net_with_float_layers_compiles(tmp_path: Path, flags: dict[str, str]) -> None:
    files = Files.of(tmp_path, JOINED)
    data = files.samples(4)
    found = files.calibrate(data, **flags)
    expected = next(names for each, names in NAMED if each == flags)
    assert {name for name, each in found.layers().items() if each.forward_with_float} == expected
    assert set(found.result.float_layers) == (expected | {"Softmax_m"}) - {"data"}
    assert found.records()["data"].is_float == ("data" in expected)
    compiled = bmnetu.compile(found.result.prototxt, found.result.umodel, tmp_path / "out", opt=1)
    assert compiled.layers
    assert all(each.ok for each in compiled.layers)
    one = batch(data, 3, 2)
    real = found.float_outputs(one)
    for name, array in found.int8_outputs(one).items():
        assert np.abs(array - real[name]).max() < 0.1, name


def test_float_layers_from_end_to_end_leave_nothing_to_round(tmp_path: Path) -> None:
    files = Files.of(tmp_path, JOINED)
    data = files.samples(8)
    found = files.calibrate(data, fpfwd_inputs="Softmax_m", fpfwd_outputs="Convolution_c")
    one = batch(data, 3, 2)
    real = found.float_outputs(one)
    for name, array in found.int8_outputs(one).items():
        assert np.allclose(array, real[name], atol=1e-5), name


def test_what_a_float_relu_makes_is_rounded_without_a_sign(tmp_path: Path) -> None:
    files = Files.of(tmp_path, JOINED)
    data = files.samples(8)
    found = files.calibrate(data, fpfwd_blocks="Convolution_a", equalize=False)
    record = found.records()["r"]
    assert record.is_float
    assert record.is_unsigned
    net = Int8Net(found.load().module)
    held: dict[str, Array] = {}
    net.run(batch(data, 3, 2), held.__setitem__)
    assert held["r"].dtype == np.float32
    assert held["b/quantize"].dtype == np.uint8
    expected = np.rint(held["r"] * np.float32(255 / record.threshold)).clip(0, 255)
    assert np.abs(held["b/quantize"] - expected).max() <= 1
    assert held["b/quantize"].max() > 127


def test_an_unknown_layer_names_near_ones_and_leaves_nothing(tmp_path: Path) -> None:
    files = Files.of(tmp_path, JOINED)
    with pytest.raises(UsageError, match=r"-fpfwd_blocks=Convolution_x: .* near are Convolution_"):
        files.calibrate(files.samples(2), fpfwd_blocks="TanH_t,Convolution_x")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep_bn", [False, True])
def test_blocks_hold_every_layer_once(tmp_path: Path, keep_bn: bool) -> None:
    net = float_net(Files.of(tmp_path, JOINED), keep_bn=keep_bn)
    found = [[layer_name(op) for op in block] for block in blocks(net.layers)]
    once = sorted(name for block in found for name in block)
    assert once == sorted(layer_name(op) for op in net.layers)
    normalized = ["BatchNorm_n", "Scale_s"] if keep_bn else []
    assert found[0] == ["Convolution_a", *normalized, "ReLU_r"]
    assert [block[0] for block in found[1:]] == [
        "Convolution_b", "Eltwise_e", "Convolution_c", "Concat_j", "InnerProduct_f", "Softmax_m",
    ]  # fmt: skip
