"""What a calibration writes: scales, signs, shifts, layers, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.errors import InputFileError, UsageError
from bmnetu.frontend import load_network
from dialects.ufw import ops
from dialects.ufw.layer import LayerOp
from passes.module.functions import main_function
from tests.calibration.harness import Calibrated, Files, batch, data_layer, layer
from tests.networks import random_weights

CONV = "convolution_param { num_output: 4 kernel_size: 3 pad: 1 }"
NO_BIAS = "convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false }"
DATA = data_layer(1, 4, 6, 6)
FOLDED = "".join(
    [
        DATA,
        layer("Convolution", "data", "x", NO_BIAS),
        layer("BatchNorm", "x", "x"),
        layer("Scale", "x", "x", "scale_param { bias_term: true }"),
        layer("ReLU", "x", "x"),
        layer("Pooling", "x", "p", "pooling_param { kernel_size: 2 stride: 2 }"),
        layer("InnerProduct", "p", "f", "inner_product_param { num_output: 3 bias_term: false }"),
    ]
)


def calibrated(folder: Path, text: str, **flags: object) -> Calibrated:
    """A net calibrated over random data."""
    files = Files.of(folder, text)
    return files.calibrate(files.samples(), **flags)


def kinds(found: Calibrated) -> dict[str, str]:
    """Every blob as signed, unsigned or float."""
    return {
        blob: "float" if record.is_float else "unsigned" if record.is_unsigned else "signed"
        for blob, record in found.records().items()
    }


def operations(found: Calibrated) -> list[str]:
    """The layers of the INT8 net."""
    block = main_function(found.load().module).body.block
    return [op.name.removeprefix("ufw.") for op in block.ops if isinstance(op, LayerOp)]


# -- structure -------------------------------------------------------------------------------------


def test_batch_norm_and_scale_are_folded(tmp_path: Path) -> None:
    found = calibrated(tmp_path, FOLDED)
    assert operations(found) == ["convolution", "relu", "pooling", "inner_product"]
    conv = found.layers()["Convolution_x"]
    assert list(conv.top) == ["x_2"]
    assert conv.convolution_param.bias_term
    assert [len(blob.int32_data) for blob in conv.blobs] == [4 * 4 * 9, 4]
    assert list(found.layers()["ReLU_x"].bottom) == ["x_2"]


def test_keep_bn_leaves_integer_layers(tmp_path: Path) -> None:
    found = calibrated(tmp_path, FOLDED, keep_bn=True)
    expected = ["convolution", "batch_norm", "scale", "relu", "pooling", "inner_product"]
    assert operations(found) == expected
    block = main_function(found.load().module).body.block
    for op in block.ops:
        if isinstance(op, (ops.BatchNormOp, ops.ScaleOp)):
            assert op.weight is not None
            assert (op.weight.data.dtype, op.weight.shape) == ("int8", (4,))
            assert op.right_shift is not None


def test_a_blob_that_others_read_is_not_folded(tmp_path: Path) -> None:
    text = DATA + layer("Convolution", "data", "c", CONV) + layer("BatchNorm", "c", "b")
    found = calibrated(tmp_path, text + layer("Eltwise", "b c", "e"))
    assert operations(found) == ["convolution", "batch_norm", "eltwise"]


def test_a_blob_that_is_an_output_too_is_not_folded(tmp_path: Path) -> None:
    text = 'output_whitelist: "c" output_whitelist: "r" ' + DATA
    text += layer("Convolution", "data", "c", CONV) + layer("BatchNorm", "c", "b")
    found = calibrated(tmp_path, text + layer("ReLU", "b", "r"))
    one = batch(found.files.samples(), 0)
    assert list(found.int8_outputs(one)) == ["c", "r"]
    assert operations(found) == ["convolution", "batch_norm", "relu"]


def test_tops_are_unique_and_the_input_scale_is_in_the_prototxt(tmp_path: Path) -> None:
    found = calibrated(tmp_path, FOLDED)
    message = found.message()
    tops = [top for each in message.layer for top in each.top]
    assert len(tops) == len(set(tops)) == len(message.activation)
    assert message.int8_scale == pytest.approx(127 / found.result.thresholds["data"])
    assert "int8_scale" in found.result.prototxt.read_text()
    assert "blobs" not in found.result.prototxt.read_text()


def test_old_and_dummy_inputs_become_input_layers(tmp_path: Path) -> None:
    text = 'input: "data" input_dim: 2 input_dim: 4 input_dim: 6 input_dim: 6\n'
    found = calibrated(tmp_path, text + layer("TanH", "data", "t"))
    assert (found.message().layer[0].name, found.message().layer[0].type) == ("data", "Input")
    found.load()


# -- scales and signs ------------------------------------------------------------------------------


def test_what_cannot_be_negative_is_unsigned(tmp_path: Path) -> None:
    text = "".join(
        [
            DATA,
            layer("Convolution", "data", "c", CONV),
            layer("ReLU", "c", "r"),
            layer("Pooling", "r", "p", "pooling_param { pool: AVE kernel_size: 1 }"),
            layer("Sigmoid", "data", "g"),
            layer("Eltwise", "p g", "plus"),
            layer("Eltwise", "p g", "minus", "eltwise_param { coeff: 1 coeff: -1 }"),
            layer("Eltwise", "p g", "times", "eltwise_param { operation: PROD }"),
            layer("Eltwise", "p data", "mixed", "eltwise_param { operation: MAX }"),
            layer("Concat", "p g", "all"),
            layer("Concat", "p data", "some"),
            layer("TanH", "g", "t"),
        ]
    )
    unsigned = {blob for blob, kind in kinds(calibrated(tmp_path, text)).items()
                if kind == "unsigned"}  # fmt: skip
    assert unsigned == {"c", "r", "p", "g", "plus", "times", "all"}


def test_a_relu_belongs_to_a_producer_that_nobody_else_reads(tmp_path: Path) -> None:
    text = DATA + layer("Convolution", "data", "c", CONV) + layer("ReLU", "c", "r")
    alone = calibrated(tmp_path, text)
    assert kinds(alone) == {"data": "signed", "c": "unsigned", "r": "unsigned"}
    assert alone.result.thresholds["c"] == alone.result.thresholds["r"]
    shared = calibrated(tmp_path, text + layer("TanH", "c", "t"))
    assert kinds(shared)["c"] == "signed"
    assert kinds(shared)["r"] == "unsigned"


def test_layers_that_move_data_keep_the_threshold(tmp_path: Path) -> None:
    text = "".join(
        [
            DATA,
            layer("Convolution", "data", "c", CONV),
            layer("PReLU", "c", "q"),
            layer("ReLU", "q", "l", "relu_param { negative_slope: 0.2 }"),
            layer("Pooling", "l", "p", "pooling_param { pool: AVE kernel_size: 3 stride: 2 }"),
            layer("Permute", "p", "m", "permute_param { order: 0 order: 2 order: 3 order: 1 }"),
            layer("Slice", "m", "s1 s2", "slice_param { slice_point: 1 }"),
            layer("Flatten", "s1", "f"),
            layer("Dropout", "f", "d"),
        ]
    )
    found = calibrated(tmp_path, text, th_method="MAX").result.thresholds
    assert {found[blob] for blob in ("q", "l", "p", "m", "s1", "s2", "f", "d")} == {found["c"]}


def test_parts_of_a_concat_are_made_in_its_scale(tmp_path: Path) -> None:
    text = "".join(
        [
            DATA,
            layer("Convolution", "data", "a", CONV),
            layer("ReLU", "a", "ar"),
            layer("Convolution", "data", "b", CONV),
            layer("ReLU", "b", "br"),
            layer("TanH", "data", "t"),
            layer("Concat", "ar br", "one"),
            layer("Concat", "one t", "two"),
            layer("Sigmoid", "t", "g"),
        ]
    )
    found = calibrated(tmp_path, text, th_method="MAX")
    thresholds = found.result.thresholds
    assert thresholds["a"] == thresholds["b"] == thresholds["ar"] == thresholds["one"]
    assert thresholds["two"] == max(thresholds["one"], thresholds["t"])
    assert thresholds["t"] < 1.01


def test_pieces_of_one_blob_can_be_joined_again(tmp_path: Path) -> None:
    text = "".join(
        [
            DATA,
            layer("Convolution", "data", "c", CONV),
            layer("Slice", "c", "a b"),
            layer("Concat", "b a", "j"),
        ]
    )
    thresholds = calibrated(tmp_path, text).result.thresholds
    assert len({thresholds[blob] for blob in ("c", "a", "b", "j")}) == 1


def test_a_product_keeps_a_power_of_two_between_the_scales(tmp_path: Path) -> None:
    near = layer("Pooling", "data", "near", "pooling_param { kernel_size: 3 stride: 1 pad: 1 }")
    text = DATA + near + layer("TanH", "near", "t")
    found = calibrated(
        tmp_path,
        text + layer("Eltwise", "data t", "e", "eltwise_param { operation: PROD }"),
        th_method="MAX",
    )
    t = found.result.thresholds
    ratio = (t["e"] / 127) / (t["data"] / 127 * t["t"] / 127)
    assert np.log2(ratio) == pytest.approx(round(np.log2(ratio)), abs=1e-5)
    one = found.files.samples()
    products = [found.float_outputs(batch(one, i))["e"] for i in range(len(one["data"]))]
    largest = np.abs(products).max()
    assert t["e"] / 2 < largest <= t["e"]


def test_max_is_the_largest_magnitude(tmp_path: Path) -> None:
    found = calibrated(tmp_path, DATA + layer("TanH", "data", "t"), th_method="MAX")
    data = found.files.samples()["data"]
    assert found.result.thresholds["data"] == np.abs(data).max()
    assert found.result.thresholds["t"] == pytest.approx(np.abs(np.tanh(data)).max())


def test_dead_blobs_get_a_usable_scale(tmp_path: Path) -> None:
    files = Files.of(tmp_path, DATA + layer("ReLU", "data", "r") + layer("TanH", "r", "t"))
    data = {"data": -np.abs(files.samples()["data"])}
    found = files.calibrate(data)
    assert np.isfinite(list(found.result.thresholds.values())).all()
    assert min(found.result.thresholds.values()) > 0
    assert not found.int8_outputs(batch(data, 0))["t"].any()


def test_all_zero_data_can_be_calibrated(tmp_path: Path) -> None:
    files = Files.of(tmp_path, FOLDED)
    found = files.calibrate({"data": np.zeros((3, 4, 6, 6), np.float32)})
    assert np.isfinite(found.int8_outputs({"data": np.ones((1, 4, 6, 6), np.float32)})["f"]).all()


# -- float layers and the prototxt's options -------------------------------------------------------


def test_softmax_is_float_and_so_is_what_only_moves_it(tmp_path: Path) -> None:
    text = DATA + layer("Softmax", "data", "s") + layer("Flatten", "s", "f")
    found = calibrated(tmp_path, text + layer("TanH", "f", "t"))
    assert kinds(found) == {"data": "signed", "s": "float", "f": "float", "t": "signed"}
    assert found.result.float_layers == ("Softmax_s",)


def test_weights_too_large_for_8_bits_stay_float(tmp_path: Path) -> None:
    text = DATA + layer("Convolution", "data", "c", CONV) + layer("ReLU", "c", "r")
    (tmp_path / "net.prototxt").write_text(text)
    weights = random_weights(tmp_path / "net.prototxt", seed=1)
    blob = next(each for each in weights.layer if each.name == "Convolution_c").blobs[0]
    size = len(blob.data)
    blob.data[:] = [1e4, *[0.0] * (size - 1)]
    files = Files.of(tmp_path, text, weights)
    data = files.samples()
    data["data"][:, 0, :, :] *= 1e-6
    found = files.calibrate(data)
    assert found.result.float_layers == ("Convolution_c",)
    assert kinds(found) == {"data": "signed", "c": "float", "r": "unsigned"}
    assert any("Convolution_c" in note and "float" in note for note in found.notes())
    found.int8_outputs(batch(data, 0))


def test_forward_with_float_is_obeyed(tmp_path: Path) -> None:
    text = DATA + layer("Convolution", "data", "c", CONV + " forward_with_float: true")
    found = calibrated(tmp_path, text + layer("ReLU", "c", "r"))
    assert kinds(found) == {"data": "signed", "c": "float", "r": "unsigned"}
    assert found.result.float_layers == ("Convolution_c",)
    assert found.layers()["Convolution_c"].blobs[0].data


def test_a_layer_may_set_its_own_threshold(tmp_path: Path) -> None:
    text = "".join(
        [
            DATA,
            layer("TanH", "data", "a", "threshold: 0.5"),
            layer("Power", "data", "b", "th_strategy: USE_MAX th_scale: 0.5"),
        ]
    )
    found = calibrated(tmp_path, text)
    largest = np.abs(found.files.samples()["data"]).max()
    assert found.result.thresholds["a"] == 0.5
    assert found.result.thresholds["b"] == pytest.approx(largest / 2)


@pytest.mark.parametrize(
    ("conv", "scale", "relu", "expected"),
    [("2", None, None, 2), ("2", None, "3", 3), ("2", "1.5", None, 1.5), (None, "1.5", None, 1.5)],
)
def test_a_threshold_holds_for_what_the_layers_are_together(
    tmp_path: Path, conv: str | None, scale: str | None, relu: str | None, expected: float
) -> None:
    """Convolution, Scale and ReLU are one layer in 8 bits: the last threshold is its own."""
    given = ["" if each is None else f"threshold: {each}" for each in (conv, scale, relu)]
    settings = "convolution_param { num_output: 4 kernel_size: 3 pad: 1 } " + given[0]
    text = "".join([
        DATA,
        layer("Convolution", "data", "c", settings),
        layer("Scale", "c", "s", given[1]) if scale is not None else "",
        layer("ReLU", "c" if scale is None else "s", "r", given[2]),
    ])  # fmt: skip
    found = calibrated(tmp_path, text).result.thresholds
    assert found["r"] == found["c" if scale is None else "s"] == expected


@pytest.mark.parametrize("threshold", ["0", "-1", "1e38"])
def test_an_impossible_threshold_names_the_blob(tmp_path: Path, threshold: str) -> None:
    with pytest.raises(InputFileError, match='blob "t" cannot be held in 8 bits'):
        calibrated(tmp_path, DATA + layer("TanH", "data", "t", f"threshold: {threshold}"))


def test_numbers_that_are_not_finite_are_noted(tmp_path: Path) -> None:
    found = calibrated(tmp_path, DATA + layer("Power", "data", "p", "power_param { power: 0.5 }"))
    assert any('blob "p"' in note for note in found.notes())
    assert np.isfinite(found.result.thresholds["p"])


# -- files and reports -----------------------------------------------------------------------------


def test_every_blob_and_every_shift_is_reported(tmp_path: Path) -> None:
    found = calibrated(tmp_path, FOLDED)
    rows = [line.split() for line in found.lines if not line.startswith("note: ")]
    assert [row[0] for row in rows] == ["preprocess:", "blob", *found.records()]
    shift = found.layers()["Convolution_x"].blobs[0].right_shift_num
    (conv,) = [line for line in found.lines if "Convolution_x" in line]
    assert f"right shift {shift}" in conv
    assert "unsigned" in conv


def test_the_net_name_names_the_files(tmp_path: Path) -> None:
    found = calibrated(tmp_path, FOLDED, net_name="my/net")
    assert found.result.umodel.name == "my_net.int8umodel"
    assert found.result.prototxt.name == "my_net_deploy_int8_unique_top.prototxt"
    assert found.message().name == "my/net"


def test_the_same_data_give_the_same_files(tmp_path: Path) -> None:
    files = Files.of(tmp_path, FOLDED)
    first = files.calibrate(files.samples(), outdir=tmp_path / "a").result
    second = files.calibrate(files.samples(), outdir=tmp_path / "b").result
    assert first.umodel.read_bytes() == second.umodel.read_bytes()
    assert first.prototxt.read_bytes() == second.prototxt.read_bytes()


@pytest.mark.parametrize("blocked", [".int8umodel", "_deploy_int8_unique_top.prototxt"])
def test_both_files_are_written_or_none(tmp_path: Path, blocked: str) -> None:
    (tmp_path / "out" / f"net{blocked}").mkdir(parents=True)
    with pytest.raises(InputFileError, match="cannot be written"):
        calibrated(tmp_path, FOLDED)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"net{blocked}"]


def test_faulty_data_leave_no_folder(tmp_path: Path) -> None:
    files = Files.of(tmp_path, FOLDED)
    with pytest.raises(InputFileError):
        files.calibrate({"data": np.full((2, 4, 6, 6), np.nan, np.float32)})
    assert not (tmp_path / "out").exists()


def test_an_int8umodel_is_refused(tmp_path: Path) -> None:
    found = calibrated(tmp_path, FOLDED)
    with pytest.raises(UsageError, match="int8umodel already"):
        bmnetu.calibrate(
            found.result.prototxt, found.result.umodel, tmp_path / "data.npz", tmp_path / "again"
        )


def test_the_prototxt_compiles_with_its_umodel(tmp_path: Path) -> None:
    for keep_bn in (False, True):
        found = calibrated(tmp_path, FOLDED, keep_bn=keep_bn)
        for opt in (0, 1):
            compiled = bmnetu.compile(
                found.result.prototxt, found.result.umodel, tmp_path / "out", prec="INT8", opt=opt
            )
            assert compiled.bmodel is not None
            assert all(each.isolated == 0 for each in compiled.layers)


def test_the_float_net_can_be_calibrated_twice(tmp_path: Path) -> None:
    files = Files.of(tmp_path, FOLDED)
    data = files.samples()
    limited = files.calibrate(data, iterations=1, th_method="MAX").result.thresholds["data"]
    whole = files.calibrate(data, th_method="MAX").result.thresholds["data"]
    assert limited == np.abs(data["data"][:1]).max()
    assert whole == np.abs(data["data"]).max()
    assert load_network(files.model, files.weight).precision == "FP32"
