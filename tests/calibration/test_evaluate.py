"""Evaluation of a float net beside its INT8 form, against plain counting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bmnetu
from bmnetu.calibration.evaluate import Evaluation
from bmnetu.cli import calibrate_main
from bmnetu.errors import AccuracyError, InputFileError, UsageError
from dialects.constant import Array
from tests.calibration.harness import Calibrated, Files, batch, data_layer, layer

CLASSES, BATCH, SAMPLES = 7, 2, 21
NET = "".join(
    [
        data_layer(BATCH, 3, 6, 6),
        layer("Convolution", "data", "c", "convolution_param { num_output: 3 kernel_size: 5 }"),
        layer("InnerProduct", "c", "f", f"inner_product_param {{ num_output: {CLASSES} }}"),
        layer("Softmax", "f", "s"),
        layer("TanH", "f", "t"),
    ]
)
"""Two outputs: ``s`` chooses a class."""


def calibrated(folder: Path, text: str = NET, **flags: object) -> Calibrated:
    files = Files.of(folder, text)
    return files.calibrate(files.samples(4), **flags)


def evaluated(found: Calibrated, lines: list[str] | None = None, **flags: Any) -> Evaluation:
    paths = (found.files.model, found.files.weight, found.result.prototxt, found.result.umodel)
    data = flags.pop("data", found.files.folder / "test.npz")
    report = [] if lines is None else lines
    return bmnetu.evaluate(*paths, data, report=report.append, **flags)


def labelled(found: Calibrated) -> tuple[Array, Array]:
    """Writes an odd number of labelled samples, a third of them with FP32's own choice."""
    data = found.files.samples(SAMPLES // BATCH + 1, seed=5)["data"][:SAMPLES]
    labels = np.random.default_rng(6).integers(0, CLASSES, SAMPLES)
    labels[::3] = np.concatenate(outputs(found, data)[0])[:SAMPLES].argmax(axis=1)[::3]
    np.savez(found.files.folder / "test.npz", data=data, labels=labels)
    return data, labels


def outputs(found: Calibrated, data: Array) -> tuple[list[Array], list[Array]]:
    """Output s of both nets, a batch each; the last batch is filled up with samples."""
    filled = np.resize(data, (-(-len(data) // BATCH) * BATCH, *data.shape[1:]))
    batches = [batch({"data": filled}, i, BATCH) for i in range(len(filled) // BATCH)]
    return (
        [found.float_outputs(each)["s"] for each in batches],
        [found.int8_outputs(each)["s"] for each in batches],
    )


def test_accuracies_are_counted_over_the_samples(tmp_path: Path) -> None:
    found = calibrated(tmp_path)
    data, labels = labelled(found)
    lines: list[str] = []
    evaluation = evaluated(found, lines)
    assert evaluation.samples == SAMPLES
    other, score = sorted(evaluation.outputs, key=lambda each: each.name, reverse=True)
    assert (other.name, other.agreement, other.top) == ("t", None, {})
    fp32, int8 = (np.concatenate(each)[:SAMPLES] for each in outputs(found, data))
    for rank, accuracy in score.top.items():
        for scores, percent in ((fp32, accuracy.fp32), (int8, accuracy.int8)):
            right = 0
            for one, label in zip(scores, labels, strict=True):
                better = sum(one[k] > one[label] for k in range(CLASSES))
                equal = sum(one[k] == one[label] for k in range(label))
                right += better + equal < rank
            assert percent == pytest.approx(100 * right / SAMPLES)
        line = f'output "s": top-{rank} FP32 {accuracy.fp32:.2f} %, INT8 {accuracy.int8:.2f} %'
        assert any(each.startswith(line) for each in lines)
    assert list(score.top) == [1, 5]
    same = np.count_nonzero(np.argmax(fp32, axis=1) == np.argmax(int8, axis=1))
    assert score.agreement == pytest.approx(100 * same / SAMPLES)
    cosine = np.sum(fp32 * int8) / np.linalg.norm(fp32) / np.linalg.norm(int8)
    assert score.closeness.cosine == pytest.approx(cosine, abs=1e-6)


def test_few_classes_have_no_top_5_and_no_labels_no_accuracy(tmp_path: Path) -> None:
    found = calibrated(tmp_path, NET.replace(f"num_output: {CLASSES}", "num_output: 5"))
    np.savez(tmp_path / "test.npz", data=found.files.samples(2)["data"], label=np.zeros(4, int))
    assert [list(each.top) for each in evaluated(found).outputs] == [[1], []]
    np.savez(tmp_path / "test.npz", data=found.files.samples(2)["data"])
    scores = evaluated(found).outputs
    assert [(each.agreement is None, each.top) for each in scores] == [(False, {}), (True, {})]


def test_thresholds_set_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = calibrated(tmp_path)
    labelled(found)
    words = ["eval", f"-model={found.files.model}", f"-weight={found.files.weight}",
             f"-int8_model={found.result.prototxt}", f"-int8_weight={found.result.umodel}",
             f"-data={tmp_path / 'test.npz'}"]  # fmt: skip
    assert calibrate_main([*words, "-min_cosine=0.9", "-max_drop=100"]) == 0
    assert calibrate_main([*words, "-min_cosine=1"]) == 5
    error = capsys.readouterr().err
    assert error.startswith('bmnetu-calibrate eval: error: output "')
    assert "-min_cosine=1.0 is expected" in error


def test_an_onnx_is_no_int8_model(tmp_path: Path) -> None:
    files = Files.of(tmp_path, NET)
    paths = (files.model, files.weight, "x.onnx", "x.int8umodel", tmp_path / "test.npz")
    with pytest.raises(UsageError, match=r"-int8_model=x\.onnx: must be the INT8 prototxt"):
        bmnetu.evaluate(*paths)


def test_a_drop_beyond_the_threshold_is_an_error(tmp_path: Path) -> None:
    """INT8 is made to choose class 0 always; the labels are what FP32 chooses."""
    found = calibrated(tmp_path)
    data, _ = labelled(found)
    labels = np.argmax(np.concatenate(outputs(found, data)[0])[:SAMPLES], axis=1)
    np.savez(tmp_path / "test.npz", data=data, labels=labels)
    message = found.message()
    (product,) = [each for each in message.layer if each.name == "InnerProduct_f"]
    product.blobs[1].int32_data[:] = [32767] + [-32767] * (CLASSES - 1)
    found.result.umodel.write_bytes(message.SerializeToString())
    lost = 100 * np.count_nonzero(labels) / SAMPLES
    evaluated(found, max_drop=lost + 0.01)
    with pytest.raises(AccuracyError, match=rf'output "s" loses {lost:.2f} points'):
        evaluated(found, max_drop=lost - 0.01)


def test_the_recorded_contract_is_used_unless_flags_say_otherwise(tmp_path: Path) -> None:
    files = Files.of(tmp_path, NET)
    data = files.samples(4)
    found = files.calibrate({"data": data["data"] * 50 + 100}, mean=100, scale=0.02)
    np.save(tmp_path / "test.npy", data["data"] * 50 + 100)
    np.save(tmp_path / "inputs.npy", data["data"])
    lines: list[str] = []
    recorded = evaluated(found, lines, data=tmp_path / "test.npy")
    assert any(line.startswith("preprocess: ") and "mean 100" in line for line in lines)
    plain = evaluated(found, data=tmp_path / "inputs.npy", mean=0, scale=1)
    for a, b in zip(recorded.outputs, plain.outputs, strict=True):
        assert a.closeness.cosine == pytest.approx(b.closeness.cosine, abs=1e-4)
    assert recorded.outputs[0].closeness.cosine > 0.99


def test_the_same_scores_on_any_number_of_workers(tmp_path: Path) -> None:
    found = calibrated(tmp_path)
    labelled(found)
    assert evaluated(found, workers=2) == evaluated(found)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    found = calibrated(tmp_path)
    data, labels = labelled(found)
    model, umodel = found.result.prototxt, found.result.umodel
    with pytest.raises(UsageError, match="is FP32, INT8 weights are expected"):
        bmnetu.evaluate(found.files.model, found.files.weight, found.files.model,
                        found.files.weight, tmp_path / "test.npz")  # fmt: skip
    with pytest.raises(UsageError, match="is INT8, FP32 weights are expected"):
        bmnetu.evaluate(model, umodel, model, umodel, tmp_path / "test.npz")
    np.savez(tmp_path / "test.npz", data=data, labels=labels + 1 + CLASSES)
    with pytest.raises(InputFileError, match=r'has label .*output "s" .* classes 0 to 6'):
        evaluated(found)
    np.savez(tmp_path / "test.npz", data=data)
    with pytest.raises(UsageError, match=r"-max_drop: .* has no labels"):
        evaluated(found, max_drop=1)
    (tmp_path / "other").mkdir()
    other = calibrated(tmp_path / "other", NET.replace('"s"', '"z"'))
    twins = Calibrated(found.files, other.result, [])
    with pytest.raises(InputFileError, match="both have to be forms of one net"):
        evaluated(twins)
