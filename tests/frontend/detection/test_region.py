"""The activations of YOLO's heads: Region and RegionYolo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bmnetu
from bmnetu.errors import BmnetuError, InputFileError, UnsupportedError
from tests.frontend.samples import data, layer, loaded, run, written

Array = NDArray[Any]
CLASSES, BOXES = 3, 2


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    power = np.exp(x - x.max())
    return power / power.sum()


def noise(shape: tuple[int, ...]) -> Array:
    """What ``run`` gives the input."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32).astype(np.float64)


def activated(x: Array, coords: int = 4, classes: int = CLASSES) -> Array:
    """Darknet's activation, box by box."""
    found = x.copy()
    size = coords + 1 + classes
    for image, box, row, column in np.ndindex(len(x), x.shape[1] // size, *x.shape[2:]):
        values = found[image, box * size : (box + 1) * size, row, column]
        values[:2] = sigmoid(values[:2])
        values[coords] = sigmoid(values[coords])
        values[coords + 1 :] = softmax(values[coords + 1 :])
    return found


def by_cell(x: Array, softmaxed: bool) -> Array:
    """The numbers of a cell together, cell by cell, in the shape of the map."""
    rows = np.moveaxis(x, 1, -1).copy()
    for values in rows.reshape(-1, 5 + CLASSES):
        values[4] = sigmoid(values[4])
        if softmaxed:
            values[5:] = softmax(values[5:])
    return rows.reshape(x.shape)


def result(folder: Path, shape: tuple[int, ...], kind: str, rest: str) -> Array:
    return run(loaded(folder, data(*shape) + layer(kind, rest)))["l"]


def param(more: str = "num: 2", classes: int = CLASSES) -> str:
    return f"region_param {{ classes: {classes} {more} }}"


@pytest.mark.parametrize("more", [
    "num: 2", "num: 2 coords: 4 softmax: true", 'num: 2 anchors: "1.08,1.19,  3.42,4.41"',
])  # fmt: skip
@pytest.mark.parametrize("shape", [(1, 16, 4, 4), (2, 16, 3, 5)])
def test_region_of_darknet(tmp_path: Path, shape: tuple[int, ...], more: str) -> None:
    found = result(tmp_path, shape, "Region", param(more))
    np.testing.assert_allclose(found, activated(noise(shape)), rtol=1e-5)


def test_other_counts(tmp_path: Path) -> None:
    shape = (1, 3 * (5 + 1 + 7), 2, 6)
    found = result(tmp_path, shape, "Region", param("num: 3 coords: 5", 7))
    np.testing.assert_allclose(found, activated(noise(shape), 5, 7), rtol=1e-5)


@pytest.mark.parametrize(("more", "softmaxed"), [("softmax: true", True), ("", False)])
def test_region_by_cell(tmp_path: Path, more: str, softmaxed: bool) -> None:
    shape = (2, 16, 3, 5)
    found = result(tmp_path, shape, "Region", param(f"boxes_of_each_grid: 2 {more}"))
    np.testing.assert_allclose(found, by_cell(noise(shape), softmaxed), rtol=1e-5)


@pytest.mark.parametrize(("flatten", "top"), [
    ("", (2, 240)), ("flatten_param { axis: 1 end_axis: 2 }", (2, 48, 5)),
])  # fmt: skip
def test_region_yolo(tmp_path: Path, flatten: str, top: tuple[int, ...]) -> None:
    shape = (2, 16, 3, 5)
    rest = f"region_yolo_param {{ classes: 3 num: 2 anchors: 1 anchors: 2 }} {flatten}"
    found = result(tmp_path, shape, "RegionYolo", rest)
    np.testing.assert_allclose(found, activated(noise(shape)).reshape(top), rtol=1e-5)


def test_region_yolo_of_the_third_version(tmp_path: Path) -> None:
    shape = (1, 16, 3, 5)
    rest = "region_yolo_param { classes: 3 num: 9 do_softmax: false mask: 0 mask: 1 }"
    found = result(tmp_path, shape, "RegionYolo", rest).reshape(2, 8, 3, 5)
    x = noise(shape).reshape(2, 8, 3, 5)
    np.testing.assert_array_equal(found[:, 2:4], x[:, 2:4].astype(np.float32))
    rest_of = [0, 1, 4, 5, 6, 7]
    np.testing.assert_allclose(found[:, rest_of], sigmoid(x[:, rest_of]), rtol=1e-5)


@pytest.mark.parametrize(("kind", "rest", "sentence"), [
    ("Region", param(""), "one of num and boxes_of_each_grid is required"),
    ("Region", param("num: 2 boxes_of_each_grid: 2"), "one of num and boxes_of_each_grid"),
    ("Region", param("num: 2 softmax: false"), "softmax: false has two meanings"),
    ("Region", param("num: 2 coords: 2"), "coords is 2"),
    ("Region", param("num: 0"), "must be positive"),
    ("Region", param("num: 2", 0), "must be positive"),
    ("Region", param("num: 2", 4), "has 16 channels, its settings require 18"),
    ("Region", param("boxes_of_each_grid: 3"), "has 16 channels, its settings require 24"),
    ("RegionYolo", "region_yolo_param { num: -2 }", "must be positive"),
    ("RegionYolo", "region_yolo_param { coords: -4 num: 2 }", "coords is -4"),
    ("RegionYolo", "region_yolo_param { do_softmax: false num: 2 }", "requires mask"),
])  # fmt: skip
def test_refused(tmp_path: Path, kind: str, rest: str, sentence: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        loaded(tmp_path, data(1, 16, 9, 9) + layer(kind, rest))
    assert sentence in str(caught.value)
    assert 'net.prototxt:2: layer "l' in str(caught.value)


@pytest.mark.parametrize("more", [
    "num: 2 softmax_tree: true", "num: 2 background: true", "num: 2 iou_thresh: 0.5",
])  # fmt: skip
def test_fields_of_other_layers_of_this_name(tmp_path: Path, more: str) -> None:
    with pytest.raises(BmnetuError, match=r"net.prototxt:2: .*unknown field"):
        loaded(tmp_path, data(1, 16, 9, 9) + layer("Region", param(more)))


def test_bottoms(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"net.prototxt:2: .* has 2 bottom\(s\)"):
        loaded(tmp_path, data(1, 16, 9, 9) + layer("Region", 'bottom: "data" ' + param()))


def test_a_map_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="the map of a head has four axes"):
        loaded(tmp_path, data(1, 16) + layer("Region", param()))


@pytest.mark.parametrize("opt", [0, 2])
@pytest.mark.parametrize("more", ["num: 2", "boxes_of_each_grid: 2 softmax: true"])
def test_it_is_compiled(tmp_path: Path, more: str, opt: int) -> None:
    text = data(2, 3, 5, 4)
    text += layer("Convolution", "convolution_param { num_output: 16 kernel_size: 1 }", top="c")
    text += layer("Region", param(more), name="region", bottom="c", top="region")
    model, weight = written(tmp_path, text)
    made = bmnetu.compile(model, weight, tmp_path / "out", opt=opt)
    assert made.findings is not None
    assert made.findings.ok
