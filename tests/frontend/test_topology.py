"""Connections: unique tops, phases, inputs, outputs, and graphs that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmnetu.errors import InputFileError, UnsupportedError, UsageError
from bmnetu.frontend.prototxt.inputs import Input, reshaped
from bmnetu.frontend.prototxt.topology import Topology, read_topology
from tests.frontend.samples import data, layer


def read(folder: Path, text: str) -> Topology:
    path = folder / "net.prototxt"
    path.write_text(text)
    return read_topology(path)


def edges(topology: Topology) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(each.name, each.bottoms, each.tops) for each in topology.layers]


def test_in_place_tops_become_unique(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        data(1, 3)
        + layer("ReLU", name="a", top="x")
        + layer("ReLU", name="b", bottom="x", top="x")
        + layer("ReLU", name="c", bottom="x", top="x_2")
        + layer("ReLU", name="d", bottom="x", top="x"),
    )
    assert edges(found) == [
        ("a", ("data",), ("x_1",)),
        ("b", ("x_1",), ("x_3",)),
        ("c", ("x_3",), ("x_2",)),
        ("d", ("x_3",), ("x",)),
    ]
    assert found.outputs == ("x_2", "x"), "an output has the name that Caffe gives it"
    assert found.layers[3].where == f"{tmp_path}/net.prototxt:5"


def test_a_blob_that_is_no_output_keeps_its_name(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        data(1, 3)
        + layer("ReLU", name="a", top="x")
        + layer("ReLU", name="b", bottom="x", top="x")
        + layer("ReLU", name="c", bottom="x", top="y"),
    )
    assert [tops for _, _, tops in edges(found)] == [("x",), ("x_1",), ("y",)]


def test_names_that_no_runtime_can_hold(tmp_path: Path) -> None:
    """A blob without a name, and one with a zero in it."""
    found = read(
        tmp_path,
        data(1, 3) + layer("ReLU", name="", top="") + layer("ReLU", name="", bottom="", top="")
        + layer("TanH", bottom="", top="a\\0b"),
    )  # fmt: skip
    assert edges(found) == [
        ("", ("data",), ("unnamed",)),
        ("", ("unnamed",), ("unnamed_1",)),
        ("l", ("unnamed_1",), ("a\\0b",)),
    ]


def test_an_in_place_layer_on_the_input(tmp_path: Path) -> None:
    found = read(tmp_path, data(1, 3) + layer("ReLU", name="a", top="data"))
    assert edges(found) == [("a", ("data",), ("data_1",))]


def test_the_net_ends_at_whitelisted_blobs(tmp_path: Path) -> None:
    text = data(1, 3) + layer("ReLU", name="a", top="x") + layer("TanH", bottom="x", top="y")
    assert read(tmp_path, text).outputs == ("y",)
    cut = read(tmp_path, text + 'output_whitelist: "x"')
    assert cut.outputs == ("x",)
    assert [layer.name for layer in cut.layers] == ["a"]
    (note,) = cut.notes
    assert note.endswith(
        ': output_whitelist: 1 layer is left out, "l" (TanH); the outputs are "x"'
    )
    both = read(tmp_path, text + 'output_whitelist: "y" output_whitelist: "x"')
    assert (both.outputs, both.notes) == (("x", "y"), ())
    with pytest.raises(InputFileError, match='output_whitelist names "z"'):
        read(tmp_path, text + 'output_whitelist: "z"')


DATA = (
    'layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "lmdb" '
    "batch_size: %d backend: LMDB } transform_param { %s } }\n"
) + layer("ReLU")


@pytest.mark.parametrize(
    ("batch", "transform", "shape"),
    [
        (4, "crop_size: 7 force_color: true", (4, 3, 7, 7)),
        (0, "crop_h: 6 crop_w: 7 force_gray: true", (1, 1, 6, 7)),
        (1, "mean_value: [1, 2, 3] resize_param { height: 5 width: 6 }", (1, 3, 5, 6)),
        (1, "mean_value: [1, 2, 3] resize: [8, 9]", (1, 3, 8, 9)),
        (1, "transform_op { op: RESIZE resize_h: 9 resize_w: 9 } transform_op { op: STAND "
         "mean_value: [1, 2, 3] } transform_op { op: CROP crop_h: 8 crop_w: 7 }", (1, 3, 8, 7)),
        (1, "crop_size: 7", ()),
        (1, "force_color: true", ()),
        (1, "force_color: true transform_op { op: RESIZE resize_side: 9 }", ()),
    ],
)  # fmt: skip
def test_a_data_layer_is_an_input(
    tmp_path: Path, batch: int, transform: str, shape: tuple[int, ...]
) -> None:
    """Its label is none, unless somebody reads it."""
    found = read(tmp_path, DATA % (batch, transform))
    assert [(blob.name, blob.shape) for blob in found.inputs] == [("data", shape)]
    assert found.inputs[0].transform is not None
    found = read(
        tmp_path,
        DATA % (batch, transform) + layer("TanH", name="t", bottom="label", top="t"),
    )
    assert [(blob.name, blob.shape) for blob in found.inputs][1] == ("label", (batch or 1,))


READERS = [
    ("MemoryData", "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }",
     (2, 3, 4, 5)),
    ("MemoryData", "", ()),
    ("HDF5Data", "hdf5_data_param { source: 'list.txt' batch_size: 2 }", ()),
    ("ImageData", "image_data_param { batch_size: 2 new_height: 4 new_width: 5 }", (2, 3, 4, 5)),
    ("ImageData", "image_data_param { new_height: 9 new_width: 9 is_color: false } "
     "transform_param { crop_size: 7 }", (1, 1, 7, 7)),
    ("ImageData", "image_data_param { source: 'list.txt' }", ()),
    ("ImageSegData", "image_data_param { batch_size: 2 label_type: PIXEL } "
     "transform_param { mean_value: [1, 2, 3] crop_size: 7 }", (2, 3, 7, 7)),
    ("ImageLabelmapData", "image_data_param { new_height: 4 new_width: 5 }", (1, 3, 4, 5)),
    ("DenseImageData", "dense_image_data_param { batch_size: 2 new_height: 4 new_width: 5 }",
     (2, 3, 4, 5)),
    ("AnnotatedData", "data_param { batch_size: 2 } annotated_data_param { label_map_file: 'x' } "
     "transform_param { mean_value: [1, 2, 3] resize_param { height: 4 width: 5 } }",
     (2, 3, 4, 5)),
    ("VideoData", "video_data_param { batch_size: 2 new_length: 8 new_height: 9 new_width: 9 } "
     "transform_param { crop_size: 7 }", (2, 3, 8, 7, 7)),
    ("WindowData", "window_data_param { batch_size: 2 crop_size: 7 }", (2, 3, 7, 7)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "rest", "shape"), READERS)
def test_layers_that_read_data_are_inputs(
    tmp_path: Path, kind: str, rest: str, shape: tuple[int, ...]
) -> None:
    reader = f'layer {{ name: "d" type: "{kind}" top: "data" top: "label" {rest} }}\n'
    (found,) = read(tmp_path, reader + layer("ReLU")).inputs
    assert (found.name, found.shape) == ("data", shape)
    with pytest.raises(UsageError, match=r'2 shape.* for 1 input.*: "data"'):
        reshaped([found], [[1], [1]], None)
    if not shape:
        with pytest.raises(InputFileError, match=rf'layer "d" \({kind}\): input "data" has no sh'):
            reshaped([found], None, None)


@pytest.mark.parametrize(
    ("kind", "rest", "shape"),
    [
        ("MEMORY_DATA", "memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }",
         (2, 3, 4, 5)),
        ("HDF5_DATA", "hdf5_data_param { batch_size: 2 }", ()),
        ("IMAGE_DATA", "image_data_param { new_height: 4 new_width: 5 }", (1, 3, 4, 5)),
        ("WINDOW_DATA", "window_data_param { crop_size: 7 }", (1, 3, 7, 7)),
    ],
)  # fmt: skip
def test_old_layers_that_read_data(
    tmp_path: Path, kind: str, rest: str, shape: tuple[int, ...]
) -> None:
    found = read(
        tmp_path,
        f'layers {{ name: "d" type: {kind} top: "data" top: "label" {rest} }}\n'
        'layers { name: "r" type: RELU bottom: "data" top: "r" }',
    )
    assert [(blob.name, blob.shape) for blob in found.inputs] == [("data", shape)]


def test_a_relu_inside_a_layer(tmp_path: Path) -> None:
    """Intel's Caffe writes it so."""
    fused = "convolution_param { num_output: 4 kernel_size: 3 relu: true negative_slope: 0.5 }"
    found = read(
        tmp_path,
        data(1, 3, 8, 8)
        + layer("Convolution", fused, name="c", top="c")
        + layer("BatchNorm", "batch_norm_param { relu: true }", name="b", bottom="c", top="b")
        + layer("TanH", bottom="b"),
    )
    assert [(each.name, each.param.type, each.bottoms, each.tops) for each in found.layers] == [
        ("c", "Convolution", ("data",), ("c",)),
        ("c/relu", "ReLU", ("c",), ("c_1",)),
        ("b", "BatchNorm", ("c_1",), ("b",)),
        ("b/relu", "ReLU", ("b",), ("b_1",)),
        ("l", "TanH", ("b_1",), ("l",)),
    ]
    assert found.layers[1].param.relu_param.negative_slope == 0.5
    assert not found.layers[0].param.convolution_param.HasField("relu")


PHASES = [
    ("", True),
    ("include { phase: TEST }", True),
    ("include { phase: TRAIN }", False),
    ("exclude { phase: TEST }", False),
    ("exclude { phase: TRAIN }", True),
    ("include { phase: TRAIN } include { stage: 'deploy' }", True),
    ("include { not_stage: 'deploy' }", False),
    ("include { stage: 'deploy' stage: 'other' }", False),
    ("include { min_level: 2 max_level: 3 }", True),
    ("include { min_level: 3 }", False),
    ("include { max_level: 1 }", False),
    ("phase: TRAIN", True),
]


@pytest.mark.parametrize(("rules", "kept"), PHASES)
def test_phase_rules(tmp_path: Path, rules: str, kept: bool) -> None:
    found = read(
        tmp_path,
        "state { phase: TRAIN level: 2 stage: 'deploy' }"
        + data(1, 3)
        + layer("ReLU", top="a")
        + layer("TanH", rules, name="ruled", top="b"),
    )
    assert ("ruled" in [each.name for each in found.layers]) is kept


def test_training_layers_are_left_out(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        'layer { name: "train" type: "Data" top: "data" top: "label" include { phase: TRAIN }\n'
        "data_param { source: 'x' } }\n"
        + data(1, 3)
        + layer("ReLU", top="a")
        + 'layer { name: "acc" type: "Accuracy" bottom: "a" bottom: "label" top: "acc" }\n'
        + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "a" bottom: "label" far: 1 }',
    )
    assert [each.name for each in found.layers] == ["l"]
    assert found.outputs == ("a",)
    assert [note.split("net.prototxt:")[1] for note in found.notes] == [
        '5: layer "acc" (Accuracy) is left out: it is not for inference',
        '6: layer "loss" (SoftmaxWithLoss) is left out: it is not for inference',
    ]


def test_a_loss_that_is_read_is_refused(tmp_path: Path) -> None:
    text = data(1, 3) + layer("HingeLoss", top="x") + layer("ReLU", bottom="x")
    with pytest.raises(UnsupportedError, match=r'prototxt:2: layer "l" \(HingeLoss\).*"x" is read'):
        read(tmp_path, text)


def test_old_layers(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 9\n'
        'layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1\n'
        "  convolution_param { num_output: 4 kernel_size: 3 } include { phase: TEST } }\n"
        'layers { name: "s" type: SOFTMAX bottom: "c" top: "s" }\n'
        'layers { name: "loss" type: SOFTMAX_LOSS bottom: "c" top: "loss" }\n',
    )
    assert [(each.param.type, each.line) for each in found.layers] == [
        ("Convolution", 2),
        ("Softmax", 4),
    ]
    assert found.layers[0].param.convolution_param.num_output == 4
    assert found.inputs[0].shape == (1, 3, 8, 9)


FAULTS = [
    (layer("ReLU", bottom="x", top="y") + layer("ReLU", name="m", bottom="y", top="x"),
     ':2: layer "l" (ReLU): reads blob "x", which layer "m" makes only later: the graph is cyclic'),
    (layer("ReLU", bottom="x"), ':2: layer "l" (ReLU): reads blob "x", which no layer makes'),
    (layer("ReLU") + layer("ReLU", name="m"),
     ':3: layer "m" (ReLU): makes blob "l", which is already made before'),
    (layer("ReLU", top="data", bottom="data") + layer("ReLU", name="m", bottom="data", top="l")
     + layer("TanH", name="n", bottom="l", top="data"),
     ':4: layer "n" (TanH): makes blob "data"'),
    ('layer { name: "s" type: "Split" bottom: "data" top: "a" top: "a" }',
     ':2: layer "s" (Split): two of its tops have the same name'),
    (data(1, 4), ':2: layer "data" (Input): input "data" is declared twice'),
    ("", ": the net has no layers to compile"),
    ('layers { name: "a" type: RELU }' + layer("ReLU"), ":2: has both 'layer' and 'layers'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), FAULTS)
def test_faulty_graphs(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputFileError) as caught:
        read(tmp_path, data(1, 3) + text)
    assert sentence in str(caught.value)


INPUTS = [
    ('input: "a" input: "b" input_shape { dim: 2 dim: 3 } input_shape { dim: 4 }', [(2, 3), (4,)]),
    ('input: "a" input: "b" input_dim: [1, 2, 3, 4, 5, 6, 7, 8]', [(1, 2, 3, 4), (5, 6, 7, 8)]),
    ('layer { type: "Input" top: "a" top: "b" input_param { shape { dim: 5 } } }', [(5,), (5,)]),
    ('layer { type: "DummyData" top: "a" top: "b" dummy_data_param { num: 1 num: 2 channels: 3 '
     "height: 4 width: 5 } }", [(1, 3, 4, 5), (2, 3, 4, 5)]),
    ('layer { type: "DummyData" top: "a" top: "b" dummy_data_param { shape { dim: 7 } } }',
     [(7,), (7,)]),
    ('input: "a" layer { type: "Input" top: "b" }', [(), ()]),
    ('layer { type: "DummyData" top: "a" top: "b" dummy_data_param { num: 1 } }', [(), ()]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shapes"), INPUTS)
def test_inputs(tmp_path: Path, text: str, shapes: list[tuple[int, ...]]) -> None:
    both = 'layer { name: "e" type: "Eltwise" bottom: "a" bottom: "b" top: "e" }'
    found = read(tmp_path, text + both).inputs
    assert [(each.name, each.shape) for each in found] == list(zip("ab", shapes, strict=True))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('input: "a" input_dim: 1', "1 input(s) require 4 input_dim, there are 1"),
        ('input: "a" input_dim: 1 input_shape { dim: 1 }', "has both input_dim and input_shape"),
        ('input: "a" input_shape {} input_shape {}', "1 input(s) have 2 input_shape"),
        ('layer { name: "i" type: "Input" top: "a" input_param { shape {} shape {} } }',
         'layer "i" (Input) gives 2 shapes for 1 tops'),
        ('layer { name: "i" type: "Input" input_param { shape {} } }',
         'layer "i" (Input) has no top'),
    ],
)  # fmt: skip
def test_faulty_inputs(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputFileError) as caught:
        read(tmp_path, text + "\n" + layer("ReLU", bottom="a"))
    assert sentence in str(caught.value)


A, B = Input("a", (1, 3, 4), "f:1"), Input("b", (), "f:2")


def test_reshaped_inputs() -> None:
    assert [each.shape for each in reshaped([A, B], [[2, 3], [4]], None)] == [(2, 3), (4,)]
    assert [each.shape for each in reshaped([A], None, 8)] == [(8, 3, 4)]
    assert reshaped([A], None, None) == [A]


def test_faulty_shapes() -> None:
    sentence = r'-shapes: 1 shape\(s\) for 2 input\(s\) of the net: "a", "b"'
    with pytest.raises(UsageError, match=sentence):
        reshaped([A, B], [[1]], None)
    with pytest.raises(InputFileError, match='f:2: input "b" has no shape; give it with -shapes'):
        reshaped([A, B], None, None)
    with pytest.raises(InputFileError, match=r'input "a" has shape \[1, 0\]'):
        reshaped([A], [[1, 0]], None)


def test_a_net_whose_outputs_are_silenced(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    text = data(1, 3, 4, 4) + layer("ReLU", name="r", top="r")
    path.write_text(text + 'layer { name: "s" type: "Silence" bottom: "r" }')
    found = read_topology(path)
    assert found.outputs == ("r",)
    assert any("silenced" in note for note in found.notes)
    path.write_text(data(1, 3, 4, 4) + 'layer { name: "s" type: "Silence" bottom: "data" }')
    with pytest.raises(InputFileError, match="no outputs"):
        read_topology(path)
