"""-cmp_data: the compare, the reference files and winograd's check run on the user's own input."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import bmnetu
from bmnetu.cli import main
from bmnetu.frontend import write_umodel
from bmnetu.report.result import CompileResult
from bmnetu.ways.static import OPT_LEVELS
from dialects.constant import Array
from tests.broken import FILES, PIPELINE
from tests.networks import random_weights

SHAPE = (5, 3, 9, 9)


def compiled(outdir: Path, precision: str = "FP32", **flags: Any) -> CompileResult:
    model, weight = FILES[precision]
    weight = PIPELINE / "Inputs" / weight
    return bmnetu.compile(PIPELINE / model, weight, outdir, shapes=[SHAPE], **flags)


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def used(result: CompileResult) -> Array:
    """The network's input in the compare, which the reference file holds too."""
    assert result.findings is not None
    assert result.input_ref_data is not None
    (array,) = result.findings.inputs.values()
    assert result.input_ref_data.read_bytes() == np.ascontiguousarray(array).tobytes()
    return array


@pytest.mark.parametrize("opt", OPT_LEVELS)
def test_the_compare_runs_on_a_file_and_on_arrays(opt: int, tmp_path: Path) -> None:
    data = numbers(*SHAPE)
    np.save(tmp_path / "a.npy", data)
    np.savez(tmp_path / "a.npz", data=data, other=np.ones(1))
    given: list[Any] = [tmp_path / "a.npy", str(tmp_path / "a.npz"), data, {"data": data}]
    outputs: list[Array] = []
    for each in given:
        result = compiled(tmp_path / "out", opt=opt, cmp_data=each)
        np.testing.assert_array_equal(used(result), data)
        assert result.findings is not None
        outputs += result.findings.outputs.values()
    assert all(np.array_equal(outputs[0], each) for each in outputs)


def test_batches_are_taken_and_repeated(tmp_path: Path) -> None:
    many = numbers(7, *SHAPE[1:])
    np.save(tmp_path / "many.npy", many)
    for each in (many, tmp_path / "many.npy"):
        np.testing.assert_array_equal(used(compiled(tmp_path, cmp_data=each)), many[:5])
    few = many[:2]
    expected = few[[0, 1, 0, 1, 0]]
    np.save(tmp_path / "few.npy", few)
    for each in (few, tmp_path / "few.npy"):
        np.testing.assert_array_equal(used(compiled(tmp_path, cmp_data=each)), expected)


def test_real_numbers_are_quantised_half_to_even(tmp_path: Path) -> None:
    noise = compiled(tmp_path, "INT8")
    assert noise.contents is not None
    (border,) = noise.contents.nets[0].stages[0].inputs
    steps = np.resize(np.array([0.5, 1.5, 2.5, -0.5, -1.5, 3.49, 200, -200, 7]), SHAPE)
    real = (steps / np.float32(border.scale)).astype(np.float32)
    found = used(compiled(tmp_path, "INT8", cmp_data=real))
    expected = np.clip(np.rint(real * np.float32(border.scale)), -128, 127).astype(np.int8)
    np.testing.assert_array_equal(found, expected)
    assert {0, 2, -2, 127, -128, 7} <= set(found.ravel().tolist())
    as_float = compiled(tmp_path, "INT8", cmp_data=real, input_as_fp32=("data",))
    np.testing.assert_array_equal(used(as_float), real)


def test_an_image_becomes_the_input_as_the_contract_says(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 9, 3), np.uint8)
    image = tmp_path / "image.png"
    Image.fromarray(pixels).save(image)
    planes = pixels.transpose(2, 0, 1).astype(np.float32)
    plain = used(compiled(tmp_path, cmp_data=image))
    np.testing.assert_array_equal(plain, np.stack([planes[::-1]] * 5))
    flags: dict[str, Any] = {"color": "rgb", "mean": (1, 2, 3), "scale": 0.5}
    changed = used(compiled(tmp_path, cmp_data=image, **flags))
    expected = (planes - np.array([1, 2, 3], np.float32).reshape(3, 1, 1)) * np.float32(0.5)
    np.testing.assert_array_equal(changed[0], expected)


def test_an_image_by_the_transform_param_of_the_prototxt(tmp_path: Path) -> None:
    model, weight = tmp_path / "net.prototxt", tmp_path / "net.fp32umodel"
    model.write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 dim: 4 dim: 6'
        ' } } transform_param { scale: 0.25 mean_value: 8 } }\n'
        'layer { name: "y" type: "TanH" bottom: "x" top: "y" }'
    )
    write_umodel(weight, random_weights(model, 0))
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(pixels).save(tmp_path / "i.png")
    lines: list[str] = []
    result = bmnetu.compile(
        model, weight, tmp_path / "out", cmp_data=tmp_path / "i.png", report=lines.append
    )
    np.testing.assert_array_equal(used(result)[0, 0], (pixels.astype(np.float32) - 8) / 4)
    assert "preprocess: resize 4x6, color gray, mean 8, scale 0.25" in lines


def test_winograd_is_judged_on_it(tmp_path: Path) -> None:
    text = (PIPELINE / FILES["FP32"][0]).read_text()
    model, weight = tmp_path / "net.prototxt", tmp_path / "net.fp32umodel"
    model.write_text(text.replace("stride: 2 pad", "use_winograd: true pad"))
    write_umodel(weight, random_weights(model, 1))
    said: list[str] = []
    for data in (None, np.full(SHAPE, 1e-30, np.float32)):
        lines: list[str] = []
        bmnetu.compile(model, weight, tmp_path, cmp_data=data, report=lines.append)
        said += [line for line in lines if "winograd" in line]
    noise, small = said
    assert noise.startswith("conv: winograd, cosine 1.0")
    assert small.endswith("largest error 0") != noise.endswith("largest error 0")


def test_verify_takes_it_too(tmp_path: Path) -> None:
    result = compiled(tmp_path, "INT8")
    assert result.bmodel is not None
    data = numbers(*SHAPE)
    np.save(tmp_path / "a.npy", data)
    outputs: list[Array] = []
    for each in (data, tmp_path / "a.npy", str(tmp_path / "a.npy"), {"data": data}):
        findings = bmnetu.verify(result.bmodel, result.module, cmp_data=each)
        assert findings.ok
        outputs.append(findings.inputs["data"])
    assert all(np.array_equal(outputs[0], each) for each in outputs)
    noise = bmnetu.verify(result.bmodel, result.module).inputs["data"]
    assert not np.array_equal(outputs[0], noise)


def test_arrays_of_inputs_that_are_left_out(tmp_path: Path) -> None:
    real = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    found = used(compiled(tmp_path, cmp_data={"data": real, "label": np.ones(5)}))
    np.testing.assert_array_equal(found, real)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.ones((5, 3, 9, 8)), '"data" is 5x3x9x8, the net\'s input is 5x3x9x9'),
        (np.ones((3, 9, 9)), '"data" is 3x9x9, the net\'s input'),
        (np.ones((0, 3, 9, 9)), '"data" is 0x3x9x9, the net\'s input'),
        (np.full(SHAPE, "a"), '"data" is <U1; real numbers are expected'),
        (np.full(SHAPE, 1j), "real numbers are expected"),
        (np.full(SHAPE, np.nan), '"data" has numbers that are not finite'),
        (np.full(SHAPE, 1e300), '"data" has numbers that are not finite'),
        ({"date": np.ones(SHAPE)}, '"data", "date" does not fit the inputs data'),
        ({}, '"data" does not fit the inputs data'),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit(given: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(bmnetu.UsageError, match=sentence):
        compiled(tmp_path / "out", cmp_data=given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "arrays", "sentence"),
    [
        ("a.npy", np.ones((5, 3, 9, 8)), "the net's input requires Nx3x9x9"),
        ("a.npy", np.full(SHAPE, "a"), "numbers are expected"),
        ("a.npy", np.full(SHAPE, np.inf), "has numbers that are not finite"),
        ("a.npz", {"b": np.ones(SHAPE), "c": np.ones(SHAPE)}, 'has no array "data"'),
        ("a.txt", None, "is neither an image"),
        ("gone.png", None, "no such file"),
        ("a.png", None, "cannot be read as an image"),
    ],
)
def test_files_that_do_not_fit(
    name: str, arrays: Any, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if isinstance(arrays, dict):
        np.savez(path, allow_pickle=False, **cast(dict[str, Array], arrays))
    elif arrays is not None:
        np.save(path, arrays)
    elif name.startswith("a"):
        path.write_text("text")
    model, weight = FILES["FP32"]
    words = [f"-model={PIPELINE / model}", f"-weight={PIPELINE / 'Inputs' / weight}"]
    words.append("-shapes=[5,3,9,9]")
    assert main([*words, f"-outdir={tmp_path / 'out'}", f"-cmp_data={path}"]) == 3
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert str(path) in error


def test_the_flags_of_images_are_only_for_it(tmp_path: Path) -> None:
    with pytest.raises(bmnetu.UsageError, match="-mean, -scale: only with -cmp_data"):
        compiled(tmp_path, mean=(1,), scale=2)
