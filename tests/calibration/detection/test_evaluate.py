"""Evaluation of a whole SSD: its detections in FP32 and INT8, and against annotations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import bmnetu
from bmnetu.calibration.detection.boxes import by_image
from bmnetu.calibration.evaluate import Evaluation
from bmnetu.cli import calibrate_main
from bmnetu.errors import AccuracyError, UsageError
from tests.calibration.detection.nets import CLASSES, DETECTION, conv, ssd
from tests.calibration.harness import Calibrated, Files, data_layer, layer

SIZE = (48, 36)
COUNT, BATCH = 5, 2
NAMES = "\n".join(f"c{label}" for label in range(1, CLASSES))
Flags = Mapping[str, Any]
CONTRACT: Flags = {"mean": 128, "scale": 0.02}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    """A calibrated SSD of batch 2, five pictures in ``jpg`` and the classes in ``names``."""
    folder = tmp_path_factory.mktemp("ssd")
    random = np.random.default_rng(3)
    (folder / "jpg").mkdir()
    for i in range(COUNT):
        pixels = random.integers(0, 256, (*SIZE[::-1], 3), np.uint8)
        Image.fromarray(pixels).save(folder / "jpg" / f"p{i}.png")
    (folder / "names").write_text(NAMES)
    return Files.of(folder, ssd(BATCH)).calibrate(folder / "jpg", **CONTRACT)


def evaluated(
    found: Calibrated, lines: list[str] | None = None, data: str = "jpg", **flags: Any
) -> Evaluation:
    paths = (found.files.model, found.files.weight, found.result.prototxt, found.result.umodel)
    report = [] if lines is None else lines
    return bmnetu.evaluate(*paths, found.files.folder / data, report=report.append, **flags)


def images_of(found: Calibrated) -> list[Any]:
    """The pictures as inputs, in batches; the last one is filled up."""
    folder = found.files.folder / "jpg"
    pictures = [Image.open(folder / f"p{i % COUNT}.png") for i in range(-(-COUNT // BATCH) * BATCH)]
    pixels = [np.asarray(each.resize((24, 24), Image.Resampling.BILINEAR)) for each in pictures]
    arrays = np.stack(pixels).astype(np.float32).transpose(0, 3, 1, 2)[:, ::-1]
    inputs = (arrays - 128) * np.float32(0.02)
    return [inputs[i : i + BATCH] for i in range(0, len(inputs), BATCH)]


def fp32_detections(found: Calibrated) -> list[list[tuple[int, float, list[float]]]]:
    """Class, score and box of every picture."""
    rows: list[list[tuple[int, float, list[float]]]] = []
    for batch in images_of(found):
        output = found.float_outputs({"data": batch})[DETECTION]
        for each in by_image(output, BATCH, False):
            rows.append(
                list(zip(each.labels.tolist(), each.scores.tolist(), each.boxes.tolist(),
                         strict=True))
            )  # fmt: skip
    return rows[:COUNT]


def annotate(found: Calibrated, shift: float = 0.0) -> None:
    """What FP32 detects is what is there, in ``xml`` and in ``coco.json``; moved to the right by a
    part of the picture."""
    folder = found.files.folder
    (folder / "xml").mkdir(exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i, rows in enumerate(fp32_detections(found)):
        images.append({"id": i, "file_name": f"p{i}.png", "width": SIZE[0], "height": SIZE[1]})
        text = ""
        for label, _, box in rows:
            left, top, right, bottom = (
                x * side for x, side in zip(np.add(box, [shift, 0] * 2), SIZE * 2, strict=True)
            )
            annotations.append({"id": len(annotations), "image_id": i, "category_id": 10 * label,
                                "bbox": [left, top, right - left, bottom - top]})  # fmt: skip
            corners = {"xmin": left, "ymin": top, "xmax": right, "ymax": bottom}
            box_text = "".join(f"<{name}>{x}</{name}>" for name, x in corners.items())
            text += f"<object><name>c{label}</name><bndbox>{box_text}</bndbox></object>"
        (folder / "xml" / f"p{i}.xml").write_text(f"<annotation>{text}</annotation>")
    categories = [{"id": 10 * label, "name": f"c{label}"} for label in range(1, CLASSES)]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(whole))


def test_detections_are_compared_and_rows_have_no_cosine(found: Calibrated) -> None:
    lines: list[str] = []
    evaluation = evaluated(found, lines)
    assert evaluation.samples == COUNT
    assert not evaluation.outputs
    (score,) = evaluation.detections
    expected = sum(score > 0.5 for rows in fp32_detections(found) for _, score, _ in rows)
    assert score.matches.fp32 == expected > 20
    assert score.matches.close >= 0.9 * expected
    assert score.precision == {}
    assert not any("cosine" in line for line in lines)
    assert f'output "{DETECTION}": {expected} detections with a score above 0.5' in "".join(lines)


def test_what_fp32_detects_is_found_by_fp32(found: Calibrated) -> None:
    annotate(found)
    folder, lines = found.files.folder, list[str]()
    coco = evaluated(found, lines, annotations=folder / "coco.json")
    voc = evaluated(found, annotations=folder / "xml", label_map=folder / "names")
    assert voc == coco
    (score,) = coco.detections
    for iou in ("0.5", "0.5:0.95"):
        accuracy = score.precision[iou]
        assert accuracy.fp32 == pytest.approx(100)
        assert 80 < accuracy.int8 <= 100
        line = f"mAP at IoU {iou} FP32 100.00 %, INT8 {accuracy.int8:.2f} %"
        assert any(line in each for each in lines)
    annotate(found, 0.2)
    moved = evaluated(found, annotations=folder / "coco.json").detections[0].precision
    assert moved["0.5:0.95"].fp32 < 60


def test_the_same_on_any_number_of_workers_and_fewer_pictures(found: Calibrated) -> None:
    annotate(found)
    flags: Flags = {"annotations": found.files.folder / "coco.json"}
    assert evaluated(found, workers=2, **flags) == evaluated(found, **flags)
    few = evaluated(found, iterations=1, **flags)
    assert (few.samples, few.detections[0].precision["0.5"].fp32) == (2, pytest.approx(100))


def broken(found: Calibrated, folder: Path) -> Calibrated:
    """Its INT8 net has other boxes: the locations of one head are biased."""
    message = found.message()
    (head,) = [each for each in message.layer if each.name == "Convolution_a_loc"]
    head.blobs[1].int32_data[:] = [32767] * len(head.blobs[1].int32_data)
    umodel = folder / "broken.int8umodel"
    umodel.write_bytes(message.SerializeToString())
    result = type(found.result)(umodel, found.result.prototxt, {}, ())
    return Calibrated(found.files, result, [])


def test_thresholds(found: Calibrated, tmp_path: Path) -> None:
    annotate(found)
    flags: Flags = {"annotations": found.files.folder / "coco.json"}
    other = broken(found, tmp_path)
    evaluated(found, max_drop=30, **flags)
    with pytest.raises(AccuracyError, match=r"points of mAP at IoU 0.5, -max_drop=30 is allowed"):
        evaluated(other, max_drop=30, **flags)
    with pytest.raises(AccuracyError, match=r"-min_iou=0.5 is expected"):
        evaluated(other, min_iou=0.5)


def test_the_command_line(
    found: Calibrated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotate(found)
    other = broken(found, tmp_path)
    words = ["eval", f"-model={found.files.model}", f"-weight={found.files.weight}",
             f"-int8_model={other.result.prototxt}", f"-int8_weight={other.result.umodel}",
             f"-data={found.files.folder / 'jpg'}"]  # fmt: skip
    assert calibrate_main([*words, f"-annotations={found.files.folder / 'coco.json'}"]) == 0
    assert "mAP at IoU 0.5:0.95 FP32 100.00 %" in capsys.readouterr().out
    assert calibrate_main([*words, "-min_iou=0.9"]) == 5
    assert calibrate_main([*words, "-min_iou=0.3"]) == 2
    assert calibrate_main([*words, f"-annotations={tmp_path / 'none.json'}"]) == 3
    assert "none.json: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"min_cosine": 0.9}, "-min_cosine: all outputs are detections"),
        ({"max_drop": 1}, f'-max_drop: output "{DETECTION}" is detections: -annotations has to'),
        ({"label_map": "names"}, "-label_map: names the classes of -annotations"),
        ({"annotations": "none", "data": "data.npy"}, "-annotations: .* has no pictures with name"),
    ],
)
def test_flags_that_do_not_fit(found: Calibrated, flags: Flags, said: str) -> None:
    np.save(found.files.folder / "data.npy", np.concatenate(images_of(found)))
    with pytest.raises(UsageError, match=said):
        evaluated(found, **flags)


def test_other_outputs_are_compared_as_ever(tmp_path: Path) -> None:
    """Outputs behind a detection that only move its rows are detections as well."""
    tail = layer("Reshape", DETECTION, "rows", "reshape_param { shape { dim: -1 dim: 7 } }")
    order = "permute_param { order: 0 order: 1 order: 3 order: 2 }"
    tail += layer("Permute", DETECTION, "columns", order) + layer("TanH", "c2", "t")
    files = Files.of(tmp_path, ssd() + tail)
    calibrated = files.calibrate(files.samples(4))
    np.savez(tmp_path / "test.npz", allow_pickle=False, **files.samples(3, seed=5))
    evaluation = evaluated(calibrated, data="test.npz")
    assert [each.name for each in evaluation.detections] == ["rows"]
    assert {each.name for each in evaluation.outputs} == {"columns", "t"}
    assert evaluated(calibrated, data="test.npz", min_cosine=0.1).samples == 3


def test_a_net_without_detections(tmp_path: Path) -> None:
    settings = "convolution_param { num_output: 3 kernel_size: 5 }"
    files = Files.of(tmp_path, data_layer(1, 3, 6, 6) + layer("Convolution", "data", "c", settings))
    calibrated = files.calibrate(files.samples(4))
    for flag, value in (("annotations", "x"), ("min_iou", 0.9)):
        flags: Flags = {flag: value}
        with pytest.raises(UsageError, match=f"-{flag}: no output of the net is detections"):
            evaluated(calibrated, data="data.npz", **flags)


ANCHORS = " ".join(f"biases: {x}" for x in (1.0, 1.5, 2.0, 1.2))
PIXELS = " ".join(f"biases: {x}" for x in (8, 6, 10, 12))
YOLO = {
    "YoloDetectionOutput": "yolo_detection_output_param { num_classes: 3 num_box: 2"
    f" confidence_threshold: 0.05 nms_threshold: 0.45 {ANCHORS} }}",
    "Yolov3DetectionOutput": "yolov3_detection_output_param { num_classes: 3 num_box: 2"
    " confidence_threshold: 0.05 nms_threshold: 0.45 mask_group_num: 1 anchors_scale: 4"
    f" mask: 0 mask: 1 {PIXELS} }}",
}


@pytest.mark.parametrize("kind", YOLO)
def test_yolo(tmp_path: Path, kind: str) -> None:
    """YOLOv3 gives centres and sizes, and has no class for the background."""
    text = data_layer(1, 3, 16, 16) + conv("data", "c", 8, 2) + conv("c", "heads", 16, 2)
    files = Files.of(tmp_path, text + layer(kind, "heads", "d", YOLO[kind]))
    calibrated = files.calibrate(files.samples(6), layer_table=True, sensitivity=True)
    assert {"heads"} <= {row.blob for row in calibrated.result.layers}
    assert "d" not in {row.blob for row in calibrated.result.layers}
    np.savez(tmp_path / "test.npz", allow_pickle=False, **files.samples(4, seed=5))
    (score,) = evaluated(calibrated, data="test.npz").detections
    assert score.matches.fp32 > 5
    assert score.matches.matched >= 0.8 * score.matches.fp32
    assert score.matches.mean_iou > 0.8
