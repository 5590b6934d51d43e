"""-mode=GenUmodel: what is written means what was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bmnetu.errors import UsageError
from bmnetu.frontend import generate_umodel, load_network, write_prototxt
from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.frontend.weights.blobs import integer_blob
from bmnetu.frontend.weights.weight_file import read_weights
from tests.frontend.samples import CONV, SMALL, data, layer, names, run, written
from tests.networks import random_weights


def test_generated_files_mean_the_same(tmp_path: Path) -> None:
    text = SMALL.replace("small", "a net/1") + layer(
        "SoftmaxWithLoss", name="loss", bottom="fc", top="loss"
    )
    model, weight = written(tmp_path, text)
    umodel, prototxt = generate_umodel(model, weight, tmp_path / "out")
    assert umodel == tmp_path / "out" / "a_net_1.fp32umodel"
    assert prototxt == tmp_path / "out" / "a_net_1_test_fp32.prototxt"
    first, second = load_network(model, weight), load_network(prototxt, umodel)
    assert second.notes == ()
    assert names(first) == names(second)
    for one, two in zip(run(first).values(), run(second).values(), strict=True):
        np.testing.assert_array_equal(one, two)


MANY = (
    'name: "many" input: "side" input_shape { dim: 2 dim: 6 dim: 4 dim: 4 }\n'
    'layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } }\n'
    'layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }\n'
    "  data_param { source: 'lmdb' batch_size: 2 backend: LMDB }\n"
    "  transform_param { transform_op { op: RESIZE resize_h: 9 resize_w: 10 }\n"
    "    transform_op { op: CROP crop_h: 8 crop_w: 8 }\n"
    "    transform_op { op: STAND mean_value: 1 mean_value: 2 mean_value: 3 scale: 0.5 } } }\n"
    + layer("Convolution", "convolution_param { num_output: 6 kernel_h: 3 kernel_w: 3 group: 3 "
            "bias_term: false stride: 2 pad: 1 } param { name: 'w' lr_mult: 0 }", name="conv",
            top="conv")
    + layer("BatchNorm", "batch_norm_param { eps: 0.01 }", name="bn", bottom="conv", top="conv")
    + layer("Scale", "scale_param { bias_term: true }", name="sc", bottom="conv", top="conv")
    + layer("PReLU", name="pr", bottom="conv", top="conv")
    + layer("ReLU", "relu_param { negative_slope: 0.1 }", name="conv", bottom="conv", top="conv")
    + layer("Eltwise", 'bottom: "side" eltwise_param { operation: SUM coeff: 1 coeff: -1 }',
            name="sum", bottom="conv", top="sum")
    + layer("DepthwiseConvolution", "convolution_param { num_output: 6 kernel_size: 3 pad: 2 "
            "dilation: 2 }", name="dw", bottom="sum", top="dw")
    + layer("Bias", name="bias", bottom="dw", top="bias")
    + layer("Dropout", name="drop", bottom="bias", top="bias")
    + layer("InnerProduct", "inner_product_param { num_output: 5 transpose: true }", name="fc",
            bottom="bias", top="fc")
    + layer("Softmax", name="prob", bottom="fc", top="prob")
    + layer("Accuracy", 'bottom: "label"', name="accuracy", bottom="fc", top="accuracy")
    + 'output_whitelist: "sum" output_whitelist: "prob"\n'
)  # fmt: skip
"""Layers with every kind of weights, phases, blobs in place, two layers of one name."""

OLD = (
    'name: "old" input: "data" input_dim: 1 input_dim: 3 input_dim: 6 input_dim: 6\n'
    'layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1\n'
    "  convolution_param { num_output: 4 kernel_size: 3 } }\n"
    'layers { name: "r" type: RELU bottom: "c" top: "c" }\n'
    'layers { name: "p" type: POOLING bottom: "c" top: "p" pooling_param { pool: AVE '
    "kernel_size: 3 stride: 2 } }\n"
    'layers { name: "f" type: INNER_PRODUCT bottom: "p" top: "f" '
    "inner_product_param { num_output: 3 } }\n"
)


@pytest.mark.parametrize("text", [MANY, OLD], ids=["many", "old"])
def test_all_that_matters_survives(text: str, tmp_path: Path) -> None:
    """The files mean the same, and making them once more changes nothing."""
    net = random_weights(text, 2)
    for each in net.layer:
        if each.type == "ReLU":
            del each.blobs[:]
        for blob in each.blobs:
            blob.diff.extend(blob.data)  # as a snapshot of a training has it
    model, weight = written(tmp_path, text, net)
    umodel, prototxt = generate_umodel(model, weight, tmp_path / "out")
    first, second = load_network(model, weight), load_network(prototxt, umodel)
    assert first.net == second.net
    for one, two in zip(run(first).values(), run(second).values(), strict=True):
        np.testing.assert_array_equal(one, two)
    again = generate_umodel(prototxt, umodel, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [umodel.read_bytes(), prototxt.read_bytes()]
    assert umodel.stat().st_size < 0.6 * weight.stat().st_size


def test_the_record_of_the_preprocessing_survives(tmp_path: Path) -> None:
    net = random_weights(SMALL, 1)
    net.preprocess.color = "rgb"
    umodel, prototxt = generate_umodel(*written(tmp_path, SMALL, net), tmp_path / "out")
    assert read_weights(umodel).preprocess == net.preprocess
    assert "preprocess" not in prototxt.read_text()


def test_notes_are_reported(tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL + "far: 1\n")
    lines: list[str] = []
    umodel, prototxt = generate_umodel(model, weight, tmp_path / "out", report=lines.append)
    assert "unknown field far is skipped" in lines[0]
    assert lines[0].startswith("note: ")
    assert lines[1] == f"wrote {umodel} and {prototxt}"


def test_generated_files_bear_the_net_name(tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    umodel, prototxt = generate_umodel(model, weight, tmp_path / "out", "abc")
    assert umodel == tmp_path / "out" / "abc.fp32umodel"
    assert prototxt == tmp_path / "out" / "abc_test_fp32.prototxt"
    assert load_network(prototxt, umodel).net.name == "abc"


def test_words_of_ufw_survive(tmp_path: Path) -> None:
    text = (
        'model_type: BMNETC2UModel\noutput_whitelist: "x"\n'
        + data(1, 3, 8, 8)
        + layer("Convolution", f"forward_with_float: true th_strategy: USE_MAX {CONV}", top="x")
        + layer("ReLU", name="r", bottom="x", top="x")
    )
    network = load_network(*written(tmp_path, text))
    again = tmp_path / "again.prototxt"
    write_prototxt(again, network.net)
    reread = load_network(again, tmp_path / "net.fp32umodel")
    assert reread.net == network.net
    assert reread.net.layer[1].forward_with_float
    assert names(reread)[1] == ["x"]
    assert reread.net.output_whitelist == ["x"]


def test_an_int8umodel_is_refused(tmp_path: Path) -> None:
    text = data(1, 3, 8, 8) + layer("PReLU", "prelu_param { channel_shared: true }")
    net = NetParameter()
    net.layer.add(name="l").blobs.append(integer_blob(np.ones(1, np.int8), 1))
    net.activation.add(blob="data", threshold=1)
    net.activation.add(blob="l", threshold=1)
    with pytest.raises(UsageError, match="is an int8umodel; -mode=GenUmodel"):
        generate_umodel(*written(tmp_path, text, net), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_random_weights_fit_what_was_asked() -> None:
    net = random_weights(SMALL, 1, shapes=[[1, 3, 10, 10]])
    assert list(net.layer[3].blobs[0].shape.dim) == [5, 256]
