"""Unknown fields and values: errors where they change the network, else notes or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmnetu.errors import BmnetuError, InputFileError, UnsupportedError
from bmnetu.frontend import load_network
from bmnetu.frontend.layers.advice import advice_on
from bmnetu.frontend.prototxt.topology import read_topology
from tests.frontend.samples import CONV, SMALL, data, layer, loaded, written

X = data(1, 3, 8, 8)


def refused(folder: Path, text: str, error: type[BmnetuError]) -> list[str]:
    """The lines of the error that loading raises."""
    model, weight = written(folder, SMALL)
    model.write_text(text)
    with pytest.raises(error) as caught:
        load_network(model, weight)
    assert type(caught.value) is error
    return str(caught.value).replace(f"{model}:", "").splitlines()


@pytest.mark.parametrize(
    ("kind", "rest", "sentence"),
    [
        ("Convolution", "convolution_param { num_output: 4 kernel_size: 3 stirde: 2 }",
         "unknown field stirde (did you mean stride?)"),
        ("Reshape", "reshape_param { pixels: 2 }", "unknown field pixels"),
        ("ReLU", "relu_param { maximum: 5 }", "unknown field maximum"),
        ("Pooling", "pooling_param { kernel_size: 2 kernal_w: 2 }",
         "unknown field kernal_w (did you mean kernel_w?)"),
        ("ReLU", "relu_parm { negative_slope: 1 }",
         "unknown field relu_parm (did you mean relu_param?)"),
        ("ReLU", "leaky_param { slope: 1 }", "unknown field leaky_param"),
        ("Pooling", "pooling_param { kernel_size: 2 } pool: AVE",
         "unknown field pool (it belongs inside pooling_param)"),
        ("ReLU", "negative_slope: 0.1",
         "unknown field negative_slope (it belongs inside relu_param)"),
    ],
)  # fmt: skip
def test_a_field_that_changes_the_network(
    tmp_path: Path, kind: str, rest: str, sentence: str
) -> None:
    lines = refused(tmp_path, X + layer(kind, rest), InputFileError)
    assert lines == [f'2: layer "l" ({kind}): {sentence}']


def test_all_of_them_are_listed(tmp_path: Path) -> None:
    conv = "convolution_param { num_output: 4 kernel_size: 3 pads_h: 1\n dilate: 2 }"
    text = X + layer("Convolution", conv, name="c", top="c")
    text += layer("ReLU", "relu_param { leak: 1 }", bottom="c")
    assert refused(tmp_path, text, InputFileError) == [
        "3 settings are not known:",
        '  2: layer "c" (Convolution): unknown field pads_h (did you mean pad_h?)',
        '  3: layer "c" (Convolution): unknown field dilate',
        '  4: layer "l" (ReLU): unknown field leak',
    ]


WORDS = "(it can be MAX, AVE, STOCHASTIC, AVE_EXC_PAD)"


def test_unknown_words_are_listed_with_unknown_types(tmp_path: Path) -> None:
    pool = "pooling_param { pool: MEAN kernel_size: 2 }"
    text = X + layer("Pooling", pool, name="p", top="p") + layer("Pooling", pool)
    assert refused(tmp_path, text, UnsupportedError) == [
        "2 settings are not known:",
        f'  2: layer "p" (Pooling): unknown value pool: MEAN {WORDS}',
        f'  3: layer "l" (Pooling): unknown value pool: MEAN {WORDS}',
    ]
    text += layer("RefineDetDetectionOutput", top="c")
    lines = refused(tmp_path, text, UnsupportedError)
    assert lines[0] == "1 layer(s) have a type that cannot be compiled:"
    assert lines[1] == '  4: layer "l" (RefineDetDetectionOutput)'
    assert len(lines) == 6
    assert lines[-2] == "  in all: 1 RefineDetDetectionOutput"


def test_an_unknown_type_of_an_old_layer(tmp_path: Path) -> None:
    text = 'input: "data" input_dim: [1, 3, 8, 8]\n' + (
        'layers { name: "a" type: RELU bottom: "data" top: "a" }\n'
        'layers { name: "b" type: SIGMOIDS bottom: "a" top: "b" }\n'
        'layers { name: "c" type: SIGMOIDS bottom: "b" top: "c" }\n'
    )
    assert refused(tmp_path, text, UnsupportedError) == [
        "2 layer(s) have a type that cannot be compiled:",
        '  3: layer "b" (Sigmoids), did you mean Sigmoid?',
        '  4: layer "c" (Sigmoids), did you mean Sigmoid?',
        "  in all: 2 Sigmoids",
        f"  Sigmoids: {advice_on('Sigmoids')}",
    ]


def test_later_types_in_old_files(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text('input: "data" input_dim: [1, 3, 8, 8]\n' + (
        'layers { name: "a" type: ELU bottom: "data" top: "a" elu_param { alpha: 2 } }\n'
        'layers { name: "b" type: RELU6 bottom: "a" top: "b" }\n'
        'layers { name: "c" type: BATCH_NORM bottom: "b" top: "c" batch_norm_param { eps: 1 } }\n'
    ))
    a, b, c = (layer.param for layer in read_topology(path).layers)
    assert (a.type, a.elu_param.alpha) == ("ELU", 2)
    assert b.type == "ReLU6"
    assert (c.type, c.batch_norm_param.eps) == ("BatchNorm", 1)


SILENT = [
    ("Convolution", "convolution_param { num_output: 4 kernel_size: 3 engine: MKLDNN "
     "conv_algorithm: 'auto' weight_filler { type: 'msra' far: 1 variance_norm: NOTHING } }"),
    ("Softmax", "loss_param { ignore_label: 255 }"),
    ("ReLU", "engine: 'MKLDNN' forward_type: FLOAT16 relu_param { fuse: true engine: MKL2017 }"),
    ("BatchNorm", "batch_norm_param { stats_batch_size: 2 } quantization_param { bw_out: 8 }"),
]


@pytest.mark.parametrize(("kind", "rest"), SILENT)
def test_training_and_engines_are_silent(tmp_path: Path, kind: str, rest: str) -> None:
    assert loaded(tmp_path, X + layer(kind, rest)).notes == ()


def test_other_fields_are_one_note(tmp_path: Path) -> None:
    text = X + layer("ReLU", "shade { bw: 8 }\n", name="a", top="a")
    text += layer("ReLU", "shade { bw: 4 }", name="b", bottom="a", top="b")
    text += layer("ReLU", "color: RED", name="c", bottom="b", top="c")
    assert [note.partition("net.prototxt:")[2] for note in loaded(tmp_path, text).notes] == [
        '2: layer "a": unknown field shade is skipped, here and 1 more time(s)',
        '5: layer "c": unknown field color is skipped',
    ]


def test_what_is_unknown_of_the_data_or_of_the_net_is_a_note(tmp_path: Path) -> None:
    text = (
        'layer { name: "d" type: "Data" top: "data" data_param { batch_size: 1 cache: 5 }\n'
        "transform_param { crop_size: 8 force_color: true fog: 1 } }\n"
        + layer("Convolution", CONV)
        + "richness: 100"
    )
    notes = [note.rpartition("net.prototxt:")[2] for note in loaded(tmp_path, text).notes]
    assert notes == [
        '1: layer "d": unknown field cache is skipped',
        '2: layer "d": unknown field fog is skipped',
        "4: unknown field richness is skipped",
    ]


def test_layers_of_training_may_hold_anything(tmp_path: Path) -> None:
    text = X + layer("ReLU")
    text += layer("ReLU", "include { phase: TRAIN } relu_param { a: 1 }", top="b")
    assert loaded(tmp_path, text).notes == ()
