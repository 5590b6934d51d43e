"""-json of bmnetu-calibrate: stdout is one object, what people read goes to stderr."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmnetu.cli import calibrate_main
from tests.calibration.harness import Files, data_layer, layer
from tests.inspect.files import Capture

NET = "".join([
    data_layer(1, 3, 6, 6),
    layer("Convolution", "data", "a", "convolution_param { num_output: 4 kernel_size: 3 }"),
    layer("ReLU", "a", "r"),
    layer("InnerProduct", "r", "f", "inner_product_param { num_output: 5 }"),
    layer("Softmax", "f", "p"),
])  # fmt: skip


class Tool:
    """bmnetu-calibrate on a small net."""

    def __init__(self, folder: Path, capsys: Capture) -> None:
        self.folder, self.capsys = folder, capsys
        self.files = Files.of(folder, NET)
        data = {**self.files.samples(4), "label": np.arange(4)}
        np.savez(folder / "data.npz", allow_pickle=False, **data)

    def run(self, *words: str, code: int = 0) -> tuple[dict[str, Any], str]:
        """What it prints."""
        files = self.files
        flags = [f"-model={files.model}", f"-weight={files.weight}",
                 f"-data={self.folder / 'data.npz'}", "-json"]  # fmt: skip
        assert calibrate_main([*words, *flags]) == code
        out, err = self.capsys.readouterr()
        return json.loads(out), err

    def calibrate(self, *words: str) -> tuple[dict[str, Any], str]:
        return self.run(f"-outdir={self.folder}", "-th_method=MAX", *words)


@pytest.fixture
def tool(tmp_path: Path, capsys: Capture) -> Tool:
    return Tool(tmp_path, capsys)


def test_a_calibration(tool: Tool) -> None:
    found, err = tool.calibrate("-layer_table", "-sensitivity", "-fpfwd_outputs=Softmax_p")
    assert Path(found["umodel"]).is_file()
    assert Path(found["prototxt"]).is_file()
    table = json.loads(Path(found["table"]).read_text())
    assert table["blobs"] == found["blobs"]
    assert set(found["thresholds"]) == {"data", "a", "r", "f", "p"}
    assert found["float_layers"] == ["Softmax_p"]
    assert [cost["sqnr_db"] for cost in found["sensitivity"]] == sorted(
        cost["sqnr_db"] for cost in found["sensitivity"]
    )
    assert "held as   layer\n" in err


def test_notes_are_objects(tool: Tool) -> None:
    found, err = tool.run(f"-outdir={tool.folder}", "-iterations=1")
    assert found["notes"][0]["code"] == "one-sample"
    for note in found["notes"]:
        assert f"bmnetu-calibrate: note: {note['text']} [{note['code']}]\n" in err


def test_an_evaluation_also_where_it_misses_a_threshold(tool: Tool) -> None:
    made, _ = tool.calibrate()
    words = ["eval", f"-int8_model={made['prototxt']}", f"-int8_weight={made['umodel']}"]
    found, err = tool.run(*words)
    (output,) = found["outputs"]
    assert found["samples"] == 4
    assert output["name"] == "p"
    assert 0.9 < output["cosine"] <= 1
    assert set(output["top"]) == {"1"}
    assert 'output "p": SQNR ' in err
    missed, err = tool.run(*words, "-min_cosine=1", code=5)
    assert missed == found
    assert "-min_cosine=1.0 is expected" in err


def test_what_if(tool: Tool) -> None:
    found, err = tool.run("what_if", "-layer=Convolution_a")
    (found,) = found["layers"]
    first, *_, real = found["trials"]
    assert first["threshold"] > 0
    assert real["name"] == real["held"] == "float"
    assert real["threshold"] is None
    assert real["worst_output"]["name"] == "p"
    assert real["worst_output"]["error"] == real["outputs"]["p"]["error"]
    assert found["best"] in {None, *(trial["name"] for trial in found["trials"])}
    both = (first["isolated"], first["accumulated"])
    assert [each["error"] for each in both] == pytest.approx(
        [10 ** (-each["sqnr_db"] / 20) for each in both], rel=1e-3
    )
    assert found["largest"] > 0
    assert 'layer "Convolution_a"' in err
