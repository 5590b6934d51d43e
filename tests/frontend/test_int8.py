"""int8umodels: integer coefficients, scales of blobs, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects.builtin import f32

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend import Network, Precision, load_network
from bmnetu.frontend.ufw_pb2 import LayerParameter, NetParameter
from bmnetu.frontend.weights.blobs import float_blob, integer_blob
from dialects.blob import Array
from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops
from dialects.ufw.layer import SI8, UI8, tensor_type
from tests.frontend.samples import data, layer, layers_of, loaded, main_of, written

CONV1 = "convolution_param { num_output: 3 kernel_size: 1 }"
TEXT = (
    "int8_scale: 63.5\n"
    + data(1, 2, 4, 4)
    + layer("Convolution", CONV1, name="conv", top="conv")
    + layer("BatchNorm", name="bn", bottom="conv", top="conv")
    + layer("Scale", "scale_param { bias_term: true }", name="scale", bottom="conv", top="conv")
    + layer("Bias", name="bias", bottom="conv", top="conv")
    + layer("ReLU", name="relu", bottom="conv", top="conv")
    + layer("PReLU", name="prelu", bottom="conv", top="conv")
    + layer("InnerProduct", "inner_product_param { num_output: 2 bias_term: false }", name="fc",
            bottom="conv", top="fc")
    + layer("Softmax", name="prob", bottom="fc", top="prob")
)  # fmt: skip


def i8(*shape: int) -> Array:
    return (np.arange(prod(shape)) % 255 - 127).reshape(shape).astype(np.int8)


def i16(*shape: int) -> Array:
    return np.full(shape, -30000, np.int16)


BLOBS: dict[str, list[Array]] = {
    "conv": [i8(3, 2, 1, 1), i16(3)],
    "bn": [i8(3), i16(3)],
    "scale": [i8(3), i16(3)],
    "bias": [i8(3), i16(3)],
    "prelu": [i8(3)],
    "fc": [i8(2, 48)],
}


def umodel() -> NetParameter:
    net = NetParameter(name="int8")
    for shift, (name, arrays) in enumerate(BLOBS.items()):
        blobs = [integer_blob(arrays[0], shift), *map(integer_blob, arrays[1:])]
        net.layer.add(name=name).blobs.extend(blobs)
    for name in ("data", "conv", "conv_1", "conv_2", "conv_3", "conv_5", "fc"):
        net.activation.add(blob=name, threshold=2.0)
    net.activation.add(blob="conv_4", threshold=2.0, is_unsigned=True)
    net.activation.add(blob="prob", is_float=True)
    return net


def record(net: NetParameter, blob: str) -> None:
    kept = [each for each in net.activation if each.blob != blob]
    del net.activation[:]
    net.activation.extend(kept)


def blobs_of(net: NetParameter, name: str) -> LayerParameter:
    return next(each for each in net.layer if each.name == name)


def test_kinds_of_blobs(tmp_path: Path) -> None:
    network = loaded(tmp_path, TEXT, umodel())
    assert network.precision is Precision.INT8
    assert network.notes == ()
    values = [main_of(network).body.block.args[0], *(op.results[0] for op in layers_of(network))]
    kinds = [tensor_type(value) for value in values]
    signed, unsigned = ScaleAttr.of(2 / 127), ScaleAttr.of(2 / 255)
    assert [kind.element_type for kind in kinds] == [SI8] * 5 + [UI8, SI8, SI8, f32]
    assert [kind.encoding for kind in kinds[:-1]] == [signed] * 5 + [unsigned] + [signed] * 2
    assert not isinstance(kinds[-1].encoding, ScaleAttr)


def test_coefficients_and_shifts(tmp_path: Path) -> None:
    found = layers_of(loaded(tmp_path, TEXT, umodel()))
    conv, bn, scale, bias, _, prelu, fc, _ = found
    assert isinstance(conv, ops.ConvolutionOp)
    assert conv.weight.array.dtype == np.int8
    assert (conv.weight.array == i8(3, 2, 1, 1)).all()
    assert conv.bias is not None
    assert (conv.bias.array == i16(3)).all()
    shifts = [op.properties["right_shift"] for op in (conv, bn, scale, bias, prelu, fc)]
    assert [str(shift) for shift in shifts] == [f"{i} : i64" for i in range(6)]
    for op in (bn, scale, bias):
        assert isinstance(op, ops.BatchNormOp | ops.ScaleOp | ops.BiasOp)
        assert op.weight is not None
        assert (op.weight.array == i8(3)).all()


def test_int8_data_is_read_too(tmp_path: Path) -> None:
    net = umodel()
    blob = blobs_of(net, "conv").blobs[0]
    blob.int8_data = bytes(v % 256 for v in blob.int32_data)
    blob.ClearField("int32_data")
    conv = layers_of(loaded(tmp_path, TEXT, net))[0]
    assert isinstance(conv, ops.ConvolutionOp)
    assert (conv.weight.array == i8(3, 2, 1, 1)).all()


@pytest.mark.parametrize("unsigned", [False, True])
def test_a_float_island(tmp_path: Path, unsigned: bool) -> None:
    net = umodel()
    fc = blobs_of(net, "fc")
    del fc.blobs[:]
    fc.blobs.append(float_blob(np.ones((2, 48), np.float32)))
    record(net, "fc")
    net.activation.add(blob="fc", threshold=4.0, is_float=True, is_unsigned=unsigned)
    op = layers_of(loaded(tmp_path, TEXT, net))[-2]
    assert isinstance(op, ops.InnerProductOp)
    assert op.weight.array.dtype == np.float32
    assert op.right_shift is None
    kind = tensor_type(op.top)
    assert kind.element_type == f32
    assert kind.encoding == ScaleAttr.of(4 / (255 if unsigned else 127), unsigned)


def test_the_umodel_s_input_scale_wins(tmp_path: Path) -> None:
    network = loaded(tmp_path, TEXT.replace("63.5", "63.51"), umodel())
    (note,) = network.notes
    assert "int8_scale is 63.51" in note
    assert 'input "data" is 63.5; the umodel wins' in note
    assert loaded(tmp_path, TEXT.replace("63.5", "63.5001"), umodel()).notes == ()


def test_a_net_of_floats_ignores_int8_scale(tmp_path: Path) -> None:
    text = "int8_scale: 3\n" + data(1, 2, 4, 4) + layer("Convolution", CONV1)
    network = loaded(tmp_path, text)
    assert network.precision is Precision.FP32
    assert network.notes == ()


def no_records(net: NetParameter) -> None:
    net.ClearField("activation")


def no_record_of_conv_2(net: NetParameter) -> None:
    record(net, "conv_2")


def zero_threshold(net: NetParameter) -> None:
    net.activation[0].threshold = 0


def infinite_threshold(net: NetParameter) -> None:
    net.activation[0].threshold = float("inf")


def no_shift(net: NetParameter) -> None:
    blobs_of(net, "conv").blobs[0].ClearField("right_shift_num")


def large_shift(net: NetParameter) -> None:
    blobs_of(net, "conv").blobs[0].right_shift_num = 40


def large_weight(net: NetParameter) -> None:
    blobs_of(net, "conv").blobs[0].int32_data[0] = 128


def large_bias(net: NetParameter) -> None:
    blobs_of(net, "conv").blobs[1].int32_data[0] = 40000


def float_bias(net: NetParameter) -> None:
    blobs_of(net, "conv").blobs[1].CopyFrom(float_blob(np.ones(3, np.float32)))


FAULTS: list[tuple[Callable[[NetParameter], None], str]] = [
    (no_records, "has integer weights but no activation scales that bmnetu knows; calibrate"),
    (no_record_of_conv_2, 'has no activation scale of blob "conv_2"'),
    (zero_threshold, 'blob "data" has threshold 0.0; a positive number is expected'),
    (infinite_threshold, 'blob "data" has threshold inf'),
    (no_shift, "its integer weights have no right_shift_num"),
    (large_shift, "its right_shift_num 40 is not in 0..31"),
    (large_weight, "its weights have numbers outside -128..127"),
    (large_bias, "its bias have numbers outside -32768..32767"),
    (float_bias, "its bias are floats beside integers"),
]


@pytest.mark.parametrize(("change", "sentence"), FAULTS)
def test_faulty_umodels(
    tmp_path: Path, change: Callable[[NetParameter], None], sentence: str
) -> None:
    net = umodel()
    change(net)
    with pytest.raises(InputFileError) as caught:
        loaded(tmp_path, TEXT, net)
    assert sentence in str(caught.value)
    assert "net.fp32umodel" in str(caught.value)


def test_integers_that_an_op_cannot_hold(tmp_path: Path) -> None:
    text = data(1, 3, 4, 4) + (
        'layer { name: "s" type: "Scale" bottom: "data" bottom: "data" top: "s" '
        "scale_param { axis: 0 bias_term: true } }"
    )
    net = NetParameter()
    net.layer.add(name="s").blobs.append(integer_blob(i16(1, 3, 4, 4), 1))
    for name in ("data", "s"):
        net.activation.add(blob=name, threshold=1)
    with pytest.raises(UnsupportedError, match="an integer bias beside a second input"):
        loaded(tmp_path, text, net)


def test_load_by_path_only(tmp_path: Path) -> None:
    network: Network = load_network(*written(tmp_path, TEXT, umodel()), max_n=2)
    assert tensor_type(main_of(network).body.block.args[0]).get_shape() == (2, 2, 4, 4)
