"""DetectionOutput as Caffe's SSD and its descendants write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bmnetu.errors import UnsupportedError
from bmnetu.frontend.layers.detection.ssd import values_of
from bmnetu.frontend.ufw_pb2 import DetectionOutputParameter
from bmnetu.supported.check import Status, check_network
from dialects.execute import execute
from dialects.host.ops import DetectionOutputOp
from dialects.ufw.layer import shape_of
from dialects.ufw.reference import evaluate
from tests.frontend.samples import DATA, layer, loaded, main_of

Array = NDArray[np.float32]
PLAIN = "num_classes: 3 code_type: CENTER_SIZE"


def inputs(boxes: int, classes: int = 3, *, loc: int = 0, prior: str = "") -> str:
    """Locations, confidences and prior boxes as inputs."""
    shapes = {"loc": f"dim: 1 dim: {loc or boxes * 4}", "conf": f"dim: 1 dim: {boxes * classes}",
              "prior": prior or f"dim: 1 dim: 2 dim: {boxes * 4}"}  # fmt: skip
    return "".join(DATA.replace("data", name) % shape for name, shape in shapes.items())


def text(param: str, head: str = "", bottoms: str = "loc conf prior") -> str:
    names = " ".join(f'bottom: "{name}"' for name in bottoms.split())
    return (head or inputs(12)) + (
        f'layer {{ name: "l" type: "DetectionOutput" {names} top: "l"'
        f" detection_output_param {{ {param} }} }}\n"
    )


def drawn(seed: int, boxes: int = 12, classes: int = 3) -> list[Array]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0.1, 0.6, (boxes, 2))
    prior = np.concatenate([corner, corner + rng.uniform(0.1, 0.3, (boxes, 2))], 1).reshape(1, -1)
    variance = np.tile([0.1, 0.1, 0.2, 0.2], boxes)[None]
    loc = rng.normal(0, 0.5, (1, boxes * 4))
    conf = rng.dirichlet(np.ones(classes), boxes).reshape(1, -1)
    arrays = [loc, conf, np.stack([prior, variance], 1)]
    return [x.astype(np.float32) for x in arrays]


def op_of(folder: Path, net: str) -> DetectionOutputOp:
    (found,) = (
        op for op in main_of(loaded(folder, net)).walk() if isinstance(op, DetectionOutputOp)
    )
    return found


def test_caffe_s_defaults(tmp_path: Path) -> None:
    values = op_of(tmp_path, text("num_classes: 3")).values
    assert {k: v for k, v in values.items() if k not in ("num_priors", "objectness_score")} == {
        "num_classes": 3, "share_location": True, "background_label_id": 0, "top_k": -1,
        "nms_threshold": pytest.approx(0.3), "code_type": 1, "keep_top_k": -1, "eta": 1,
        "confidence_threshold": -np.finfo(np.float32).max, "num_loc_classes": 1,
        "variance_encoded_in_target": False,
    }  # fmt: skip


@pytest.mark.parametrize(("param", "rows"), [
    ("keep_top_k: 5", 5), ("keep_top_k: 2000000000", 24), ("", 24),
    ("keep_top_k: 20 nms_param { top_k: 7 }", 14),
])  # fmt: skip
def test_there_are_no_more_rows_than_boxes(tmp_path: Path, param: str, rows: int) -> None:
    """12 boxes of two classes and the background, whatever keep_top_k is."""
    op = op_of(tmp_path, text(f"num_classes: 3 {param}"))
    assert shape_of(op.results[0]) == (1, 1, rows, 7)


@pytest.mark.parametrize("number", [0, 7, -2])
def test_a_code_type_that_is_none(tmp_path: Path, number: int) -> None:
    sentence = rf'prototxt:4: layer "l" .*: unknown value code_type: {number} \(it can be CORNER,'
    with pytest.raises(UnsupportedError, match=sentence):
        op_of(tmp_path, text(f"num_classes: 3 code_type: {number}"))


def test_a_code_type_by_its_number(tmp_path: Path) -> None:
    assert op_of(tmp_path, text("num_classes: 3 code_type: 2")).values["code_type"] == 2


def test_every_setting(tmp_path: Path) -> None:
    param = (
        "num_classes: 3 background_label_id: 2 nms_param { nms_threshold: 0.5 top_k: 7 eta: 0.75 }"
        " code_type: CORNER_SIZE keep_top_k: 5 variance_encoded_in_target: true"
        " confidence_threshold: 0.25 visualize: true visualize_threshold: 0.4 save_output_param {"
        ' output_directory: "/tmp/a" resize_param { prob: 1 height: 300 } }'
    )
    values = op_of(tmp_path, text(param)).values
    expected = {"background_label_id": 2, "top_k": 7, "code_type": 3, "keep_top_k": 5,
                "nms_threshold": 0.5, "eta": 0.75, "variance_encoded_in_target": True,
                "confidence_threshold": 0.25}  # fmt: skip
    assert {name: values[name] for name in expected} == expected


def test_no_background_is_a_class_that_no_box_has() -> None:
    param = DetectionOutputParameter(num_classes=4, background_label_id=-1)
    assert values_of(param)["background_label_id"] == 4


def in_order(rows: Array) -> Array:
    """By class and score: OpenCV has other orders where keep_top_k cuts."""
    return rows[np.lexsort((-rows[:, 2], rows[:, 1]))]


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["CORNER", "CENTER_SIZE"]),
    st.sampled_from(["keep_top_k: 100", "keep_top_k: 4"]),
    st.sampled_from([0.3, 0.6]),
)
def test_as_opencv(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    code: str,
    keep: str,
    overlap: float,
) -> None:
    folder = tmp_path_factory.mktemp("net")
    param = (
        f"num_classes: 3 code_type: {code} {keep} confidence_threshold: 0.2 share_location: true"
        f" background_label_id: 0 nms_param {{ nms_threshold: {overlap} top_k: 9 }}"
    )
    net, arrays = text(param), drawn(seed)
    (found,) = execute(main_of(loaded(folder, net)), arrays, evaluate)
    path = folder / "cv.prototxt"
    path.write_text(net)
    theirs = cast(Any, cv2).dnn.readNetFromCaffe(str(path))
    for name, array in zip(("loc", "conf", "prior"), arrays, strict=True):
        theirs.setInput(array, name)
    expected = np.asarray(theirs.forward("l"), np.float32).reshape(-1, 7)
    expected = expected[expected[:, 1] > 0]
    rows = np.asarray(found).reshape(-1, 7)
    rows = rows[~np.isnan(rows[:, 1]) & (rows[:, 1] >= 0)]
    np.testing.assert_allclose(in_order(rows), in_order(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("param", "sentence"),
    [
        ("code_type: CORNER", "num_classes is required"),
        ("num_classes: 3 share_location: false", "share_location: false, locations a class"),
        ("num_classes: 3 normalized: false", "normalized: false"),
        ("num_classes: 3 clip: true", "clip: true"),
        ("num_classes: 4", "conf is 1x36"),
        ("num_classes: 3 nms_param { eta: 0 }", "eta is 0"),
        ("num_classes: 3 nms_param { top_k: 0 }", "top_k is 0, so it finds nothing"),
        ("num_classes: 3 keep_top_k: 0", "keep_top_k is 0, it must be positive"),
        ("num_classes: 3 nms_param { nms_threshold: 45 }", "nms_threshold is 45"),
    ],
)
def test_refused(tmp_path: Path, param: str, sentence: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        loaded(tmp_path, text(param))
    message = str(caught.value)
    assert sentence in message, message
    assert 'net.prototxt:4: layer "l" (DetectionOutput)' in message


def test_the_prior_boxes_shape(tmp_path: Path) -> None:
    head = inputs(12, prior="dim: 1 dim: 1 dim: 96")
    with pytest.raises(UnsupportedError, match="prior boxes are 1x1x96, 1x2x48 is required"):
        loaded(tmp_path, text(PLAIN, head))
    with pytest.raises(UnsupportedError, match="prior boxes are 1x2x48, 1x2x40 is required"):
        loaded(tmp_path, text(PLAIN, inputs(12, loc=40)))


def priors(boxes: int, field: str = "") -> str:
    """A net whose locations are of so many boxes a cell, and its PriorBox of two."""
    prior = f"prior_box_param {{ min_size: 4 aspect_ratio: 4 flip: false {field} }}"
    return (
        DATA % "dim: 1 dim: 1 dim: 2 dim: 3"
        + inputs(6 * boxes, 2)
        + layer("PriorBox", f'bottom: "data" {prior}', name="boxes", top="boxes")
        + layer("DetectionOutput", 'bottom: "conf" bottom: "boxes"'
                " detection_output_param { num_classes: 2 }", bottom="loc")
    )  # fmt: skip


def test_textboxes_means_denser_boxes_without_saying_so(tmp_path: Path) -> None:
    network = loaded(tmp_path, priors(4))
    assert any("each box twice" in note for note in network.notes)
    assert network.net.layer[-2].prior_box_param.denser_prior_boxes
    assert not any("each box twice" in note for note in loaded(tmp_path, priors(2)).notes)
    (check,) = (x for x in check_network(tmp_path / "net.prototxt").layers if x.name == "l")
    assert check.status is Status.HOST
    with pytest.raises(UnsupportedError, match="denser_prior_boxes: true"):
        loaded(tmp_path, priors(4, "denser_prior_boxes: false"))
    with pytest.raises(UnsupportedError, match="1x2x48, 1x2x72 is required"):
        loaded(tmp_path, priors(3))


def test_half_as_many_prior_boxes_as_textboxes_has(tmp_path: Path) -> None:
    head = inputs(12, prior="dim: 1 dim: 2 dim: 24")
    with pytest.raises(UnsupportedError, match="denser_prior_boxes: true"):
        loaded(tmp_path, text(PLAIN, head))


def test_four_bottoms(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="4 bottoms"):
        loaded(tmp_path, text(PLAIN, bottoms="loc conf prior loc"))
