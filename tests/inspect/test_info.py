"""``bmnetu-model info``: what it prints is what is in the file."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

import bmnetu
from bmnetu.bmodel import Stage, Tensor, read
from bmnetu.version import VERSION
from tests.broken import FILES, PIPELINE
from tests.inspect.files import KINDS, Capture, as_json, file, path_of, result, run


def check_tensor(found: dict[str, object], tensor: Tensor) -> None:
    assert found == {
        "name": tensor.name, "dtype": tensor.data_type.name.lower(), "shape": [*tensor.shape],
        "layout": "4N" if tensor.store_mode else "1N", "scale": tensor.scale,
        "address": tensor.address, "bytes": tensor.size,
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_is_the_file(kind: str, capsys: Capture) -> None:
    path = file(kind)
    bmodel = read(path.read_bytes(), "it")
    found = as_json(capsys, "info", path)
    assert (found["file"], found["bytes"]) == (str(path), path.stat().st_size)
    assert (found["chip"], found["version"]) == ("BM1684", bmodel.version)
    assert f"bmnetu-{VERSION}" in found["version"]
    assert [net["name"] for net in found["nets"]] == [net.name for net in bmodel.nets]
    for shown, net in zip(found["nets"], bmodel.nets, strict=True):
        for number, (record, stage) in enumerate(zip(shown["stages"], net.stages, strict=True)):
            assert record["number"] == number
            check_stage(record, stage)


def check_stage(record: Any, stage: Stage) -> None:
    for side in ("inputs", "outputs"):
        for shown, tensor in zip(record[side], getattr(stage, side), strict=True):
            check_tensor(shown, tensor)
    assert record["dynamic"] == stage.is_dynamic
    assert record["memory"] == {"address": stage.context_address, "bytes": stage.context_size}
    weights = record["weights"]
    assert weights["sha256"] == hashlib.sha256(stage.coeff).hexdigest()
    assert (weights["address"], weights["bytes"]) == (stage.coeff_address, len(stage.coeff))
    commands = [(group.tiu_count, group.gdma_count) for group in stage.groups]
    assert [(g["tiu"], g["gdma"]) for g in record["commands"]["groups"]] == commands
    assert record["commands"]["bytes"] == 128 * sum(map(sum, commands))
    assert (record["records"] or {"bytes": 0})["bytes"] == len(stage.records)
    assert len(record["subnets"]) == len(stage.subnets)


@pytest.mark.parametrize("precision", FILES)
def test_where_a_file_comes_from(precision: str, capsys: Capture) -> None:
    model, weight = (PIPELINE / FILES[precision][0], PIPELINE / "Inputs" / FILES[precision][1])
    for path, options in (
        (path_of(result(precision)), {"opt": 1, "prec": precision}),
        (path_of(result(precision, dyn=True)), {"opt": 1, "prec": precision, "dyn": True}),
    ):
        notes = as_json(capsys, "info", path)["nets"][0]["stages"][0]["notes"]
        assert notes["compiler"] == f"bmnetu-{VERSION}"
        assert notes["options"] == options
        hashes = {"model": model, "weight": weight}
        assert notes["sha256"] == {
            name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in hashes.items()
        }
        assert {"name": "fc", "line": 30 + (precision == "INT8")} in notes["layers"]
        assert "prob" in notes["tensors"]
    _, out, _ = run(capsys, "info", path)
    assert f"    compiled  by bmnetu-{VERSION}, opt=1 prec={precision} dyn=true\n" in out


def test_equal_input_gives_equal_bytes_in_any_folder(tmp_path: Path) -> None:
    found: list[bytes] = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        model, weight = folder / f"{name}.prototxt", folder / f"{name}.umodel"
        shutil.copy(PIPELINE / FILES["INT8"][0], model)
        shutil.copy(PIPELINE / "Inputs" / FILES["INT8"][1], weight)
        bmnetu.compile(model, weight, folder / "out", opt=2, cmp=name == "a", seed=len(found))
        found.append((folder / "out" / "compilation.bmodel").read_bytes())
    assert found[0] == found[1]
    assert str(tmp_path).encode() not in found[0]


def test_host_layers_have_names_and_parameters(capsys: Capture) -> None:
    found = as_json(capsys, "info", file("host"))
    subnets = found["nets"][0]["stages"][0]["subnets"]
    assert [subnet["runs_on"] for subnet in subnets] == ["NPU", "host"]
    layer = subnets[1]["layer"]
    assert layer["name"] == "detection_output"
    assert layer["parameters"]["num_classes"] == 3
    _, out, _ = run(capsys, "info", file("host"))
    assert "subnet 1 on the host, detection_output (number " in out


def test_the_text_has_a_line_a_tensor_and_a_stage(capsys: Capture) -> None:
    code, out, err = run(capsys, "info", file("several"))
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert [line for line in lines if line.startswith("net ")] == ['net "first"', 'net "second"']
    stages = [line.strip() for line in lines if line.startswith("  stage")]
    assert stages == ["stage 0, static", "stage 1, static", "stage 0, static"]
    assert sum("  input  " in line for line in lines) == 3
    scale = read(file("several").read_bytes(), "it").nets[1].stages[0].inputs[0].scale
    (line,) = (line for line in lines if f"scale {scale:g} " in line and "  input  " in line)
    assert "int8" in line


def test_one_net_and_one_stage(capsys: Capture) -> None:
    found = as_json(capsys, "info", file("several"), "--net=first", "--stage=1")
    (net,) = found["nets"]
    assert (net["name"], [stage["number"] for stage in net["stages"]]) == ("first", [1])
    assert net["stages"][0]["inputs"][0]["shape"][0] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--net=frist"], 'has no such net: did you mean "first"?'),
        (["--net=x"], 'has no such net: it has "first", "second"'),
        (["--stage=7"], "has no such stage; the stages of a net are 0 to 1"),
        (["--jsn"], "unknown flag -jsn: did you mean -json?"),
    ],
)
def test_wrong_flags(words: list[str], message: str, capsys: Capture) -> None:
    code, out, err = run(capsys, "info", file("several"), *words)
    assert (code, out) == (2, "")
    assert message in err


def test_no_bmodel(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"no bmodel")
    for given in (path, tmp_path / "y", tmp_path):
        code, out, err = run(capsys, "info", given)
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert err.startswith(f"bmnetu-model: error: {given}: ")
