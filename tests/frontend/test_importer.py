"""Layers of the prototxt as ops: settings, defaults, shapes and faults, one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects.builtin import FileLineColLoc, NameLoc
from xdsl.ir import Operation

from bmnetu.errors import BmnetuError, InputFileError, UnsupportedError, UsageError
from bmnetu.frontend import load_network
from bmnetu.frontend.layers.advice import advice_on
from bmnetu.frontend.layers.importers import IMPORTERS
from dialects.functions import ROWS
from dialects.ufw import ops
from dialects.ufw.layer import shape_of
from tests.frontend.moves import MOVES
from tests.frontend.samples import CONV, SMALL, data, layer, layers_of, loaded, names, run, written
from tests.frontend.sums import SUMS
from tests.functions import settings_text

X = data(2, 4, 9, 11)


def one(folder: Path, kind: str, rest: str = "", prefix: str = X) -> Operation:
    """The only op of a net with one layer."""
    (op,) = layers_of(loaded(folder, prefix + layer(kind, rest)))
    return op


SHAPES: list[tuple[str, str, list[int]]] = [
    ("Convolution", "convolution_param { num_output: 6 kernel_size: 3 }", [2, 6, 7, 9]),
    ("Convolution",
     "convolution_param { num_output: 6 kernel_size: [3, 1] stride: [2, 1] pad: [0, 2] }",
     [2, 6, 4, 15]),
    ("Convolution",
     "convolution_param { num_output: 6 kernel_h: 1 kernel_w: 3 stride_h: 3 stride_w: 2 pad_w: 1 "
     "group: 2 bias_term: false engine: CAFFE weight_filler { type: 'msra' } }",
     [2, 6, 3, 6]),
    ("Convolution", "convolution_param { num_output: 1 kernel_size: 3 dilation: 4 }", [2, 1, 1, 3]),
    ("DepthwiseConvolution", "convolution_param { num_output: 8 kernel_size: 1 }", [2, 8, 9, 11]),
    ("ConvolutionDepthwise", "convolution_param { num_output: 4 kernel_size: 3 pad: 1 }",
     [2, 4, 9, 11]),
    ("BatchNorm", "batch_norm_param { use_global_stats: true eps: 0.001 }", [2, 4, 9, 11]),
    ("Scale", "scale_param { bias_term: true }", [2, 4, 9, 11]),
    ("Scale", "scale_param { axis: -2 num_axes: -1 }", [2, 4, 9, 11]),
    ("Scale", "scale_param { num_axes: 0 }", [2, 4, 9, 11]),
    ("Bias", "bias_param { axis: 0 num_axes: 2 }", [2, 4, 9, 11]),
    ("PReLU", "prelu_param { channel_shared: true }", [2, 4, 9, 11]),
    ("PReLU", "", [2, 4, 9, 11]),
    ("ReLU", "relu_param { negative_slope: 0.1 following_special: false }", [2, 4, 9, 11]),
    ("ReLU6", "", [2, 4, 9, 11]),
    ("Pooling", "pooling_param { kernel_size: 2 stride: 2 }", [2, 4, 5, 6]),
    ("Pooling", "pooling_param { kernel_size: 2 stride: 2 round_mode: FLOOR }", [2, 4, 4, 5]),
    ("Pooling", "pooling_param { kernel_size: 2 stride: 2 ceil_mode: false }", [2, 4, 4, 5]),
    ("Pooling", "pooling_param { pool: AVE kernel_h: 3 kernel_w: 1 stride_h: 2 stride_w: 1 "
     "pad_h: 1 pad_w: 0 }", [2, 4, 5, 11]),
    ("Pooling", "pooling_param { pool: AVE global_pooling: true }", [2, 4, 1, 1]),
    ("InnerProduct", "inner_product_param { num_output: 5 }", [2, 5]),
    ("InnerProduct", "inner_product_param { num_output: 5 axis: -1 bias_term: false }",
     [2, 4, 9, 5]),
    ("InnerProduct", "inner_product_param { num_output: 5 transpose: true }", [2, 5]),
    ("Softmax", "softmax_param { axis: -1 }", [2, 4, 9, 11]),
    ("ComposedFunction", 'composed_function_param { function: "ge(x, 0.5)" }', [2, 4, 9, 11]),
    ("LogSoftmax", "softmax_param { axis: 2 }", [2, 4, 9, 11]),
    *((row.layer, settings_text(row, row.samples[-1]), [2, 4, 9, 11]) for row in ROWS),
    ("Dropout", "dropout_param { dropout_ratio: 0.5 }", [2, 4, 9, 11]),
    ("Flatten", "", [2, 396]),
    ("Flatten", "flatten_param { axis: -3 end_axis: 2 }", [2, 36, 11]),
    ("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 3 } }", [2, 132, 3]),
    ("Reshape", "reshape_param { shape { dim: 3 dim: 12 } axis: 1 num_axes: 2 }", [2, 3, 12, 11]),
    ("Reshape", "reshape_param { shape { dim: 1 } axis: -1 num_axes: 0 }", [2, 4, 9, 11, 1]),
    ("Permute", "permute_param { order: 0 order: 2 }", [2, 9, 4, 11]),
    ("Concat", "", [2, 4, 9, 11]),
    ("Slice", "", [2, 4, 9, 11]),
    ("Split", "", [2, 4, 9, 11]),
    ("SPP", "spp_param { pyramid_height: 2 }", [2, 20]),
    ("PadTensor", "pad_param { pad_t: 1 }", [2, 4, 10, 11]),
    ("INTERP", "interp_param { height: 5 width: 6 }", [2, 4, 5, 6]),
    *SUMS,
    *MOVES,
]  # fmt: skip


@pytest.mark.parametrize(("kind", "rest", "shape"), SHAPES)
def test_result_shapes(tmp_path: Path, kind: str, rest: str, shape: list[int]) -> None:
    assert list(shape_of(one(tmp_path, kind, rest).results[0])) == shape


def test_every_importer_is_tried() -> None:
    aliases = {alias for row in ROWS for alias in row.aliases}
    aliases |= {
        "Axpy",
        "BroadcastBinary",
        "Compare",
        "ConstBinary",
        "EltwiseBinary",
        "Parameter",
        "Select",
        "Where",
    }  # test_eltwise.py
    elsewhere = {
        "CReLU",
        "Cast",
        "Convolution3D",
        "DeformGather",
        "DenseBlock",
        "DetectionOutput",
        "Eltwise",
        "Gather",
        "GatherElements",
        "GridSampler",
        "LSTM",
        "MatMul",
        "NonMaxSuppression",
        "Pooling3D",
        "PriorBox",
        "PriorBoxClustered",
        "Proposal",
        "PSROIAlign",
        "PSROIPooling",
        "Region",
        "RegionYolo",
        "RNN",
        "RPN",
        "ROIAlign",
        "ROIPooling",
        "ROIPoolingBins",
        "Silence",
        "TopK",
        "Unpooling",
        "Yolo",
        "YoloDetectionOutput",
        "Yolov3DetectionOutput",
        *aliases,
    }
    assert {kind for kind, _, _ in SHAPES} | elsewhere == set(IMPORTERS)


HOLES = [
    ("hole: 3", (3, 3)), ("hole: 3 hole: 2", (3, 2)), ("hole_h: 3 hole_w: 2", (3, 2)),
    ("hole_w: 2", (1, 2)), ("dilation: 3", (3, 3)), ("", (1, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "dilation"), HOLES)
def test_hole_is_dilation(tmp_path: Path, setting: str, dilation: tuple[int, int]) -> None:
    param = f"convolution_param {{ num_output: 2 kernel_size: 3 {setting} }}"
    op = one(tmp_path, "Convolution", param)
    assert isinstance(op, ops.ConvolutionOp)
    assert op.dilation.get_values() == dilation


def test_convolution_settings(tmp_path: Path) -> None:
    rest = (
        "convolution_param { num_output: 6 kernel_h: 1 kernel_w: 3 stride: 2 pad_h: 1 "
        "dilation: 1 dilation: 2 group: 2 bias_term: false use_winograd: false }"
    )
    op = one(tmp_path, "Convolution", rest)
    assert isinstance(op, ops.ConvolutionOp)
    assert op.weight.shape == (6, 2, 1, 3)
    assert op.bias is None
    assert op.stride.get_values() == (2, 2)
    assert op.pad.get_values() == (1, 1, 0, 0)
    assert op.dilation.get_values() == (1, 2)
    assert op.use_winograd is not None
    assert op.use_winograd.value.data == 0


@pytest.mark.parametrize(
    ("kind", "param"),
    [
        ("Convolution", "convolution_param { num_output: 4"),
        ("Pooling", "pooling_param { pool: AVE"),
    ],
)
def test_pads_of_single_sides(tmp_path: Path, kind: str, param: str) -> None:
    sides = "pad_t: 1 pad_b: 2 pad_l: 0 pad_r: 1"
    op = one(tmp_path, kind, f"{param} kernel_size: 3 pad: 0 {sides} }}")
    assert isinstance(op, (ops.ConvolutionOp, ops.PoolingOp))
    assert op.pad.get_values() == (1, 2, 0, 1)
    with pytest.raises(UnsupportedError, match="has both pad and pad_l"):
        one(tmp_path, kind, f"{param} kernel_size: 3 pad: 1 {sides} }}")


def test_relu6(tmp_path: Path) -> None:
    op = one(tmp_path, "ReLU", "relu_param { relu6: true }")
    assert isinstance(op, ops.ReLUOp)
    assert op.upper is not None
    assert op.upper.value.data == 6
    with pytest.raises(UnsupportedError, match="relu6 with a negative_slope cannot be compiled"):
        one(tmp_path, "ReLU", "relu_param { relu6: true negative_slope: 0.1 }")


def test_the_maximum_of_an_eltwise_has_no_coefficients(tmp_path: Path) -> None:
    op = one(tmp_path, "Eltwise", 'bottom: "data" eltwise_param { operation: MAX coeff: [1, 2] }')
    assert isinstance(op, ops.EltwiseOp)
    assert op.coefficients is None


@pytest.mark.parametrize("ceil", ["true", "false"])
def test_a_pooling_larger_than_its_input(tmp_path: Path, ceil: str) -> None:
    """Caffe's formula gives one window, rounded up; rounded down there is none."""
    text = data(1, 2, 1, 3) + layer(
        "Pooling", f"pooling_param {{ kernel_size: 2 stride: 2 ceil_mode: {ceil} }}"
    )
    if ceil == "true":
        assert list(shape_of(layers_of(loaded(tmp_path, text))[0].results[0])) == [1, 2, 1, 2]
        return
    model, weight = written(tmp_path, SMALL)
    model.write_text(text)
    with pytest.raises(UnsupportedError, match=r"kernel 2 is larger than the padded input"):
        load_network(model, weight)


PLACEHOLDER = data(1, 4, 1, 1) + layer("Pooling", "pooling_param { kernel_size: 2 stride: %d }")


def test_a_placeholder_of_a_shape_leads_to_the_flag(tmp_path: Path) -> None:
    network = loaded(tmp_path, PLACEHOLDER % 2)
    assert [note for note in network.notes if "give the real one with -shapes=[1,4," in note]
    assert not loaded(tmp_path, PLACEHOLDER % 2, shapes=[[1, 4, 1, 1]]).notes
    model, weight = written(tmp_path, SMALL)
    model.write_text(PLACEHOLDER % 1)
    with pytest.raises(UnsupportedError, match=r"kernel 2 is larger.*\n.*with -shapes="):
        load_network(model, weight)


def test_winograd_of_a_layer(tmp_path: Path) -> None:
    op = one(tmp_path, "Convolution", f"use_winograd: true {CONV}")
    assert isinstance(op, ops.ConvolutionOp)
    assert op.use_winograd is not None
    assert op.use_winograd.value.data != 0


def test_transposed_weights_mean_the_same(tmp_path: Path) -> None:
    op = one(tmp_path, "InnerProduct", "inner_product_param { num_output: 5 transpose: true }")
    assert isinstance(op, ops.InnerProductOp)
    assert op.weight.shape == (5, 396)


def test_batch_norm_divides_by_its_third_blob(tmp_path: Path) -> None:
    op = one(tmp_path, "BatchNorm")
    assert isinstance(op, ops.BatchNormOp)
    assert op.variance is not None
    assert ((0.5 <= op.variance.array) & (op.variance.array <= 1.5)).all()


def test_two_input_layers(tmp_path: Path) -> None:
    text = (
        X
        + layer("Pooling", "pooling_param { pool: AVE global_pooling: true }", name="p", top="p")
        + layer("Flatten", name="f", bottom="p", top="f")
        + 'layer { name: "s" type: "Scale" bottom: "data" bottom: "f" top: "s"\n'
        "  scale_param { axis: 0 bias_term: true } }\n"
        'layer { name: "b" type: "Bias" bottom: "s" bottom: "f" top: "b" bias_param { axis: 0 } }\n'
        'layer { name: "e" type: "Eltwise" bottom: "b" bottom: "s" bottom: "data" top: "e"\n'
        "  eltwise_param { operation: SUM coeff: 1 coeff: -1 coeff: 0.5 } }\n"
        'layer { name: "m" type: "Eltwise" bottom: "e" bottom: "s" top: "m"\n'
        "  eltwise_param { operation: MAX } }\n"
        'layer { name: "c" type: "Concat" bottom: "m" bottom: "e" top: "c"\n'
        "  concat_param { concat_dim: 2 } }\n"
        'layer { name: "cut" type: "Slice" bottom: "c" top: "x" top: "y" top: "z"\n'
        "  slice_param { axis: -2 slice_point: 3 slice_point: 10 } }\n"
        'layer { name: "quiet" type: "Silence" bottom: "y" bottom: "z" }\n'
    )
    network = loaded(tmp_path, text)
    assert names(network) == (["data"], ["x"])
    assert [op.name for op in layers_of(network)][2:] == [
        "ufw.scale", "ufw.bias", "ufw.eltwise", "ufw.eltwise", "ufw.concat", "ufw.slice",
        "ufw.silence",
    ]  # fmt: skip
    assert run(network)["x"].shape == (2, 4, 3, 11)


def test_locations_and_names(tmp_path: Path) -> None:
    network = loaded(tmp_path, SMALL)
    relu = layers_of(network)[1]
    location = relu.location
    assert isinstance(location, NameLoc)
    assert location.desc.data == "relu"
    assert isinstance(location.location, FileLineColLoc)
    assert location.location.filename.data == f"{tmp_path}/net.prototxt"
    assert location.location.line.data == 4
    assert isinstance(relu, ops.ReLUOp)
    assert relu.top_names == ["conv_1"]
    assert names(network) == (["data"], ["prob"])
    assert 'bmnetu.net_name = "small"' in str(network.module)


def test_batch_and_shapes_reshape_the_whole_net(tmp_path: Path) -> None:
    text = data(1, 3, 8, 8) + layer("Convolution", CONV)
    assert run(loaded(tmp_path, text, max_n=4))["l"].shape == (4, 4, 6, 6)
    assert run(loaded(tmp_path, text, shapes=[[2, 3, 5, 9]]))["l"].shape == (2, 4, 3, 7)


def test_shapes_of_another_rank_are_to_blame(tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    (known,) = load_network(model, weight).input_shapes
    said = f'-shapes: input "data" is 1x3x12, the model has {"x".join(map(str, known))} there; .*'
    with pytest.raises(UsageError, match=said + r"its weights are .* in the weight file"):
        load_network(model, weight, shapes=[(1, 3, 12)])


def test_batches_are_independent(tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    one_, two = (load_network(model, weight, max_n=n) for n in (1, 2))
    np.testing.assert_allclose(run(two)["prob"][:1], run(one_)["prob"], rtol=1e-5)


def test_an_unread_input_is_left_out(tmp_path: Path) -> None:
    network = loaded(tmp_path, 'input: "label" input_shape { dim: 7 }\n' + X + layer("ReLU"))
    assert names(network) == (["data"], ["l"])
    assert 'input "label" is left out: no layer reads it' in network.notes[0]


def test_a_net_without_a_name_has_its_file_s(tmp_path: Path) -> None:
    network = loaded(tmp_path, X + layer("ReLU") + layer("InnerProduct", IP, name="m", top="m"))
    assert network.net.name == "net"
    assert (
        load_network(tmp_path / "net.prototxt", tmp_path / "net.fp32umodel", net_name="n").net.name
        == "n"
    )


IP = "inner_product_param { num_output: 5 }"


def test_all_unsupported_layers_are_listed_at_once(tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    model.write_text(
        X + layer("Whiten", name="norm1") + layer("ReLU", name="r", bottom="l", top="r")
        + layer("RefineDetDetectionOutput", name="c", bottom="r", top="c")
    )  # fmt: skip
    with pytest.raises(UnsupportedError) as caught:
        load_network(model, weight)
    assert str(caught.value).splitlines() == [
        "2 layer(s) have a type that cannot be compiled:",
        f'  {model}:2: layer "norm1" (Whiten)',
        f'  {model}:4: layer "c" (RefineDetDetectionOutput)',
        "  in all: 1 Whiten, 1 RefineDetDetectionOutput",
        f"  Whiten: {advice_on('Whiten')}",
        f"  RefineDetDetectionOutput: {advice_on('RefineDetDetectionOutput')}",
    ]


def test_parameters_of_another_layer_are_noted(tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    model.write_text(X + layer("Sigmoid", "relu_param { } sigmoid_param { }", name="s"))
    notes = load_network(model, weight).notes
    assert [each for each in notes if "relu_param" in each] == [
        f'{model}:2: layer "s" (Sigmoid): relu_param is of another layer type, and has no effect'
    ]
    assert not any("sigmoid_param" in each for each in notes)


FAULTS: list[tuple[str, str, str, type[BmnetuError]]] = [
    ("Convolution", "", "num_output is missing or 0", UnsupportedError),
    ("Convolution", "convolution_param { num_output: 4 }",
     "kernel_size requires 1 or 2 numbers, has 0", UnsupportedError),
    ("Convolution", "convolution_param { num_output: 4 kernel_size: [1, 1, 1] }",
     "kernel_size requires 1 or 2 numbers, has 3", UnsupportedError),
    ("Convolution", "convolution_param { num_output: 4 kernel_size: 1 kernel_h: 1 }",
     "has both kernel_size and kernel_h or kernel_w", UnsupportedError),
    ("Convolution", "convolution_param { num_output: 2 kernel_size: 3 hole: 2 dilation: 2 }",
     "has two of dilation, hole, and hole_h with hole_w", UnsupportedError),
    ("Convolution", "convolution_param { num_output: 4 kernel_size: 1 group: 3 }",
     "group 3 does not divide 4 input channels", UnsupportedError),
    ("Convolution", "convolution_param { num_output: 4 kernel_size: 1 group: 0 }",
     "group 0 does not divide", UnsupportedError),
    ("Convolution", "convolution_param { num_output: 4 kernel_size: 1 stride: 0 }",
     "stride 0x0 is smaller than 1", UnsupportedError),
    ("Convolution", "convolution_param { num_output: 4 kernel_size: 12 }",
     "kernel of extent 12 is larger than the padded input (9 + 0 + 0)", UnsupportedError),
    ("Convolution", "convolution_param { num_output: 4 kernel_size: 1 axis: 2 }",
     "convolution axis 2, which is not 1, cannot be compiled", UnsupportedError),
    ("Convolution", "convolution_param { num_output: 4 kernel_size: 1 pad: 40000 }",
     "has more than 2^31 elements", UnsupportedError),
    ("BatchNorm", "batch_norm_param { use_global_stats: false scale_bias: true }",
     "use_global_stats: false beside factors and addends cannot be compiled", UnsupportedError),
    ("ArgMax", "argmax_param { top_k: 2 }",
     "top_k 2, as the chip finds one place at a time, cannot be compiled", UnsupportedError),
    ("GroupNorm", "group_norm_param { num_groups: 3 }", "3 groups do not divide 4 channels",
     UnsupportedError),
    ("LRN", "lrn_param { local_size: 4 }", "local_size 4 is not odd", UnsupportedError),
    ("Pooling", "", "kernel_size is missing or 0", UnsupportedError),
    ("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }",
     "stochastic pooling cannot be compiled", UnsupportedError),
    ("Pooling", "pooling_param { kernel_size: 3 pad: 1 pad_mode: SAME }",
     "has both pads and a pad_mode", UnsupportedError),
    ("InnerProduct", "inner_product_param { num_output: 5 axis: 4 }",
     "axis 4 is outside a tensor of 4 dimensions", UnsupportedError),
    ("Scale", "scale_param { num_axes: 5 }", "5 axes from axis 1 on are too many",
     UnsupportedError),
    ("Reshape", "reshape_param { shape { dim: -1 dim: -1 } }", "cannot be reshaped to [-1, -1]",
     UnsupportedError),
    ("Reshape", "reshape_param { shape { dim: -1 dim: 5 } }", "cannot be reshaped to [-1, 5]",
     UnsupportedError),
    ("Reshape", "reshape_param { shape { dim: -2 } }", "dimension -2 of the new shape is below -1",
     UnsupportedError),
    ("Reshape", "reshape_param { shape { dim: [1, 1, 1, 1, 0] } }",
     "dimension 4 of the new shape copies one that the input does not have", UnsupportedError),
    ("Reshape", "reshape_param { axis: 5 }", "axis 5 and num_axes -1 are outside 4 dimensions",
     UnsupportedError),
    ("Permute", "permute_param { order: 0 order: 0 }", "is no order of the 4 dimensions",
     UnsupportedError),
    ("Slice", "slice_param { slice_point: 1 }", "1 slice_point(s) for 1 tops; 0 are required",
     UnsupportedError),
    ("Softmax", "softmax_param { axis: 4 }", "axis 4 is outside", UnsupportedError),
    ("Power", "power_param { power: nan }", "power is not a finite number", InputFileError),
    ("ReLU", "relu_param { negative_slope: 1e99 }", "negative_slope is not a finite number",
     InputFileError),
    ("Eltwise", "", "has 1 bottom(s), at least 2 is required", InputFileError),
    ("ReLU", 'top: "b"', "has 2 top(s), 1 is required", InputFileError),
    ("DetectionOutput", 'bottom: "data"', "has 2 bottom(s), 3 to 5 is required", InputFileError),
    ("Scale", 'bottom: "data" bottom: "data"', "has 3 bottom(s), 1 or 2 is required",
     InputFileError),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "rest", "sentence", "error"), FAULTS)
def test_faulty_layers(
    tmp_path: Path, kind: str, rest: str, sentence: str, error: type[BmnetuError]
) -> None:
    model, weight = written(tmp_path, SMALL)
    model.write_text(X + layer(kind, rest))
    with pytest.raises(error) as caught:
        load_network(model, weight)
    assert str(caught.value).startswith(f'{model}:2: layer "l" ({kind}): ')
    assert sentence in str(caught.value)


def test_absurd_inputs(tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    model.write_text(data(65536, 65536) + layer("ReLU"))
    with pytest.raises(UnsupportedError, match=r'prototxt:1: .* input "data": .*than 2\^31'):
        load_network(model, weight)
