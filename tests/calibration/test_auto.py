"""The default method tries recipes on data that they have not seen, and takes the best."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dialects.blob import Array
from tests.calibration.harness import Calibrated, Files, data_layer, layer
from tests.networks import random_weights

CONV = "convolution_param { num_output: 6 kernel_size: 3 pad: 1 }"
TEXT = "".join(
    [
        data_layer(1, 3, 8, 8),
        layer("Convolution", "data", "a", CONV),
        layer("ReLU", "a", "r"),
        layer("Convolution", "r", "b", CONV),
        layer("InnerProduct", "b", "out", "inner_product_param { num_output: 4 }"),
    ]
)


def auto(files: Files, data: dict[str, Array], **flags: object) -> Calibrated:
    return files.calibrate(data, th_method="AUTO", **flags)


def flags_of(found: Calibrated) -> dict[str, str]:
    (line,) = (line for line in found.lines if line.startswith("chosen: "))
    return dict(word.removeprefix("-").split("=") for word in line.split()[1:])


def tried(found: Calibrated) -> list[str]:
    return [line for line in found.lines if line.startswith("  -th_method=")]


def test_every_recipe_is_line_with_its_figure(tmp_path: Path) -> None:
    files = Files.of(tmp_path, TEXT)
    found = auto(files, files.samples(8))
    assert len(tried(found)) == 10
    assert all(line.endswith(" dB") for line in tried(found))
    assert any("4 batch(es) settle recipes, 4 judge them" in line for line in found.lines)


def test_the_files_are_those_of_the_chosen_recipe(tmp_path: Path) -> None:
    files = Files.of(tmp_path, TEXT)
    data = files.samples(8)
    found = auto(files, data)
    named = files.calibrate(data, outdir=tmp_path / "named", **flags_of(found))
    assert named.result.umodel.read_bytes() == found.result.umodel.read_bytes()
    assert named.result.prototxt.read_bytes() == found.result.prototxt.read_bytes()


def spikes(folder: Path) -> tuple[Files, dict[str, Array]]:
    """A spike in each sample carries the output."""
    text = data_layer(1, 1, 32, 32) + layer(
        "Pooling", "data", "out", "pooling_param { kernel_size: 32 }"
    )
    random = np.random.default_rng(0)
    data = random.standard_normal((16, 1, 32, 32)).astype(np.float32)
    data[:, 0, 0, 0] = 40 * (1 + random.random(16))
    return Files.of(folder, text), {"data": data}


def test_rare_large_numbers_that_matter_are_not_clipped(tmp_path: Path) -> None:
    """KL clips the spikes where MAX does not."""
    files, data = spikes(tmp_path)
    found = auto(files, data)
    assert found.result.thresholds["data"] > 60
    usual = files.calibrate(data, outdir=tmp_path / "kl")
    assert usual.result.thresholds["data"] < 60


def test_switches_that_are_off_stay_off(tmp_path: Path) -> None:
    files = Files.of(tmp_path, TEXT)
    found = auto(files, files.samples(4), equalize=False, adaptive_rounding=False)
    assert len(tried(found)) == 4
    chosen = flags_of(found)
    assert (chosen["equalize"], chosen["adaptive_rounding"]) == ("false", "false")


def best_tried(found: Calibrated) -> str:
    """The flags with the best figure, the first of equal ones as they are printed."""
    figures = [line.rsplit(": ", 1) for line in tried(found)]
    return max(figures, key=lambda pair: float(pair[1].removesuffix(" dB")))[0].strip()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_few_batches(tmp_path: Path, count: int) -> None:
    files = Files.of(tmp_path, TEXT)
    found = auto(files, files.samples(count))
    kept = count // 2
    settled = f"{count - kept} batch(es) settle recipes, {kept} judge"
    sentence = settled if kept else "one batch of data"
    assert any(sentence in line for line in found.lines)
    few = any("one sample is too few for a judgement" in line for line in found.notes())
    assert few == (count < 4)


def test_half_of_the_samples_judge_up_to_a_limit(tmp_path: Path) -> None:
    files = Files.of(tmp_path, data_layer(1, 2, 1, 1) + layer("ReLU", "data", "out"))
    for count, kept in (50, 25), (150, 32):
        found = auto(files, files.samples(count), adaptive_rounding=False)
        sentence = f"{kept} batch(es) settle recipes, {kept} judge"
        assert any(sentence in line for line in found.lines)


@pytest.mark.parametrize(
    ("seed", "reason"), [(3, "dB only, less than"), (8, "standard errors only")]
)
def test_a_better_figure_that_may_be_chance_is_not_taken_and_that_is_line(
    tmp_path: Path, seed: int, reason: str
) -> None:
    """Of the second net one sample of four decides; on 200 others KL is better by 4 dB."""
    files = Files.of(tmp_path, TEXT, random_weights(TEXT, seed))
    found = auto(files, files.samples(8))
    best = best_tried(found)
    (line,) = (line for line in found.lines if "is better by" in line)
    assert line.startswith(f"KL stays: {best} is better by ")
    assert reason in line
    assert flags_of(found)["th_method"] == "KL"
    assert f"chosen: {best}" not in found.lines


def test_the_best_figure_is_taken_where_it_is_surely_better(tmp_path: Path) -> None:
    found = auto(*spikes(tmp_path))
    assert f"chosen: {best_tried(found)}" in found.lines
    assert not any("is better by" in line for line in found.lines)


def test_the_last_batch_may_be_short(tmp_path: Path) -> None:
    text = TEXT.replace("dim: 1", "dim: 4", 1)
    files = Files.of(tmp_path, text)
    data = {"data": files.samples(4)["data"][:13]}
    assert auto(files, data).result.umodel.exists()


def test_the_choice_does_not_depend_on_who_computes(tmp_path: Path) -> None:
    files = Files.of(tmp_path, TEXT, random_weights(TEXT, 3))
    data = files.samples(6)
    one = auto(files, data)
    two = auto(files, data, workers=2, outdir=tmp_path / "two")
    assert tried(one) == tried(two)
    assert one.result.umodel.read_bytes() == two.result.umodel.read_bytes()
