"""what_if: a layer's error as it is and with other settings; what is planted is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bmnetu
from bmnetu import cli
from bmnetu.calibration import WhatIf, what_if
from bmnetu.calibration.accuracy.closeness import Closeness
from bmnetu.calibration.records import of_what_if
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.study import Study
from bmnetu.command_line.calibrate_flags import WHAT_IF_FLAGS
from bmnetu.command_line.flags import check_values
from bmnetu.errors import InputFileError, UsageError
from bmnetu.frontend import load_network
from bmnetu.options import WhatIfOptions, options_from
from dialects.constant import Array
from dialects.ufw.convolution import WeightedLayerOp
from tests.calibration.harness import Calibrated, Files, batch, data_layer, layer
from tests.calibration.test_sensitivity import BAD, BOUNDED, CHAIN, planted
from tests.inspect.files import Capture

CONV = "convolution_param { num_output: 8 kernel_size: 3 pad: 1 }"
NORMED = "".join([
    data_layer(1, 8, 10, 10),
    layer("Convolution", "data", "a", CONV),
    layer("BatchNorm", "a", "n"),
    layer("Scale", "n", "s", "scale_param { bias_term: true }"),
    layer("ReLU", "s", "r"),
    layer("InnerProduct", "r", "f", "inner_product_param { num_output: 10 }"),
])  # fmt: skip


STRAIGHT = "".join([
    data_layer(1, 8, 10, 10),
    layer("Convolution", "data", "a", CONV),
    layer("ReLU", "a", "ar"),
    layer("Convolution", "ar", "b", CONV),
    layer("ReLU", "b", "br"),
    layer("Convolution", "br", "c", CONV),
    layer("InnerProduct", "c", "f", "inner_product_param { num_output: 10 }"),
])  # fmt: skip
"""All its channels can be equalised."""


def options_of(files: Files, name: str, **flags: Any) -> WhatIfOptions:
    given = {"model": files.model, "weight": files.weight, "layer": name, "th_method": "KL",
             "adaptive_rounding": False}  # fmt: skip
    return options_from(WhatIfOptions, check_values(WHAT_IF_FLAGS, given | flags))


def study_of(files: Files, **flags: Any) -> Study:
    options = options_of(files, "", **{"data": files.folder / "data.npz"} | flags)
    return Study.of(options, load_network(files.model, files.weight), lambda line: None)


def flags_of(made: Calibrated) -> dict[str, Any]:
    """The flags that name the files of a run of bmnetu-calibrate."""
    return {"int8_model": made.result.prototxt, "int8_weight": made.result.umodel}


def tried(files: Files, name: str, **flags: Any) -> tuple[WhatIf, list[str]]:
    data = files.folder / "data.npz"
    np.savez(data, allow_pickle=False, **files.samples(4))
    lines: list[str] = []
    options = options_of(files, name, data=data, **flags)
    (found,) = what_if(options, lines.append)
    return found, lines


def test_a_saturating_threshold_is_told_as_such(tmp_path: Path) -> None:
    saturating = BOUNDED.replace('name: "Convolution_c"', 'name: "Convolution_c" threshold: 0.05')
    saturating = saturating.replace('name: "ReLU_cr"', 'name: "ReLU_cr" threshold: 0.05')
    found, lines = tried(Files.of(tmp_path, saturating), "Convolution_c")
    first, threshold, *_, real = found.trials
    assert threshold.name.startswith("threshold ")
    assert "MAX" in threshold.name
    assert first.row.saturated is not None
    assert first.row.saturated > 0.2
    assert first.row.threshold == pytest.approx(0.05, rel=1e-3)
    assert found.largest > 0.5
    (loss,) = (each for each in found.losses if each.kind == "saturated")
    assert "the prototxt gives that threshold" in loss.help
    assert any(line.startswith("INT8 loss: ") and "saturates: it reaches" in line for line in lines)
    assert threshold.row.isolated.sqnr > first.row.isolated.sqnr + 20
    assert threshold.cosine > first.cosine
    assert real.row.threshold is None
    assert real.row.isolated.sqnr > first.row.isolated.sqnr + 20
    assert lines[-1].startswith("best for the worst output: ")


def test_the_threshold_that_is_tried_is_the_users(tmp_path: Path) -> None:
    files = Files.of(tmp_path, BOUNDED)
    usual = tried(files, "Convolution_c", keep_float=True)[0].trials[0].row.threshold
    assert usual is not None
    found, lines = tried(files, "Convolution_c", threshold=usual / 16)
    first, small = found.trials
    assert small.name == f"threshold {usual / 16:.4g}"
    assert small.row.threshold == pytest.approx(usual / 16, rel=1e-3)
    assert small.row.saturated is not None
    assert first.row.saturated is not None
    assert small.row.saturated > first.row.saturated + 0.1
    assert small.row.isolated.sqnr < first.row.isolated.sqnr - 10
    assert small.sqnr < first.sqnr
    assert lines[-1] == "none of these makes the worst output better"


def test_a_threshold_that_the_weights_do_not_fit_is_told(tmp_path: Path) -> None:
    found, lines = tried(Files.of(tmp_path, STRAIGHT), "InnerProduct_f", threshold=1e-4)
    first, vain = found.trials
    assert vain.row.held == "float"
    assert vain.name == "threshold 0.0001, float"
    assert vain.error < first.error
    assert found.best is None
    assert lines[-1] == "none of these makes the worst output better"
    said = 'layer "InnerProduct_f" stays float: its weights exceed 8 bits [stays-float]'
    assert f"threshold 0.0001, float: {said}" in lines


def test_the_worst_channel_and_float_of_a_planted_layer(tmp_path: Path) -> None:
    found, lines = tried(planted(tmp_path, BOUNDED), BAD, keep_float=True, equalize=False)
    first, real = found.trials
    assert found.worst_channel is not None
    assert real.row.held == "float"
    assert real.row.isolated.sqnr > first.row.isolated.sqnr + 15
    assert real.sqnr > first.sqnr
    assert any(line.startswith(f"worst channel: {found.worst_channel[0]}, SQNR ") for line in lines)


def test_a_relu_is_float_with_the_layer_that_computes_it(tmp_path: Path) -> None:
    files = Files.of(tmp_path, BOUNDED)
    (first, real), (_, expected) = (
        tried(files, name, keep_float=True)[0].trials for name in ("ReLU_ar", "Convolution_a")
    )
    assert real.row.held == "float"
    assert real.error == expected.error != first.error


def test_batch_norm_kept(tmp_path: Path) -> None:
    files = Files.of(tmp_path, NORMED)
    found, lines = tried(files, "Convolution_a")
    assert [trial.name for trial in found.trials][-2:] == ["BatchNorm kept", "float"]
    assert len(lines) >= 3 + len(found.trials)
    kept = found.trials[-2]
    assert (kept.row.isolated, kept.row.threshold) != (
        found.trials[0].row.isolated, found.trials[0].row.threshold)  # fmt: skip
    with pytest.raises(UsageError, match='"Convolution_a" in 8 bits: name that one'):
        tried(files, "BatchNorm_n")


def test_a_layer_that_is_no_layer_of_its_own(tmp_path: Path) -> None:
    swish = layer("Sigmoid", "a", "s") + layer("Eltwise", "a s", "m", "eltwise_param{operation:0}")
    files = Files.of(tmp_path, data_layer(1, 8, 10, 10) + layer("Convolution", "data", "a", CONV)
                     + swish)  # fmt: skip
    with pytest.raises(UsageError, match=r'-layer=Sigmoid_s: .* part of layer "Eltwise_m" in 8'):
        tried(files, "Sigmoid_s")
    with pytest.raises(UsageError, match="-layer=data: this is an input of the net"):
        tried(files, "data")
    with pytest.raises(UsageError, match=r"-int8_model=x\.onnx: must be the INT8 prototxt"):
        tried(files, "Eltwise_m", int8_model="x.onnx", int8_weight="x.int8umodel")


def test_the_command_line(tmp_path: Path, capsys: Capture) -> None:
    files = Files.of(tmp_path, BOUNDED)
    np.savez(tmp_path / "data.npz", allow_pickle=False, **files.samples(2))
    words = ["what_if", f"-model={files.model}", f"-weight={files.weight}",
             f"-data={tmp_path / 'data.npz'}"]  # fmt: skip
    before = sorted(tmp_path.iterdir())
    assert cli.calibrate_main([*words, "-layer=Convolution_a", "-keep_float"]) == 0
    out, _ = capsys.readouterr()
    assert 'layer "Convolution_a" (convolution), blob ' in out
    assert [line.split("  ")[0] for line in out.splitlines()[-4:-2] if line] != []
    assert sorted(tmp_path.iterdir()) == before
    assert cli.calibrate_main(words) == 2
    assert "-layer must be given" in capsys.readouterr().err
    assert cli.calibrate_main([*words, "-layer=Convolution_q"]) == 2
    assert "-layer=Convolution_q: the net has no such layer: did you mean Convolution_" in (
        capsys.readouterr().err
    )
    assert cli.calibrate_main([*words, "-layer=Convolution_a", "-keep_bn"]) == 2
    assert "has no BatchNorm" in capsys.readouterr().err
    for word in ("0", "-1", "nan", "inf", "1e31", "1,0", "x", ""):
        assert cli.calibrate_main([*words, "-layer=Convolution_a", f"-threshold={word}"]) == 2
        assert "-threshold requires a number from 1e-30 to 1e+30" in capsys.readouterr().err
    assert cli.calibrate_main([*words, "-layer=Convolution_a", "-int8_model=x.prototxt"]) == 2
    assert "-int8_model and -int8_weight belong together" in capsys.readouterr().err


def test_several_layers_and_thresholds_from_python(tmp_path: Path) -> None:
    files = Files.of(tmp_path, BOUNDED)
    np.savez(tmp_path / "data.npz", allow_pickle=False, **files.samples(2))
    both = ["Convolution_c", "Convolution_a"]
    arguments = (files.model, files.weight, tmp_path / "data.npz")
    found = bmnetu.what_if(*arguments, both, threshold=[1.5, 3], th_method="KL")
    assert [each.layer for each in found] == both
    for each in found:
        assert [t.name for t in each.trials] == ["as it is", "threshold 1.5", "threshold 3"]
        assert each.trials[0].error == found[0].trials[0].error
        assert each.trials[1].row.threshold == pytest.approx(1.5, rel=1e-3)
    (alone,) = bmnetu.what_if(*arguments, "Convolution_a", threshold=1.5, th_method="KL")
    assert alone.trials[1].row == found[1].trials[1].row
    assert repr(alone).startswith("<WhatIf 'Convolution_a': error ")
    assert repr(alone).count("trials") == 1
    record = of_what_if([alone])["layers"][0]["trials"][1]
    for name in ("layer", "blob", "held", "threshold", "used", "saturated"):
        assert getattr(alone.trials[1], name) == (
            pytest.approx(record[name], rel=1e-5) if name == "threshold" else record[name])
    for name in ("isolated", "accumulated"):
        error = getattr(alone.trials[1], name).error
        assert error == pytest.approx(record[name]["error"], rel=1e-5)
    worst = alone.trials[1].worst_output._asdict()
    assert worst.pop("name") == record["worst_output"].pop("name")
    assert worst == pytest.approx(record["worst_output"], rel=1e-5)
    names = ",".join([*both, both[0]])
    again = bmnetu.what_if(*arguments, names, threshold=[3, 1.5, 3], th_method="KL")
    assert [each.layer for each in again] == both
    assert [len(each.trials) for each in again] == [3, 3]
    with pytest.raises(UsageError, match="-threshold requires a number"):
        bmnetu.what_if(*arguments, both, threshold=float("nan"))
    with pytest.raises(UsageError, match="-layer must be given"):
        bmnetu.what_if(*arguments, [])


# -- a calibration that is there already -----------------------------------------------------------


UNROUNDED = {"adaptive_rounding": False}
RUNS: dict[str, dict[str, Any]] = {
    "AUTO": {"th_method": "AUTO"}, "plain": UNROUNDED | {"equalize": False, "th_method": "MAX"},
    "float": UNROUNDED | {"fpfwd_blocks": ["Convolution_b"]}, "searched": {"float_budget": 1},
    "corrected": UNROUNDED | {"bias_correction": True}, "normed": UNROUNDED | {"keep_bn": True},
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_the_run_itself(name: str, tmp_path: Path) -> None:
    """As it is, its thresholds, integers and outputs are the run's; with nothing changed, too."""
    files = Files.of(tmp_path, NORMED if name == "normed" else CHAIN)
    data = files.samples(2)
    made = files.calibrate(data, **RUNS[name])
    study = study_of(files, **flags_of(made))
    before, again = study.settled.quantized, study.settled.changed()
    assert again.numbers == before.numbers
    assert again.coefficients == before.coefficients
    assert len(before.coefficients) > 2
    thresholds = {study.settled.net.names[x]: n.threshold for x, n in before.numbers.items()}
    assert thresholds == pytest.approx(made.result.thresholds, rel=1e-6)
    closeness = Closeness()
    for index in range(2):
        one = batch(data, index)
        closeness.add(made.float_outputs(one)["f"], made.int8_outputs(one)["f"])
    found = study.as_it_is.outputs.outputs["f"]
    assert found.noise == pytest.approx(closeness.noise, rel=1e-3)


@pytest.fixture(scope="module")
def equalized(tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    """A run that equalised; its weights are rounded by the data, not to the nearest."""
    files = planted(tmp_path_factory.mktemp("equalized"), STRAIGHT)
    return files.calibrate(files.samples(4))


def test_units_of_the_same_data(equalized: Calibrated) -> None:
    """They are exactly those of the run."""
    files = equalized.files
    found, expected, plain = (
        weights(study_of(files, **flags).settled.net)
        for flags in (flags_of(equalized), {}, {"equalize": False})
    )
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(found, plain, strict=True))


def test_units_that_were_not_changed(tmp_path: Path) -> None:
    files = planted(tmp_path, STRAIGHT)
    made = files.calibrate(files.samples(4), equalize=False)
    found = weights(study_of(files, **flags_of(made)).settled.net)
    plain = weights(FloatNet(load_network(files.model, files.weight), False))
    assert all(np.array_equal(*pair) for pair in zip(found, plain, strict=True))


def weights(net: FloatNet) -> list[Array]:
    """Those of all layers that have some."""
    return [op.weight.array for op in net.layers if isinstance(op, WeightedLayerOp)]


def test_units_of_other_data(equalized: Calibrated, tmp_path: Path) -> None:
    """Where the data are not those of the run, equalising would give other units: the float net
    gets those of the files all the same, within what rounding hides."""
    files, data = equalized.files, tmp_path / "data.npz"
    np.savez(data, allow_pickle=False, **files.samples(4, seed=9, spread=0.7))
    found, expected, other = (
        weights(study_of(files, **flags).settled.net)
        for flags in (flags_of(equalized) | {"data": data}, flags_of(equalized), {"data": data})
    )
    for mine, right, wrong in zip(found, expected, other, strict=True):
        error, usual = (float(np.linalg.norm(each - right)) for each in (mine, wrong))
        assert error < 0.01 * np.linalg.norm(right)
        assert error < usual or wrong is other[-1]


@pytest.mark.parametrize(
    ("flag", "value"), [("th_method", "MAX"), ("equalize", False)],
)  # fmt: skip
def test_flags_without_effect(flag: str, value: object, tmp_path: Path) -> None:
    """They are of a calibration, which is made where the files give none, or for BatchNorm."""
    for text in (BOUNDED, NORMED):
        files = Files.of(tmp_path, text)
        given = flags_of(files.calibrate(files.samples(2), adaptive_rounding=False))
        given |= {"th_method": "AUTO", flag: value}
        with pytest.raises(UsageError, match=f"-{flag}: has no effect: no calibration is made"):
            tried(files, "Convolution_a", keep_float=True, **given)
    found, _ = tried(files, "Convolution_a", keep_bn=True, **given)
    assert found.trials[1].name == "BatchNorm kept"


def test_files_that_are_no_twins(tmp_path: Path) -> None:
    files = Files.of(tmp_path, CHAIN)
    given = flags_of(files.calibrate(files.samples(2), adaptive_rounding=False))
    given["th_method"] = "AUTO"
    (tmp_path / "b").mkdir()
    others = Files.of(tmp_path / "b", BOUNDED)
    with pytest.raises(InputFileError, match="both have to be forms of one net"):
        tried(others, "Convolution_a", **given)
    given["int8_model"], given["int8_weight"] = files.model, files.weight
    with pytest.raises(UsageError, match="an int8umodel is expected"):
        tried(files, "Convolution_a", **given)
