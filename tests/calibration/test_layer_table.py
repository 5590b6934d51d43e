"""The table of all blobs, against plain sums over what the nets compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmnetu.calibration.accuracy.closeness import Closeness
from bmnetu.errors import InputFileError
from dialects.blob import Array
from tests.calibration.harness import Calibrated, Files, batch, data_layer, layer

CONV = "convolution_param { num_output: 4 kernel_size: 3 pad: 1 }"
NET = "".join(
    [
        'output_whitelist: "r" output_whitelist: "f" output_whitelist: "s"\n',
        data_layer(2, 3, 6, 6),
        layer("Convolution", "data", "c", CONV),
        layer("ReLU", "c", "r"),
        layer("Dropout", "r", "d"),
        layer("InnerProduct", "d", "f", "inner_product_param { num_output: 5 }"),
        layer("Softmax", "f", "s"),
    ]
)
OUTPUTS = ("r", "f", "s")


def calibrated(folder: Path, samples: int = 8, **flags: object) -> Calibrated:
    files = Files.of(folder, NET)
    data = files.samples(samples // 2)
    return files.calibrate(data, layer_table=True, equalize=False, **flags)


def parsed(found: Calibrated) -> Any:
    """The JSON, which has no numbers that JSON does not know."""
    assert found.result.table is not None

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(found.result.table.read_text(), parse_constant=refuse)


def rows_of(found: Calibrated) -> dict[str, Any]:
    return {row["blob"]: row for row in parsed(found)["blobs"]}


def sqnr(expected: Array, found: Array) -> float:
    return 10 * np.log10(np.sum(expected**2) / np.sum((expected - found) ** 2))


def test_accumulated_errors_are_those_of_the_outputs(tmp_path: Path) -> None:
    found = calibrated(tmp_path)
    data = found.files.samples(4)
    rows = rows_of(found)
    assert parsed(found)["samples"] == 8
    for name in OUTPUTS:
        pairs = [(found.float_outputs(b)[name], found.int8_outputs(b)[name])
                 for b in (batch(data, i, 2) for i in range(4))]  # fmt: skip
        columns = zip(*pairs, strict=True)
        expected, got = (np.concatenate(each).astype(np.float64) for each in columns)
        errors = rows[name]["accumulated"]
        assert errors["sqnr_db"] == pytest.approx(sqnr(expected, got), rel=1e-4)
        cosine = np.sum(expected * got) / np.linalg.norm(expected) / np.linalg.norm(got)
        assert errors["cosine"] == pytest.approx(cosine, rel=1e-5)


def test_ranges_are_those_of_the_integers(tmp_path: Path) -> None:
    found = calibrated(tmp_path)
    data, rows = found.files.samples(4)["data"], rows_of(found)
    threshold = found.result.thresholds["data"]
    integers = np.clip(np.rint(data * (127 / threshold)), -128, 127)
    assert rows["data"]["threshold"] == pytest.approx(threshold, rel=1e-5)
    assert rows["data"]["used"] == min(1, np.abs(integers).max() / 127)
    assert rows["data"]["saturated"] == pytest.approx(np.mean(np.abs(integers) >= 127), rel=1e-5)
    real = integers * (threshold / 127)
    for kind in ("isolated", "accumulated"):
        assert rows["data"][kind]["sqnr_db"] == pytest.approx(sqnr(data, real), rel=1e-3)


def test_a_layer_that_reads_exact_blobs_has_equal_errors(tmp_path: Path) -> None:
    rows = rows_of(calibrated(tmp_path, fpfwd_blocks="data,Convolution_c"))
    assert rows["c"] == {
        "layer": "Convolution_c", "blob": "c", "held": "float", "threshold": None, "used": None,
        "saturated": None, "isolated": {"sqnr_db": None, "cosine": 1.0},
        "accumulated": {"sqnr_db": None, "cosine": 1.0},
    }  # fmt: skip
    assert rows["f"]["isolated"] == rows["f"]["accumulated"]
    assert rows["f"]["isolated"]["sqnr_db"] > 20
    assert rows["s"]["isolated"] != rows["s"]["accumulated"]


def test_what_a_relu_takes_away_is_no_error(tmp_path: Path) -> None:
    found = calibrated(tmp_path)
    rows = rows_of(found)
    assert {name: row["held"] for name, row in rows.items()} == {
        "data": "signed", "r": "unsigned", "f": "signed", "s": "float",
    }  # fmt: skip
    assert rows["r"]["layer"] == "Convolution_c"
    assert rows["r"]["isolated"]["sqnr_db"] > 25


def test_the_text_has_a_line_a_blob(tmp_path: Path) -> None:
    found = calibrated(tmp_path)
    heads = [i for i, line in enumerate(found.lines) if "saturated" in line]
    (head,) = heads
    lines = found.lines[head + 1 : head + 1 + len(found.result.layers)]
    assert [line.split()[:3] for line in lines] == [
        [row.layer, row.blob, row.held] for row in found.result.layers
    ]
    assert len({len(line) for line in found.lines[head - 1 : head + 1 + len(lines)]}) == 1


def test_at_most_32_samples_are_run(tmp_path: Path) -> None:
    assert parsed(calibrated(tmp_path, samples=40))["samples"] == 32


def test_the_table_is_written_with_the_other_files_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "out" / "net_layers.json").mkdir(parents=True)
    with pytest.raises(InputFileError, match="cannot be written"):
        calibrated(tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["net_layers.json"]


def test_numbers_that_are_not_finite_do_not_count() -> None:
    found = Closeness()
    found.add(np.array([1.0, np.nan, 2.0]), np.array([1.0, 5.0, np.inf]))
    assert (found.signal, found.noise, found.sqnr, found.cosine) == (1.0, 0.0, np.inf, 1.0)


def test_closeness_of_nothing() -> None:
    found = Closeness()
    found.add(np.zeros(3), np.ones(3))
    assert (found.sqnr, found.cosine, found.relative_noise) == (-np.inf, 0.0, np.inf)
