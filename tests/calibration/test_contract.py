"""The contract of a calibration: by flags, by the prototxt, printed, recorded and obeyed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.calibration.data.transform import from_record
from bmnetu.errors import InputFileError, UsageError
from bmnetu.frontend import generate_umodel
from bmnetu.frontend.weights.weight_file import read_weights
from dialects.constant import Array
from tests.calibration.harness import Calibrated, Files, data_layer, layer

RGB = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3)).astype(np.uint8)
PLANES = RGB[:, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32)
TRANSFORM = "transform_param { mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5 }"
FLAGS = ("resize", "crop", "color", "mean", "scale")


def files(folder: Path, transform: str = "", inputs: str = "data") -> Files:
    text = "".join(
        data_layer(1, 3, 8, 10, name=name).replace(" }\n", f" {transform} }}\n")
        for name in inputs.split()
    )
    return Files.of(folder, text + "".join(layer("TanH", name, f"t_{name}")
                                           for name in inputs.split()))  # fmt: skip


def images(folder: Path) -> Path:
    (folder / "images").mkdir()
    for index, pixels in enumerate(RGB):
        Image.fromarray(pixels).save(folder / "images" / f"{index}.png")
    return folder / "images"


def array(folder: Path, samples: Array = PLANES) -> Path:
    np.save(folder / "x.npy", samples)
    return folder / "x.npy"


def contract(found: Calibrated) -> Preprocess | None:
    """What the umodel records."""
    record = read_weights(found.result.umodel).preprocess
    return None if record is None else from_record(record)


def largest(found: Calibrated) -> float:
    return found.result.thresholds["data"]


def calibrated(folder: Path, data: Path, transform: str = "", **flags: Any) -> Calibrated:
    return files(folder, transform).calibrate(data, th_method="MAX", **flags)


def test_images_have_a_contract_without_any_flag(tmp_path: Path) -> None:
    found = calibrated(tmp_path, images(tmp_path))
    assert contract(found) == Preprocess((8, 10), (), "bgr", (0,), (1,))
    assert found.lines[0] == "preprocess: resize 8x10, color bgr, mean 0, scale 1"
    assert largest(found) == PLANES.max()


def test_arrays_are_the_inputs(tmp_path: Path) -> None:
    found = calibrated(tmp_path, array(tmp_path, PLANES / 100 - 1))
    assert contract(found) is None
    assert found.lines[0] == "preprocess: none, the arrays are the inputs"
    assert largest(found) == np.abs(PLANES / 100 - 1).max()


@pytest.mark.parametrize("data", [images, array])
def test_flags_are_obeyed_recorded_and_told(tmp_path: Path, data: Any) -> None:
    found = calibrated(tmp_path, data(tmp_path), mean=(9, 200, 7), scale=(-0.5,), color="bgr")
    assert contract(found) == Preprocess((8, 10), (), "bgr", (9, 200, 7), (-0.5,))
    assert found.lines[0].endswith("color bgr, mean 9,200,7, scale -0.5")
    standard = (PLANES - np.array([9, 200, 7]).reshape(3, 1, 1)) * -0.5
    assert largest(found) == np.abs(standard).max()


def test_the_prototxt_is_obeyed(tmp_path: Path) -> None:
    found = calibrated(tmp_path, images(tmp_path), TRANSFORM)
    assert contract(found) == Preprocess((8, 10), (), "bgr", (104, 117, 123), (0.5,))
    standard = (PLANES - np.array([104, 117, 123]).reshape(3, 1, 1)) * 0.5
    assert largest(found) == np.abs(standard).max()
    assert not found.notes()


def test_each_flag_goes_before_the_prototxt_with_a_note(tmp_path: Path) -> None:
    found = calibrated(tmp_path, images(tmp_path), TRANSFORM, scale=2, color="rgb")
    assert contract(found) == Preprocess((8, 10), (), "rgb", (104, 117, 123), (2,))
    (note, *_) = found.notes()
    assert note.startswith("note: -scale goes before what transform_param says (")
    assert 'layer "data"' in note


def test_a_flag_that_says_the_same_needs_no_note(tmp_path: Path) -> None:
    assert not calibrated(tmp_path, images(tmp_path), TRANSFORM, scale=0.5).notes()


def test_the_prototxt_does_not_change_arrays(tmp_path: Path) -> None:
    found = calibrated(tmp_path, array(tmp_path), TRANSFORM)
    assert contract(found) is None
    assert largest(found) == PLANES.max()
    (note,) = found.notes()
    assert "arrays are fed as they are, transform_param has no effect" in note


def test_flags_for_arrays_leave_the_prototxt_out(tmp_path: Path) -> None:
    found = calibrated(tmp_path, array(tmp_path), TRANSFORM, scale=0.25)
    assert contract(found) == Preprocess((8, 10), (), "bgr", (0,), (0.25,))


def test_arrays_of_other_sizes_are_resized_and_cropped(tmp_path: Path) -> None:
    samples = np.pad(PLANES, ((0, 0), (0, 0), (2, 2), (1, 1)), constant_values=250)
    found = calibrated(tmp_path, array(tmp_path, samples), crop="8x10", mean=255)
    assert largest(found) == (255 - PLANES).max()


def test_gen_umodel_keeps_the_transform(tmp_path: Path) -> None:
    made = files(tmp_path, TRANSFORM)
    umodel, prototxt = generate_umodel(made.model, made.weight, tmp_path / "gen")
    found = Files(tmp_path, prototxt, umodel).calibrate(images(tmp_path))
    assert contract(found) == Preprocess((8, 10), (), "bgr", (104, 117, 123), (0.5,))


def test_the_record_is_not_in_the_prototxt(tmp_path: Path) -> None:
    found = calibrated(tmp_path, images(tmp_path), TRANSFORM)
    assert "preprocess" not in found.result.prototxt.read_text()
    assert "transform_param" in found.result.prototxt.read_text()
    found.load()


def test_several_inputs_take_no_contract(tmp_path: Path) -> None:
    made = files(tmp_path, TRANSFORM, "data more")
    found = made.calibrate(made.samples())
    assert contract(found) is None
    expected = "transform_param has no effect: the net has several inputs [unused-transform]"
    assert found.notes() == [f"note: {expected}"]
    with pytest.raises(UsageError, match="-mean: the net has 2 inputs, one is expected"):
        made.calibrate(made.samples(), mean=1)


def test_a_transform_that_does_not_fit_names_the_layer(tmp_path: Path) -> None:
    wrong = 'transform_param { mean_file: "mean.binaryproto" }'
    with pytest.raises(InputFileError, match=r'net.prototxt: layer "data": mean_file .*mean_value'):
        calibrated(tmp_path, images(tmp_path), wrong)
    with pytest.raises(InputFileError, match=r'layer "data": crop 5x5 does not make'):
        calibrated(tmp_path, tmp_path / "images", "transform_param { crop_size: 5 }")


def test_flags_that_do_not_fit_are_named(tmp_path: Path) -> None:
    data = images(tmp_path)
    for transform in ("", TRANSFORM):
        with pytest.raises(UsageError, match="-mean, -scale: mean has 2 values"):
            calibrated(tmp_path, data, transform, mean=(1, 2), scale=3)


def test_a_flag_can_complete_the_prototxt(tmp_path: Path) -> None:
    found = calibrated(tmp_path, images(tmp_path), "transform_param { resize: 9 }", crop="8x10")
    assert contract(found) == Preprocess((9,), (8, 10), "bgr", (0,), (1,))


def test_bad_data_leave_a_result_as_it_was(tmp_path: Path) -> None:
    data = images(tmp_path)
    before = calibrated(tmp_path, data).result
    kept = before.umodel.read_bytes(), before.prototxt.read_bytes()
    whole = (data / "1.png").read_bytes()
    (data / "1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputFileError, match=r"1\.png: cannot be read as an image: "):
        calibrated(tmp_path, data, mean=5)
    assert (before.umodel.read_bytes(), before.prototxt.read_bytes()) == kept
    assert len(list(before.umodel.parent.iterdir())) == 2


@pytest.mark.parametrize("name", FLAGS)
def test_flags_are_checked(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}='no' *: -{name} requires"):
        calibrated(tmp_path, images(tmp_path), **{name: "no"})
