"""what_if: a layer's error as it is and with other settings; what is planted is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmnetu import cli
from bmnetu.calibration import WhatIf, what_if
from bmnetu.command_line.calibrate_flags import WHAT_IF_FLAGS
from bmnetu.command_line.flags import check_values
from bmnetu.errors import UsageError
from bmnetu.options import WhatIfOptions, options_from
from tests.calibration.harness import Files, data_layer, layer
from tests.calibration.test_sensitivity import BAD, BOUNDED, planted
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


def tried(files: Files, name: str, **flags: Any) -> tuple[WhatIf, list[str]]:
    data = files.folder / "data.npz"
    np.savez(data, allow_pickle=False, **files.samples())
    lines: list[str] = []
    given = {"model": files.model, "weight": files.weight, "data": data, "layer": name, **flags}
    options = options_from(WhatIfOptions, check_values(WHAT_IF_FLAGS, given))
    return what_if(options, lines.append), lines


def test_a_saturating_threshold_is_told_as_such(tmp_path: Path) -> None:
    saturating = BOUNDED.replace('name: "Convolution_c"', 'name: "Convolution_c" threshold: 0.05')
    saturating = saturating.replace('name: "ReLU_cr"', 'name: "ReLU_cr" threshold: 0.05')
    found, lines = tried(Files.of(tmp_path, saturating), "Convolution_c")
    first, threshold, real = found.trials
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
    assert real.cosine > first.cosine
    assert lines[-1].startswith("best for the worst output: ")


def test_the_threshold_that_is_tried_is_the_users(tmp_path: Path) -> None:
    files = Files.of(tmp_path, BOUNDED)
    usual = tried(files, "Convolution_c")[0].trials[0].row.threshold
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
    found, lines = tried(Files.of(tmp_path, BOUNDED), "Convolution_a", threshold=0.01)
    assert found.trials[1].row.held == "float"
    assert (
        'threshold 0.01: layer "Convolution_a" stays float: its weights exceed 8 bits' in lines
    )


def test_the_worst_channel_and_float_of_a_planted_layer(tmp_path: Path) -> None:
    found, lines = tried(planted(tmp_path, BOUNDED), BAD, keep_float=True, equalize=False)
    first, real = found.trials
    assert found.worst_channel is not None
    assert real.row.held == "float"
    assert real.row.isolated.noise == 0 or real.row.isolated.sqnr > first.row.isolated.sqnr + 20
    assert real.sqnr > first.sqnr
    assert any(line.startswith(f"worst channel: {found.worst_channel[0]}, SQNR ") for line in lines)


def test_batch_norm_kept(tmp_path: Path) -> None:
    files = Files.of(tmp_path, NORMED)
    found, lines = tried(files, "Convolution_a")
    assert [trial.name for trial in found.trials][2:] == ["BatchNorm kept", "float"]
    assert len(lines) >= 3 + len(found.trials)
    kept = found.trials[2]
    assert (kept.row.isolated, kept.row.threshold) != (
        found.trials[0].row.isolated, found.trials[0].row.threshold)  # fmt: skip
    with pytest.raises(UsageError, match="is part of the one before it"):
        tried(files, "BatchNorm_n")


def test_the_command_line(tmp_path: Path, capsys: Capture) -> None:
    files = Files.of(tmp_path, BOUNDED)
    np.savez(tmp_path / "data.npz", allow_pickle=False, **files.samples())
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
