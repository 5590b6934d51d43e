"""``bmnetu-model diff``: what was changed is what it finds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmnetu.bmodel import Notes, Stage, read, write
from passes.verification.inputs import random_inputs
from tests.inspect.files import (
    KINDS,
    Capture,
    as_json,
    changed,
    file,
    path_of,
    result,
    run,
    several,
    stage_of,
)


def differences(capsys: Capture, *words: str | Path) -> list[dict[str, Any]]:
    """The records of the stages of two files that differ."""
    code, out, err = run(capsys, "diff", *words, "--json")
    assert (code, err) == (1, "")
    found = json.loads(out)
    assert not found["equal"]
    return found["stages"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_equal_to_itself(kind: str, capsys: Capture) -> None:
    found = as_json(capsys, "diff", file(kind), file(kind), "--run")
    assert found["equal"]
    for record in found["stages"]:
        assert record.keys() == {"net", "stage", "differs", "run"}
        assert all(each["difference"] == 0 for each in record["run"])


@pytest.mark.parametrize("kind", KINDS)
def test_an_extract_is_equal_to_its_stage(kind: str, capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "out.bmodel"
    which = ["--net=first", "--stage=1"] if kind == "several" else []
    assert run(capsys, "extract", file(kind), f"--out={out}", *which)[0] == 0
    code, text, err = run(capsys, "diff", file(kind), out, *which)
    assert (code, err, text.count("same commands: what runs is equal")) == (0, "", 1)
    found = as_json(capsys, "diff", file(kind), out, "--run", *which)
    assert [each["difference"] for each in found["stages"][0]["run"]] == [0] * len(
        found["stages"][0]["run"])  # fmt: skip


@pytest.mark.parametrize("kind", ["FP32", "INT8"])
def test_an_extract_that_was_changed(kind: str, capsys: Capture, tmp_path: Path) -> None:
    """A weight that is read, or an address of the neurons, makes a difference."""
    out = tmp_path / "out.bmodel"
    assert run(capsys, "extract", file(kind), f"--out={out}")[0] == 0
    (stage,) = read(out.read_bytes(), "it").nets[0].stages
    coeff = bytes([stage.coeff[0] ^ 1]) + stage.coeff[1:]
    (record,) = differences(capsys, file(kind), changed(out, tmp_path, coeff=coeff))
    assert record["other_weights"]
    (tensor,) = stage.outputs
    moved = (replace(tensor, address=tensor.address - 512),)
    (record,) = differences(capsys, file(kind), changed(out, tmp_path, outputs=moved))
    assert record["other_places"]


def test_another_name_alone(capsys: Capture, tmp_path: Path) -> None:
    bmodel = read(file("FP32").read_bytes(), "it")
    other = tmp_path / "other.bmodel"
    other.write_bytes(write(replace(bmodel, nets=(replace(bmodel.nets[0], name="renamed"),))))
    code, text, err = run(capsys, "diff", file("FP32"), other)
    assert (code, err) == (0, "")
    assert "net: small -> renamed" in text
    assert "same commands" in text


def test_text_of_equal_files(capsys: Capture) -> None:
    code, out, err = run(capsys, "diff", several(), several())
    assert (code, err, out.count("what runs is equal")) == (0, "", 3)


@pytest.mark.parametrize(
    ("old", "new"), [("FP32", "opt 0"), ("FP32", "INT8"), ("INT8", "opt 2"), ("FP32", "host")]
)
def test_memory_commands_and_cycles(old: str, new: str, capsys: Capture) -> None:
    (record,) = differences(capsys, file(old), file(new))
    infos = [as_json(capsys, "info", file(kind))["nets"][0]["stages"][0] for kind in (old, new)]
    for name, found in (
        ("weights", [info["weights"]["bytes"] for info in infos]),
        ("neurons", [info["memory"]["bytes"] for info in infos]),
        ("tiu", [info["commands"]["tiu"] for info in infos]),
        ("gdma", [info["commands"]["gdma"] for info in infos]),
    ):
        assert record.get(name, found[:1] * 2) == found
    profiles = [as_json(capsys, "profile", file(kind))[0] for kind in (old, new)]
    assert record["cycles"]["total"] == [each["total"]["cycles"] for each in profiles]
    rows = record["cycles"]["layers"]
    total = record["cycles"]["total"]
    assert sum(row["b"] - row["a"] for row in rows) == total[1] - total[0]
    changes = [abs(row["b"] - row["a"]) for row in rows]
    assert changes == sorted(changes, reverse=True)
    layers = [{row["layer"] for row in each["layers"]} for each in profiles]
    for words, names in (
        (("gone", "fused"), layers[0] - layers[1]), (("new", "split"), layers[1] - layers[0])
    ):  # fmt: skip
        assert {name for word in words for name in record.get(word, ())} == names


@pytest.mark.parametrize(("precision", "opt"), [("FP32", 0), ("INT8", 1)])
def test_outputs_on_the_same_input(
    precision: str, opt: int, capsys: Capture, tmp_path: Path
) -> None:
    """Integers are compared as the real numbers that they stand for."""
    paths = [path_of(result("FP32", max_n=3)), path_of(result(precision, opt, max_n=3))]
    (record,) = differences(capsys, *paths, "--run", "--seed=5")
    (found,) = record["run"]
    arrays: list[Any] = []
    data = tmp_path / "in.npy"
    stages = [as_json(capsys, "info", path)["nets"][0]["stages"][0] for path in paths]
    (numbers,) = random_inputs([(stages[0]["inputs"][0]["shape"], np.float32)], 5)
    np.save(data, numbers)
    for path, info in zip(paths, stages, strict=True):
        words = ("run", path, f"--input={data}", f"--out={tmp_path / 'o.npz'}")
        assert run(capsys, *words)[0] == 0
        with np.load(tmp_path / "o.npz") as made:
            (name,) = made.files
            arrays.append(made[name].astype(np.float64) * info["outputs"][0]["scale"])
    assert found["difference"] == np.abs(arrays[0] - arrays[1]).max()
    assert found["largest"] == np.abs(arrays[0]).max()


Change = Callable[[Stage], dict[str, Any]]
PLANTED: dict[str, tuple[Change, set[str]]] = {
    "weights": (lambda s: {"coeff": bytes([s.coeff[0] ^ 1]) + s.coeff[1:]}, {"other_weights"}),
    "memory": (lambda s: {"context_size": s.context_size + 4096}, {"neurons"}),
    "a scale": (lambda s: {"outputs": (replace(s.outputs[0], scale=2.0),)}, {"outputs"}),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_planted_differences(what: str, capsys: Capture, tmp_path: Path) -> None:
    change, expected = PLANTED[what]
    path = path_of(result("FP32"))
    other = changed(path, tmp_path, **change(stage_of(result("FP32"))))
    (record,) = differences(capsys, path, other)
    assert record.keys() - {"net", "stage", "differs", "cycles"} == expected
    assert record["cycles"]["layers"] == []


def noted(stage: Stage, **fields: Any) -> dict[str, Any]:
    """The stage with one more byte of context, so that it differs, and other notes."""
    notes = Notes.parse(stage.notes)
    assert notes is not None
    return {"context_size": stage.context_size + 4096, "notes": replace(notes, **fields).pack()}


def test_names_of_layers(capsys: Capture, tmp_path: Path) -> None:
    """The same commands by another name; of the same prototxt the layer is part of another."""
    path, stage = path_of(result("FP32")), stage_of(result("FP32"))
    notes = Notes.parse(stage.notes)
    assert notes is not None
    names = [name for name, _ in notes.layers]
    layers = tuple((name.replace(names[1], "other"), line) for name, line in notes.layers)
    none: Mapping[str, str] = {}
    for hashes, words in ((notes.sha256, ("fused", "split")), (none, ("gone", "new"))):
        other = changed(path, tmp_path, **noted(stage, layers=layers, sha256=hashes))
        (record,) = differences(capsys, path, other)
        assert [record[word] for word in words] == [[names[1]], ["other"]]
        assert "moved" not in record


def test_layers_in_another_order(capsys: Capture, tmp_path: Path) -> None:
    """The first two layers swap their commands."""
    path, stage = path_of(result("FP32")), stage_of(result("FP32"))
    notes = Notes.parse(stage.notes)
    assert notes is not None
    first, second, *rest = notes.layers
    other = changed(path, tmp_path, **noted(stage, layers=(second, first, *rest)))
    (record,) = differences(capsys, path, other)
    assert len(record["moved"]) == 1
    assert record["moved"][0] in (first[0], second[0])


def test_options_do_not_count(capsys: Capture, tmp_path: Path) -> None:
    stage = stage_of(result("FP32"))
    notes = Notes.parse(stage.notes)
    assert notes is not None
    options = {**notes.options, "opt": 7}
    other = changed(path_of(result("FP32")), tmp_path, notes=replace(notes, options=options).pack())
    code, out, _ = run(capsys, "diff", path_of(result("FP32")), other)
    assert (code, "made with opt: 1 -> 7" in out) == (0, True)


def test_a_stage_that_one_has(capsys: Capture, tmp_path: Path) -> None:
    one = tmp_path / "one"
    assert run(capsys, "extract", several(), "--net=first", f"--out={one}")[0] == 0
    found = differences(capsys, one, several())
    assert [each.get("only_in") for each in found] == [None, None, str(several())]
    code, out, _ = run(capsys, "diff", several(), one)
    assert (code, f"only in {several()}" in out) == (1, True)
    code, _, err = run(capsys, "diff", several(), one, "--net=second")
    assert (code, f"{one} has no such net" in err) == (2, True)


def test_inputs_that_cannot_be_the_same(capsys: Capture) -> None:
    paths = [path_of(result("FP32", max_n=n)) for n in (1, 2)]
    code, _, err = run(capsys, "diff", *paths, "--run")
    assert (code, "have other inputs, or other shapes of them" in err) == (4, True)


def test_static_and_dynamic(capsys: Capture) -> None:
    code, out, err = run(capsys, "diff", file("FP32"), file("dynamic"))
    assert (code, err) == (1, "")
    assert "dynamic: False -> True" in out
    assert "cycles" not in out
