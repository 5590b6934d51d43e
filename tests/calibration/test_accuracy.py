"""INT8 results are close to the float ones, for every layer type."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.calibration.harness import Files, batch, cosine, data_layer, layer

CONV = "convolution_param { num_output: 16 kernel_size: 3 pad: 1 }"
GROUPED = "convolution_param { num_output: 12 kernel_h: 3 kernel_w: 2 group: 4 stride: 2 }"
DEPTHWISE = "convolution_param { num_output: 8 kernel_size: 3 dilation: 2 bias_term: false }"
TURNED = "inner_product_param { num_output: 20 transpose: true }"
AVERAGE = "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"
PRODUCT = "eltwise_param { operation: PROD }"
POWER = "power_param { power: 2 scale: 0.5 shift: 0.1 }"
WINDOW = "kernel_size: 3 stride: 2"

NETS: dict[str, tuple[str, ...]] = {
    "convolution": (layer("Convolution", "data", "c", CONV),),
    "grouped convolution": (layer("Convolution", "data", "c", GROUPED),),
    "depthwise convolution": (layer("DepthwiseConvolution", "data", "c", DEPTHWISE),),
    "inner product": (
        layer("InnerProduct", "data", "f", "inner_product_param { num_output: 20 }"),
    ),
    "transposed inner product": (layer("InnerProduct", "data", "f", TURNED),),
    "batch norm and scale": (
        layer("BatchNorm", "data", "b"),
        layer("Scale", "b", "s", "scale_param { bias_term: true }"),
    ),
    "scale of two axes": (
        layer("Scale", "data", "s", "scale_param { axis: 2 num_axes: 2 }"),
    ),
    "scale with two inputs": (
        layer("Convolution", "data", "c", CONV),
        layer("Sigmoid", "c", "g"),
        layer("Scale", "c g", "s", "scale_param { axis: 0 }"),
    ),
    "scale with two inputs and a bias": (
        layer("TanH", "data", "t"),
        layer("Scale", "data t", "s", "scale_param { axis: 0 bias_term: true }"),
    ),
    "bias": (layer("Bias", "data", "b"),),
    "bias with two inputs": (
        layer("Pooling", "data", "p", f"pooling_param {{ {WINDOW} }}"),
        layer("TanH", "p", "t"),
        layer("Bias", "p t", "b", "bias_param { axis: 0 }"),
    ),
    "relu": (layer("ReLU", "data", "r"),),
    "convolution and relu": (layer("Convolution", "data", "c", CONV), layer("ReLU", "c", "c")),
    "leaky relu": (layer("ReLU", "data", "r", "relu_param { negative_slope: 0.1 }"),),
    "prelu": (layer("PReLU", "data", "r"),),
    "shared prelu": (layer("PReLU", "data", "r", "prelu_param { channel_shared: true }"),),
    "max pooling": (layer("Pooling", "data", "p", f"pooling_param {{ {WINDOW} }}"),),
    "average pooling": (
        layer("Convolution", "data", "c", CONV),
        layer("ReLU", "c", "c"),
        layer("Pooling", "c", "p", AVERAGE),
    ),
    "sum": (
        layer("Convolution", "data", "c", CONV),
        layer("Convolution", "c", "d", CONV),
        layer("Eltwise", "c d", "e", "eltwise_param { coeff: 1 coeff: -0.5 }"),
        layer("ReLU", "e", "e"),
    ),
    "product": (layer("Sigmoid", "data", "g"), layer("Eltwise", "data g", "e", PRODUCT)),
    "product of three": (
        layer("Sigmoid", "data", "g"),
        layer("Eltwise", "data g g", "e", PRODUCT),
    ),
    "maximum": (
        layer("Convolution", "data", "c", CONV),
        layer("TanH", "c", "t"),
        layer("Eltwise", "c t", "e", "eltwise_param { operation: MAX }"),
    ),
    "concat": (
        layer("Convolution", "data", "c", CONV),
        layer("ReLU", "c", "c"),
        layer("Convolution", "data", "d", CONV),
        layer("Concat", "c d", "e"),
        layer("Convolution", "e", "f", CONV),
    ),
    "slice": (
        layer("Slice", "data", "a b", "slice_param { slice_point: 3 }"),
        layer("Convolution", "a", "c", CONV),
    ),
    "split": (layer("Split", "data", "a b"), layer("Eltwise", "a b", "e")),
    "softmax": (layer("Softmax", "data", "s"),),
    "softmax read by a convolution": (
        layer("Softmax", "data", "s"),
        layer("Convolution", "s", "c", CONV),
    ),
    "sigmoid": (layer("Sigmoid", "data", "s"),),
    "tanh": (layer("TanH", "data", "s"),),
    "power": (layer("Power", "data", "p", POWER),),
    "dropout and flatten": (
        layer("Convolution", "data", "c", CONV),
        layer("Dropout", "c", "c"),
        layer("Flatten", "c", "f"),
    ),
    "reshape and permute": (
        layer("Reshape", "data", "r", "reshape_param { shape { dim: 0 dim: -1 dim: 9 } }"),
        layer("Permute", "r", "p", "permute_param { order: 0 order: 2 order: 1 }"),
    ),
    "silence": (
        layer("Slice", "data", "a b"),
        layer("Silence", "b", ""),
        layer("TanH", "a", "t"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("method", ["MAX", "KL"])
@pytest.mark.parametrize("name", NETS)
def test_every_layer_is_close_to_float(tmp_path: Path, name: str, method: str) -> None:
    files = Files.of(tmp_path, "".join((data_layer(1, 8, 9, 11), *NETS[name])))
    data = files.samples()
    calibrated = files.calibrate(data, th_method=method)
    one = batch(data, 3)
    expected, found = calibrated.float_outputs(one), calibrated.int8_outputs(one)
    assert list(expected) == list(found)
    for blob in expected:
        assert cosine(expected[blob], found[blob]) > 0.995, blob


CHAIN = "".join(
    [
        data_layer(2, 3, 24, 24),
        layer("Convolution", "data", "c1", CONV.replace("}", "bias_term: false }")),
        layer("BatchNorm", "c1", "b1"),
        layer("Scale", "b1", "s1", "scale_param { bias_term: true }"),
        layer("ReLU", "s1", "r1"),
        layer("Pooling", "r1", "p1", f"pooling_param {{ {WINDOW} }}"),
        layer("Convolution", "p1", "c2", CONV),
        layer("PReLU", "c2", "q2"),
        layer("Convolution", "q2", "c3", CONV),
        layer("Eltwise", "c3 p1", "e"),
        layer("ReLU", "e", "r3"),
        layer("InnerProduct", "r3", "fc", "inner_product_param { num_output: 40 }"),
    ]
)


@pytest.mark.parametrize("method", ["MAX", "KL"])
@pytest.mark.parametrize("keep_bn", [False, True])
def test_a_deeper_net_is_close_to_float(tmp_path: Path, keep_bn: bool, method: str) -> None:
    files = Files.of(tmp_path, CHAIN)
    data = files.samples()
    calibrated = files.calibrate(data, th_method=method, keep_bn=keep_bn)
    one = batch(files.samples(seed=9), 0, size=2)
    found, expected = calibrated.int8_outputs(one)["fc"], calibrated.float_outputs(one)["fc"]
    assert cosine(found, expected) > 0.99
