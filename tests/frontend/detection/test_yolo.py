"""The layers of YOLO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bmnetu
from bmnetu.errors import UnsupportedError
from dialects.execute import execute
from dialects.host.ops import YoloActivationOp, YoloV3DetectionOutputOp
from dialects.ufw.reference import evaluate
from tests.frontend.samples import DATA, data, layer, loaded, main_of, written

Array = NDArray[np.float32]
BIASES = (1.5, 1.0, 3.0, 4.0)
CLASSES = 3


def param(classes: int = CLASSES, more: str = "") -> str:
    biases = " ".join(f"biases: {x}" for x in BIASES)
    return (
        f"yolo_detection_output_param {{ num_classes: {classes} num_box: 2 {biases}"
        f" confidence_threshold: 0.2 nms_threshold: 0.45 {more} }}"
    )


Box = tuple[int, float, NDArray[Any]]
"""Label, score and corners."""


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    return 1 / (1 + np.exp(-x))


def candidates(head: Array, classes: int) -> list[Box]:
    """Label, score and corners of every box of one image's head above the threshold: the formulas
    of YOLOv2's paper, with labels from 1."""
    rows, columns = head.shape[1:]
    found: list[Box] = []
    for n in range(2):
        box = head.reshape(2, 5 + classes, rows, columns)[n]
        for y in range(rows):
            for x in range(columns):
                values = box[:, y, x].astype(np.float64)
                power = np.exp(values[5:] - values[5:].max())
                best = int(power.argmax())
                score = float(sigmoid(values[4]) * power[best] / power.sum())
                centre = np.array([(x + sigmoid(values[0])) / columns,
                                   (y + sigmoid(values[1])) / rows])  # fmt: skip
                size = np.exp(values[2:4]) * BIASES[2 * n : 2 * n + 2] / [columns, rows]
                if score > 0.2:
                    corners = np.concatenate([centre - size / 2, centre + size / 2])
                    found.append((best + 1, score, corners))
    return found


def overlap(a: NDArray[Any], b: NDArray[Any]) -> float:
    size = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    areas = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])
    return float(size.prod() / (areas - size.prod()))


def expected(heads: list[Array], classes: int) -> Array:
    """The rows of a batch; boxes of one class that overlap do not stand together."""
    rows: list[list[float]] = []
    for image in range(len(heads[0])):
        found = [each for head in heads for each in candidates(head[image], classes)]
        kept: list[Box] = []
        for label, score, box in sorted(found, key=lambda each: -each[1]):
            if all(label != other or overlap(box, b) <= 0.45 for other, _, b in kept):
                kept.append((label, score, box))
        rows += [[image, label, score, *box] for label, score, box in kept]
    return np.array(sorted(rows, key=lambda row: (row[0], row[1], -row[2])), np.float32)


def head(seed: int, rows: int, columns: int, classes: int = CLASSES, batch: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1.5, (batch, 2 * (5 + classes), rows, columns)).astype(np.float32)


def rows_of(found: object) -> Array:
    rows = np.asarray(found, np.float32).reshape(-1, 7)
    return rows[~np.isnan(rows[:, 0])]


@pytest.mark.parametrize(
    ("size", "classes", "batch"), [((4, 4), 3, 1), ((3, 5), 3, 2), ((6, 2), 1, 1)]
)
def test_yolov2(tmp_path: Path, size: tuple[int, int], classes: int, batch: int) -> None:
    x = head(5, *size, classes, batch)
    text = data(*x.shape) + layer("YoloDetectionOutput", param(classes))
    (found,) = execute(main_of(loaded(tmp_path, text)), [x], evaluate)
    rows = expected([x], classes)
    assert len(rows) > 4
    np.testing.assert_allclose(rows_of(found), rows, atol=2e-5)


def test_yolov2_with_two_heads(tmp_path: Path) -> None:
    one, two = head(1, 2, 2), head(2, 4, 4)
    shapes = {"one": one.shape, "two": two.shape}
    text = "".join(
        DATA.replace("data", name) % " ".join(f"dim: {n}" for n in shape)
        for name, shape in shapes.items()
    )
    text += layer("YoloDetectionOutput", f'bottom: "two" {param()}', bottom="one")
    (found,) = execute(main_of(loaded(tmp_path, text)), [one, two], evaluate)
    rows = expected([one, two], CLASSES)
    np.testing.assert_allclose(rows_of(found), rows, atol=2e-5)


THREE = param(more="biases: 1 biases: 0").replace("num_box: 2", "num_box: 3")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (param(more="coords: 5"), "coords: 5 cannot be compiled"),
        (param(more="biases: 1"), "5 biases for num_box 2"),
        (THREE, "biases must be positive"),
        (param(4), "has 16 channels, its settings require 18"),
    ],
)
def test_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        loaded(tmp_path, data(1, 16, 9, 9) + layer("YoloDetectionOutput", text))
    assert sentence in str(caught.value)
    assert "net.prototxt:2" in str(caught.value)


V3 = (
    "yolov3_detection_output_param { num_classes: 3 num_box: 3 confidence_threshold: 0.25"
    " nms_threshold: 0.5 mask_group_num: 2 anchors_scale: 32 anchors_scale: 16"
    " mask: 3 mask: 4 mask: 5 mask: 0 mask: 1 mask: 2 "
    + " ".join(f"biases: {x}" for x in (10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319))
    + " }"
)


def v3(text: str = V3) -> str:
    shapes = {"big": "dim: 1 dim: 24 dim: 2 dim: 2", "fine": "dim: 1 dim: 24 dim: 4 dim: 4"}
    inputs = "".join(DATA.replace("data", name) % shape for name, shape in shapes.items())
    return inputs + layer("Yolov3DetectionOutput", f'bottom: "fine" {text}', bottom="big")


def test_yolov3(tmp_path: Path) -> None:
    (op,) = (
        each for each in main_of(loaded(tmp_path, v3())).walk()
        if isinstance(each, YoloV3DetectionOutputOp)
    )  # fmt: skip
    values = op.values
    expected = {"num_inputs": 2, "num_classes": 3, "num_boxes": 3, "mask_group_size": 3}
    assert {name: values[name] for name in expected} == expected
    assert values["mask"] == (3, 4, 5, 0, 1, 2, 0, 0, 0)
    assert values["anchors_scale"] == (32, 16, 0)
    assert values["biases"][:4] == (10, 14, 23, 27)
    assert (values["confidence_threshold"], values["nms_threshold"]) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("mask_group_num: 2", "mask_group_num: 1", "mask_group_num is 1, there are 2 bottoms"),
        ("anchors_scale: 16", "", "1 anchors_scale for 2 bottoms"),
        ("mask: 2 ", "", "5 mask for 2 groups"),
        ("mask: 2 ", "mask: 6 ", "mask 6 names no anchor, biases has 6"),
        ("biases: 319", "", "11 biases"),
        ("num_box: 3", "num_box: 4", "num_box is 4"),
        ("num_classes: 3", "num_classes: 4", "24"),
        ("mask: 2 ", "mask: 2 mask: 0 mask: 0 mask: 0 mask: 0 ", "more than 9 anchors"),
    ],
)
def test_yolov3_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        loaded(tmp_path, v3(V3.replace(old, new)))
    assert sentence in str(caught.value)


def test_the_activation(tmp_path: Path) -> None:
    text = data(1, 16, 3, 3) + layer("Yolo", "yolo_param { classes: 3 num: 2 }")
    function = main_of(loaded(tmp_path, text))
    assert [each.name for each in function.walk()].count(YoloActivationOp.name) == 1
    x = head(3, 3, 3)
    (found,) = execute(function, [x], evaluate)
    boxes = x.reshape(2, 8, 3, 3)
    result = np.asarray(found).reshape(boxes.shape)
    np.testing.assert_allclose(result[:, [0, 1, 4, 5]], sigmoid(boxes[:, [0, 1, 4, 5]]), rtol=1e-5)
    np.testing.assert_array_equal(result[:, 2:4], boxes[:, 2:4])


@pytest.mark.parametrize("opt", [0, 2])
def test_the_heads_of_yolov2_are_compiled(tmp_path: Path, opt: int) -> None:
    text = data(1, 3, 4, 4)
    text += layer("Convolution", "convolution_param { num_output: 16 kernel_size: 1 }", top="c")
    text += layer("YoloDetectionOutput", param(), name="boxes", bottom="c", top="boxes")
    model, weight = written(tmp_path, text)
    result = bmnetu.compile(model, weight, tmp_path / "out", host=False, opt=opt)
    assert result.findings is not None
    assert result.findings.ok
