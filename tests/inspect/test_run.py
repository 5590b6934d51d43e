"""``bmnetu-model run``: the numbers are those of the compare, which are the reference's."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import bmnetu
from bmnetu.bmodel import Notes
from bmnetu.report.result import CompileResult
from tests.calibration.harness import data_layer, layer
from tests.inspect.files import (
    Capture,
    as_json,
    changed,
    file,
    host_result,
    path_of,
    result,
    run,
    several,
    stage_of,
)
from tests.networks import random_weights

Array = NDArray[Any]
RESULTS = {
    "FP32": lambda: result("FP32"), "opt 0": lambda: result("FP32", 0),
    "INT8": lambda: result("INT8"), "opt 2": lambda: result("INT8", 2), "host": host_result,
    "dynamic": lambda: result("FP32", dyn=True), "dynamic INT8": lambda: result("INT8", dyn=True),
}  # fmt: skip


def given(found: CompileResult) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs and outputs of the compare."""
    assert found.findings is not None
    return found.findings.inputs, found.findings.outputs


def check_equal(out: Path, expected: dict[str, Array], error: float = 0) -> None:
    with np.load(out) as made:
        assert set(made.files) == set(expected)
        for name, array in expected.items():
            assert made[name].dtype == array.dtype
            np.testing.assert_allclose(made[name], array, rtol=error, atol=0)


@pytest.mark.parametrize("kind", RESULTS)
def test_outputs_are_those_of_the_compare(kind: str, capsys: Capture, tmp_path: Path) -> None:
    found = RESULTS[kind]()
    inputs, outputs = given(found)
    np.savez(tmp_path / "in.npz", allow_pickle=False, **inputs)
    out = tmp_path / "new" / "out.npz"
    code, _, err = run(
        capsys, "run", path_of(found), f"--input={tmp_path / 'in.npz'}", f"--out={out}"
    )
    assert (code, err) == (0, "")
    check_equal(out, outputs)


def test_real_numbers_are_scaled_and_integers_are_not(capsys: Capture, tmp_path: Path) -> None:
    found = result("INT8")
    inputs, outputs = given(found)
    ((name, integers),) = inputs.items()
    (tensor,) = stage_of(found).inputs
    assert integers.dtype == np.int8
    np.save(tmp_path / "real.npy", integers / np.float64(tensor.scale) + 0.2 / tensor.scale)
    np.save(tmp_path / "wide.npy", integers.astype(np.int64))
    for each in ("real.npy", "wide.npy"):
        words = (f"--input={name}={tmp_path / each}", f"--out={tmp_path / 'out.npz'}")
        assert run(capsys, "run", path_of(found), *words)[0] == 0
        check_equal(tmp_path / "out.npz", outputs)
    np.save(tmp_path / "far.npy", integers.astype(np.int64) + 1000)
    code, _, err = run(capsys, "run", path_of(found), f"--input={tmp_path / 'far.npy'}")
    assert code == 3
    assert "holds integers from" in err
    np.save(tmp_path / "nan.npy", np.full(integers.shape, np.nan))
    code, _, err = run(capsys, "run", path_of(found), f"--input={tmp_path / 'nan.npy'}")
    assert code == 3
    assert "has numbers that are not finite" in err


def test_no_file_that_is_read_is_written(capsys: Capture, tmp_path: Path) -> None:
    given = tmp_path / "in.npz"
    np.savez(given, data=np.ones(stage_of(result("FP32")).inputs[0].shape, np.float32))
    before = given.read_bytes()
    code, _, err = run(capsys, "run", file("FP32"), f"--input={given}", f"--out={given}")
    assert (code, "this file is read" in err) == (2, True)
    assert given.read_bytes() == before
    code, _, err = run(capsys, "run", file("FP32"), f"--out={tmp_path / 'x.bmodel'}")
    assert (code, "ends in .npz" in err) == (2, True)


def test_large_real_numbers_saturate(capsys: Capture, tmp_path: Path) -> None:
    found = result("INT8")
    (tensor,) = stage_of(found).inputs
    for value, integer in ((1e9, 127), (-1e9, -128)):
        np.save(tmp_path / "a.npy", np.full(tensor.shape, value))
        np.save(tmp_path / "b.npy", np.full(tensor.shape, integer, np.int8))
        outs = [tmp_path / f"{each}.npz" for each in "ab"]
        for each, out in zip("ab", outs, strict=True):
            run(capsys, "run", path_of(found), f"--input={tmp_path / each}.npy", f"--out={out}")
        assert outs[0].read_bytes() == outs[1].read_bytes()


@pytest.mark.parametrize(("batch", "stage"), [(2, 0), (1, 1)])
def test_the_shape_chooses_the_stage(
    batch: int, stage: int, capsys: Capture, tmp_path: Path
) -> None:
    inputs, outputs = given(result("FP32", max_n=batch))
    ((_, array),) = inputs.items()
    assert len(array) == batch
    np.save(tmp_path / "in.npy", array)
    words = ("--net=first", f"--input={tmp_path / 'in.npy'}", f"--out={tmp_path / 'out.npz'}")
    assert as_json(capsys, "run", several(), *words)["stage"] == stage
    check_equal(tmp_path / "out.npz", outputs)
    code, _, err = run(capsys, "run", several(), *words, f"--stage={1 - stage}")
    assert code == 2
    assert "--input: no stage takes " in err


@pytest.mark.parametrize(("batch", "stage"), [(2, 0), (1, 1)])
def test_shapes_choose_the_stage(
    batch: int, stage: int, capsys: Capture, tmp_path: Path
) -> None:
    """Of made-up numbers, and of an array with as many numbers."""
    words = ("--net=first", f"--shapes=[{batch},3,9,9]")
    code, out, _ = run(capsys, "run", several(), *words)
    assert (code, f", stage {stage}\n" in out) == (0, True)
    np.save(tmp_path / "in.npy", np.ones(batch * 3 * 9 * 9, np.float32))
    assert as_json(capsys, "run", several(), *words, f"--input={tmp_path / 'in.npy'}")[
        "stage"] == stage  # fmt: skip
    for wrong, sentence in (
        ("[3,3,9,9]", "--shapes: no stage takes 3x3x9x9"),
        ("[1,3,9,9],[1,3,9,9]", "--shapes: 2 are given, the net has 1 inputs"),
    ):
        code, _, err = run(capsys, "run", several(), "--net=first", f"--shapes={wrong}")
        assert (code, sentence in err) == (2, True)
    np.save(tmp_path / "in.npy", np.ones(7, np.float32))
    code, _, err = run(capsys, "run", several(), *words, f"--input={tmp_path / 'in.npy'}")
    assert (code, "no stage takes" in err) == (2, True)


@cache
def maps() -> tuple[Path, Path]:
    """A convolution: two sizes as stages, the larger one second; and dynamic."""
    folder = Path(mkdtemp())
    model, weight = folder / "net.prototxt", folder / "net.caffemodel"
    model.write_text(data_layer(1, 3, 8, 8) + layer(
        "Convolution", "data", "a", "convolution_param { num_output: 2 kernel_size: 1 }"
    ))  # fmt: skip
    weight.write_bytes(random_weights(model, 1).SerializeToString())
    shapes = [[[1, 3, 6, 6]], [[2, 3, 8, 8]]]
    both = bmnetu.compile(model, weight, folder / "a", opt=1, shapes=shapes, cmp=False)
    dynamic = bmnetu.compile(model, weight, folder / "b", shapes=shapes[1], dyn=True, cmp=False)
    return path_of(both), path_of(dynamic)


@pytest.mark.parametrize(
    ("words", "stage", "shape"),
    [
        ([], 1, (2, 8, 8)),
        (["--resize=6x6"], 0, (1, 6, 6)),
        (["--resize=9", "--crop=6"], 0, (1, 6, 6)),
        (["--shapes=[1,3,6,6]"], 0, (1, 6, 6)),
        (["--shapes=[2,3,8,8]", "--mean=1,2,3"], 1, (2, 8, 8)),
    ],
)
def test_an_image_takes_the_largest_stage_or_the_one_that_is_said(
    words: list[str], stage: int, shape: tuple[int, ...], capsys: Capture, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 12, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    given = f"--input={tmp_path / 'x.png'}"
    static, dynamic = maps()
    record = as_json(capsys, "run", static, given, *words)
    found = record["outputs"][0]["shape"]
    assert (record["stage"], found[0], *found[2:]) == (stage, *shape)
    found = as_json(capsys, "run", dynamic, given, *words)["outputs"][0]["shape"]
    batch = 2 if not any("shapes" in word for word in words) else shape[0]
    assert (found[0], *found[2:]) == (batch, *shape[1:])


def test_an_input_that_saturates_is_told(capsys: Capture, tmp_path: Path) -> None:
    found = result("INT8")
    (tensor,) = stage_of(found).inputs
    limit = 127.5 / tensor.scale
    for value, told in ((1.01 * limit, True), (0.99 * limit, False)):
        np.save(tmp_path / "a.npy", np.full(tensor.shape, value))
        code, _, err = run(capsys, "run", path_of(found), f"--input={tmp_path / 'a.npy'}")
        assert (code, err.endswith("[input-saturated]\n"), bool(err)) == (0, told, told)
    assert "100% of the numbers lie beyond" in run(
        capsys, "debug", path_of(found), f"--input={write_large(tmp_path, tensor.shape)}")[2]


def write_large(folder: Path, shape: tuple[int, ...]) -> Path:
    """An array far beyond 8 bits."""
    np.save(folder / "large.npy", np.full(shape, 1e9))
    return folder / "large.npy"


def test_a_dynamic_net_at_a_smaller_shape(capsys: Capture, tmp_path: Path) -> None:
    """The first image of a batch alone."""
    for found in (result("INT8", dyn=True), result("FP32", dyn=True)):
        inputs, outputs = given(found)
        ((_, array),) = inputs.items()
        np.save(tmp_path / "in.npy", array[:1])
        words = (f"--input={tmp_path / 'in.npy'}", f"--out={tmp_path / 'out.npz'}")
        assert run(capsys, "run", path_of(found), *words)[0] == 0
        first = {name: each[:1] for name, each in outputs.items()}
        check_equal(tmp_path / "out.npz", first, 1e-6)  # numpy sums in another order
        np.save(tmp_path / "in.npy", np.concatenate([array, array]))
        code, _, err = run(capsys, "run", path_of(found), *words)
        assert code == 2
        assert "no stage takes" in err


def test_tensors_between_subnets_can_be_dumped(capsys: Capture, tmp_path: Path) -> None:
    found = host_result()
    inputs, outputs = given(found)
    ((_, array),) = inputs.items()
    np.save(tmp_path / "in.npy", array)
    words = (f"--input={tmp_path / 'in.npy'}", f"--out={tmp_path / 'out.npz'}")
    records = as_json(capsys, "run", path_of(found), *words, "--dump=loc,prob_f")
    assert [each["name"] for each in records["dumped"]] == ["loc", "prob_f"]
    with np.load(tmp_path / "out.npz") as made:
        assert set(made.files) == {"loc", "prob_f", *outputs}
        shapes = {t.name: t.shape for t in stage_of(found).subnets[0].outputs}
        assert {name: made[name].shape for name in shapes} == shapes
        assert np.ptp(made["loc"]) > 0
    code, _, err = run(capsys, "run", path_of(found), "--dump=conv77")
    assert code == 2
    assert '--dump=conv77: the file does not say where this tensor is: it says it of "data"' in err


def dumped(found: CompileResult, names: str, capsys: Capture, folder: Path) -> dict[str, Array]:
    inputs, _ = given(found)
    np.savez(folder / "in.npz", allow_pickle=False, **inputs)
    words = (f"--input={folder / 'in.npz'}", f"--out={folder / 'out.npz'}", f"--dump={names}")
    code, _, err = run(capsys, "run", path_of(found), *words)
    assert (code, err) == (0, "")
    with np.load(folder / "out.npz") as made:
        return {name: made[name] for name in names.split(",")}


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
def test_inner_tensors_are_the_same_on_all_ways(
    precision: str, capsys: Capture, tmp_path: Path
) -> None:
    """What commands leave in DDR at opt 0 and 1, and what records make."""
    names = "pool,fc"
    ways = [result(precision, 0), result(precision, 1), result(precision, dyn=True)]
    first, *others = (dumped(found, names, capsys, tmp_path) for found in ways)
    for found in others:
        for name, array in first.items():
            assert array.min() < array.max()
            assert found[name].dtype == array.dtype
            error = 1e-5 if precision == "FP32" else 0
            np.testing.assert_allclose(found[name], array, rtol=error, atol=error)


def test_what_others_leave_in_the_notes_is_no_matter(capsys: Capture, tmp_path: Path) -> None:
    stage = stage_of(result("FP32"))
    notes = Notes.parse(stage.notes)
    assert notes is not None
    (tensor, *_) = notes.tensors
    for data in (b"[1]", b"{", b"\xff", b'{"bmnetu": 1}', stage.notes.replace(b"conv", b"\xff")):
        path = changed(path_of(result("FP32")), tmp_path, notes=data)
        assert run(capsys, "info", path)[0] == 0
        assert run(capsys, "dis", path)[0] == 0
        code, _, err = run(capsys, "run", path, f"--dump={tensor.name}")
        assert code == 2
        assert "the file does not say where" in err
    for wrong, sentence in (
        (replace(tensor, address=5), "DDR addresses 0x5..0x"),
        (replace(tensor, shape=(1 << 40, 1 << 40)), "is larger than the memory"),
        (replace(tensor, dtype="object"), 'holds "object"'),
    ):
        data = replace(notes, tensors=(wrong,)).pack()
        path = changed(path_of(result("FP32")), tmp_path, notes=data)
        code, _, err = run(capsys, "run", path, f"--dump={tensor.name}")
        assert code == 5
        assert sentence in err


NET = """
name: "seen"
input: "data"
input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 6 } }
"""


@cache
def seen() -> CompileResult:
    folder = Path(mkdtemp())
    model, weight = folder / "net.prototxt", folder / "net.caffemodel"
    model.write_text(NET)
    weight.write_bytes(random_weights(model, 1).SerializeToString())
    return bmnetu.compile(model, weight, folder, opt=1)


def test_an_image_and_its_labels(capsys: Capture, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 12, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"thing {i}\n" for i in range(6)))
    path, out = path_of(seen()), tmp_path / "out.npz"
    flags = ("--color=rgb", "--mean=100,110,120", "--scale=0.5")
    words = (f"--input={tmp_path / 'x.png'}", *flags, f"--labels={labels}", f"--out={out}")
    records = as_json(capsys, "run", path, *words)
    fitted = np.asarray(Image.fromarray(pixels).resize((8, 8), Image.Resampling.BILINEAR))
    array = (fitted.astype(np.float32) - (100, 110, 120)) * 0.5
    np.save(tmp_path / "x.npy", array.transpose(2, 0, 1)[None])
    expected = tmp_path / "expected.npz"
    run(capsys, "run", path, f"--input={tmp_path / 'x.npy'}", f"--out={expected}")
    assert out.read_bytes() == expected.read_bytes()
    with np.load(out) as made:
        values = made["fc"][0]
    (top,) = records["outputs"][0]["top"]
    order = np.argsort(-values)[:5]
    assert [each["label"] for each in top] == [f"thing {i}" for i in order]
    assert [each["value"] for each in top] == [pytest.approx(values[i]) for i in order]
    _, text, _ = run(capsys, "run", path, *words)
    assert f"{values[order[0]]:10.4f}  thing {order[0]}" in text


def test_labels_that_do_not_fit(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    out = tmp_path / "out.npz"
    words = (f"--labels={tmp_path / 'labels.txt'}", f"--out={out}")
    code, _, err = run(capsys, "run", path_of(seen()), *words)
    assert code == 2
    assert "there are 2 labels, and no output has so many numbers an image: 1x6" in err
    assert not out.exists()


def test_without_input_numbers_are_made_up(capsys: Capture) -> None:
    code, first, err = run(capsys, "run", path_of(seen()), "--seed=3")
    told = "bmnetu-model: note: no --input: made-up numbers, seed 3 [made-up-input]\n"
    assert (code, err) == (0, told)
    assert run(capsys, "run", path_of(seen()), "--seed=3")[1] == first
    assert run(capsys, "run", path_of(seen()), "--seed=4")[1] != first
