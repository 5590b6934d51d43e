"""The detection example: its pictures, its training, its measure, and the whole of it in short."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bmnetu.calibration.detection.boxes import Detections
from bmnetu.frontend import load_network, write_umodel
from dialects.execute import execute
from dialects.host.detection import decoded
from dialects.meaning import evaluate
from dialects.ufw.detection.prior_box import PriorBoxOp
from examples.detect import boxes, draw, net, run, show, train
from examples.layers import Array
from examples.measure import FloatNet, IntegerNet
from examples.training import probabilities, umodel
from passes.module.functions import main_function

MODEL = run.HERE / "ssd.prototxt"
CENTER_SIZE = {"code_type": 2, "variance_encoded_in_target": False}


@pytest.fixture(scope="module")
def pictures() -> list[draw.Picture]:
    return draw.pictures(60, seed=3)


# -- pictures --------------------------------------------------------------------------------------


def test_labels_are_inside_the_pictures(pictures: list[draw.Picture]) -> None:
    assert {len(p.labels) for p in pictures} == {1, 2, 3, 4}
    assert set(np.concatenate([p.labels for p in pictures]).tolist()) == {1, 2, 3}
    for p in pictures:
        assert p.pixels.shape == (3, draw.SIDE, draw.SIDE)
        assert p.boxes.shape == (len(p.labels), 4)
        assert p.boxes.min() >= 0
        assert p.boxes.max() <= 1
        extents = (p.boxes[:, 2:] - p.boxes[:, :2]) * draw.SIDE
        assert extents.min() >= draw.SMALLEST
        assert extents.max() <= draw.LARGEST
        table = boxes.overlaps(p.boxes, p.boxes)
        np.testing.assert_array_equal(table, np.eye(len(table)))


def test_a_seed_draws_the_same(pictures: list[draw.Picture]) -> None:
    for some, same in zip(pictures, draw.pictures(60, seed=3), strict=True):
        np.testing.assert_array_equal(some.pixels, same.pixels)
        np.testing.assert_array_equal(some.labels, same.labels)
        np.testing.assert_array_equal(some.boxes, same.boxes)
    assert (draw.pictures(1, seed=4)[0].pixels != pictures[0].pixels).any()


@pytest.mark.parametrize(("label", "share"), [(1, np.pi / 4), (2, 1), (3, 1 / 2)])
def test_a_shape_fills_its_box(label: int, share: float) -> None:
    shape = draw.mask(label, np.array([5.0, 10.0, 35.0, 34.0]))
    rows, columns = np.nonzero(shape)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (5, 10, 35, 34)
    assert shape.sum() / (30 * 24) == pytest.approx(share, abs=0.02)


def test_a_mirrored_picture_has_mirrored_boxes(pictures: list[draw.Picture]) -> None:
    square = next(p for p in pictures if p.labels.tolist() == [2])
    for picture in (square, square.mirrored()):
        left, top, right, bottom = np.rint(picture.boxes[0] * draw.SIDE).astype(int)
        inside = picture.pixels[:, top:bottom, left:right].reshape(3, -1).astype(float)
        assert inside.std(axis=1).max() < 15, "one colour and noise"
    twice = square.mirrored().mirrored()
    np.testing.assert_array_equal(twice.pixels, square.pixels)
    np.testing.assert_allclose(twice.boxes, square.boxes, atol=1e-7)


# -- boxes -----------------------------------------------------------------------------------------


def test_prior_boxes_are_those_of_the_prototxt(tmp_path: Path) -> None:
    module = load_network(MODEL, weights(tmp_path), max_n=1).module
    priors = [op.boxes() for op in main_function(module).walk() if isinstance(op, PriorBoxOp)]
    corners, variances = np.concatenate(priors, axis=2).reshape(2, -1, 4)
    np.testing.assert_allclose(boxes.prior_boxes(), corners, atol=1e-6)
    np.testing.assert_allclose(variances, np.broadcast_to(boxes.VARIANCES, variances.shape))


def test_decoding_inverts_matching_and_encoding(pictures: list[draw.Picture]) -> None:
    priors = boxes.prior_boxes()
    variances = np.broadcast_to(boxes.VARIANCES, priors.shape)
    for p in pictures:
        labels, locations = boxes.match(p.labels, p.boxes, priors)
        found = decoded(CENTER_SIZE, locations, priors, variances)
        shares = boxes.overlaps(found[labels > 0], p.boxes)
        np.testing.assert_allclose(shares.max(axis=1), 1, atol=1e-4)
        np.testing.assert_array_equal(labels[labels > 0], p.labels[shares.argmax(axis=1)])
        assert set(shares.argmax(axis=1).tolist()) == set(range(len(p.labels))), "none is left out"


def test_the_best_prior_box_stands_for_a_shape_in_any_case() -> None:
    priors = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 0.4, 0.5]], np.float32)
    far = np.array([[0.8, 0.8, 1, 1], [0, 0, 0.5, 0.5]], np.float32)
    assert boxes.overlaps(priors, far)[1, 0] < boxes.ENOUGH
    labels, _ = boxes.match(np.array([3, 1]), far, priors)
    assert labels.tolist() == [1, 3, 1]


def test_overlaps_by_hand() -> None:
    some = np.array([[0, 0, 2, 2], [5, 5, 6, 6]], np.float32)
    others = np.array([[1, 0, 3, 2], [0, 0, 1, 1], [2, 0, 3, 2]], np.float32)
    np.testing.assert_allclose(boxes.overlaps(some, others), [[1 / 3, 1 / 4, 0], [0, 0, 0]])


# -- training --------------------------------------------------------------------------------------


def slope(array: Array, way: Array, value: Callable[[], float], step: float) -> float:
    """How fast the value grows as the array moves that way."""
    start = array.copy()
    found: list[float] = []
    for factor in (step, -step):
        array[:] = start + factor * way
        found.append(value())
    array[:] = start
    return (found[0] - found[1]) / (2 * step)


def test_the_gradients_of_the_loss_are_slopes() -> None:
    random = np.random.default_rng(0)
    labels = np.array([[0, 1, 0, 0, 0, 0], [2, 0, 0, 3, 0, 0]])
    loc, targets = random.normal(0, 1.5, (2, 2, 6, 4))
    conf = random.normal(0, 1, (2, 6, 4))
    _, *gradients = train.loss(loc, conf, labels, targets)
    assert (np.abs(loc - targets)[labels > 0] > 1).any(), "both parts of smooth L1"
    for array, gradient in zip((loc, conf), gradients, strict=True):
        for _ in range(5):
            way = random.uniform(-1, 1, array.shape)
            found = slope(array, way, lambda: train.loss(loc, conf, labels, targets)[0], 1e-6)
            assert found == pytest.approx(float(np.sum(gradient * way)), rel=1e-4)


def test_the_loss_by_hand() -> None:
    """One box with a shape, whose location is off by 0.5 and by 2; all classes equally likely."""
    labels = np.array([[1, 0]])
    loc = np.array([[[0.5, -2, 0, 0], [9, 9, 9, 9]]], np.float32)
    conf = np.zeros((1, 2, 4), np.float32)
    value, by_loc, by_conf = train.loss(loc, conf, labels, np.zeros((1, 2, 4), np.float32))
    assert value == pytest.approx(0.125 + 1.5 + 2 * np.log(4), rel=1e-5)
    np.testing.assert_allclose(by_loc, [[[0.5, -1, 0, 0], [0, 0, 0, 0]]])
    np.testing.assert_allclose(by_conf, np.full((1, 2, 4), 0.25) - np.eye(4)[labels])


def test_hard_negatives_are_three_for_each_shape() -> None:
    entropy = np.array([[9, 1, 5, 3, 4, 2], [1, 2, 3, 4, 5, 6]], np.float32)
    shapes = np.array([[True, False, False, False, False, False], [False] * 6])
    taken = train.hard_negatives(entropy, shapes)
    assert taken.tolist() == [[False, False, True, True, True, False], [False] * 6]


def test_the_gradients_of_the_net_are_slopes(pictures: list[draw.Picture]) -> None:
    """Of every parameter, along the gradient, where the largest share of the change is."""
    random = np.random.default_rng(1)
    detector = net.Detector(random)
    for parameter in detector.parameters:
        parameter.value = parameter.value.astype(np.float64)
    x = run.inputs(pictures[:2]) / 255.0
    shapes = [result.shape for result in detector.forward(x, training=True)]
    weights = [random.normal(size=shape) for shape in shapes]

    def value() -> float:
        results = detector.forward(x, training=True)
        return sum(float(np.sum(a * b)) for a, b in zip(results, weights, strict=True))

    value()
    detector.backward(*weights)
    for parameter in detector.parameters:
        way = parameter.gradient / np.linalg.norm(parameter.gradient)
        expected = float(np.sum(parameter.gradient * way))
        assert slope(parameter.value, way, value, 1e-4) == pytest.approx(expected, rel=0.05)


def test_training_learns(pictures: list[draw.Picture]) -> None:
    random = np.random.default_rng(2)
    detector = net.Detector(random)
    before = detector.heads[0]["conv4/loc"].parameters[0].value.copy()
    lines: list[str] = []
    train.train(detector, pictures, random, steps=8, report=lines.append)
    assert (detector.heads[0]["conv4/loc"].parameters[0].value != before).all()
    priors = boxes.prior_boxes()
    fresh = train.learn(net.Detector(np.random.default_rng(2)), pictures[:32], priors)
    assert train.learn(detector, pictures[:32], priors) < 0.8 * fresh
    assert re.fullmatch(r"step 8 of 8: loss [\d.]+", lines[-1])


def weights(folder: Path, detector: net.Detector | None = None) -> Path:
    path = folder / "ssd.fp32umodel"
    detector = detector or net.Detector(np.random.default_rng(5))
    write_umodel(path, umodel("ssd", detector.layers))
    return path


def test_the_prototxt_is_the_net_that_is_trained(
    tmp_path: Path, pictures: list[draw.Picture]
) -> None:
    random = np.random.default_rng(6)
    detector = net.Detector(random)
    train.train(detector, pictures, random, steps=2, report=lambda _: None)
    seen: dict[str, Array] = {}
    module = load_network(MODEL, weights(tmp_path, detector), max_n=4).module
    x = run.inputs(pictures[:4])
    execute(main_function(module), [x], evaluate, seen.__setitem__)
    loc, conf = detector.forward(x / np.float32(255), training=False)
    np.testing.assert_allclose(seen["loc"], loc.reshape(4, -1), rtol=1e-3, atol=1e-3)
    expected = probabilities(conf.reshape(-1, 4)).reshape(4, -1)
    np.testing.assert_allclose(seen["conf/flat"], expected, rtol=1e-3, atol=1e-3)


# -- average precision -----------------------------------------------------------------------------

LEFT, RIGHT, NOWHERE = [0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0], [0.0, 0.6, 0.25, 0.9]
TRUTH = draw.Picture(
    np.zeros((3, 64, 64), np.uint8), np.array([1, 1]), np.array([LEFT, RIGHT], np.float32)
)
HALF = [0.0, 0.0, 0.5, 0.25]
LESS = [0.0, 0.0, 0.5, 0.24]


def detections(*rows: tuple[int, float, list[float]]) -> Detections:
    """Of class, score and box."""
    labels, scores = np.array([row[0] for row in rows], int), np.array([row[1] for row in rows])
    return Detections(labels, scores, np.array([row[2] for row in rows]).reshape(-1, 4))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0.9, LEFT), (0.8, RIGHT)], 1),
        ([(0.8, RIGHT)], 1 / 2),
        ([], 0),
        ([(0.9, NOWHERE), (0.8, LEFT), (0.7, RIGHT)], 2 / 3),  # best precision from there on
        ([(0.9, LEFT), (0.8, LEFT), (0.7, RIGHT)], (1 + 2 / 3) / 2),  # found already
        ([(0.9, HALF)], 1 / 2),
        ([(0.9, LESS)], 0),
    ],
)
def test_average_precision(rows: list[tuple[float, list[float]]], expected: float) -> None:
    """What is found of another class, which no shape has, counts for nothing."""
    found = detections((2, 0.95, LEFT), *((1, *row) for row in rows))
    assert run.precision([found], [TRUTH]).mean("0.5") == pytest.approx(100 * expected)


def test_precision_is_over_all_pictures_and_classes() -> None:
    """A wrong box in one picture that is surer than the right one in another; and a class of which
    nothing is found."""
    other = draw.Picture(TRUTH.pixels, np.array([1, 3]), TRUTH.boxes)
    found = [detections((1, 0.9, NOWHERE)), detections((1, 0.8, LEFT))]
    expected = (1 / 2 / 3 + 0) / 2
    assert run.precision(found, [TRUTH, other]).mean("0.5") == pytest.approx(100 * expected)


# -- the whole -------------------------------------------------------------------------------------


def test_the_main_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In short; and the program ends where the NPU model finds other boxes."""
    for name, value in (("TRAINING", 64), ("CALIBRATION", 8), ("BATCH", 3)):
        monkeypatch.setattr(run, name, value)
    words = ["run.py", "--outdir", str(tmp_path), "--steps", "25", "--images", "8"]
    monkeypatch.setattr(sys, "argv", words)
    run.main()
    printed = capsys.readouterr().out
    assert "compare passed" in printed
    line = re.search(r"mAP \(IoU 0.5\) on 8 test pictures: FP32 ([\d.]+)%, INT8 ([\d.]+)% "
                     r"\(.*\), on the NPU model ([\d.]+)%", printed)  # fmt: skip
    assert line is not None
    in_float, in_int8, on_the_npu = map(float, line.groups())
    assert 0 < in_float <= 100
    assert on_the_npu == in_int8

    real = FloatNet(MODEL, tmp_path / "ssd.fp32umodel")
    integer = IntegerNet(
        tmp_path / "ssd_deploy_int8_unique_top.prototxt",
        tmp_path / "ssd.int8umodel",
        tmp_path / "compilation.bmodel",
    )
    assert [subnet.host is not None for subnet in integer.stage().subnets] == [False, True]
    test = draw.pictures(8, seed=1)
    with Image.open(tmp_path / "found.png") as image:
        drawn = np.asarray(image)
    plain = np.asarray(show.sheet(test, [detections()] * 8))
    assert drawn.shape == plain.shape == (2 * 64 * show.ZOOM, 4 * 64 * show.ZOOM, 3)
    assert (drawn == plain).mean() > 0.5

    good = integer.npu_run()
    moved = np.array([0, 0, 0, 0, 0, 0, 0.01], np.float32)

    def npu_run(self: IntegerNet) -> run.Run:
        return lambda some: good(some) + moved

    monkeypatch.setattr(IntegerNet, "npu_run", npu_run)
    with pytest.raises(SystemExit, match=r"in \d pictures the NPU model finds other boxes"):
        run.measure(real, integer, test, tmp_path)


def test_boxes_are_drawn_where_they_are() -> None:
    row = detections((2, 0.9, [0.25, 0.5, 0.75, 0.75]), (1, 0.4, [0.0, 0.0, 1.0, 1.0]))
    drawn = np.asarray(show.sheet([TRUTH], [row])).astype(int)
    yellow = (drawn == (255, 255, 0)).all(axis=2)
    rows, columns = np.nonzero(yellow)
    size = draw.SIDE * show.ZOOM
    assert (columns.min(), rows.min()) == (size // 4, size // 2)
    assert (columns.max(), rows.max()) == (size * 3 // 4, size * 3 // 4)
    assert not (drawn == (255, 0, 0)).all(axis=2).any(), "not sure enough"


def test_each_image_has_its_boxes() -> None:
    """Also in the last batch, which is not full; rows of no box are left out."""
    rows = np.full((1, 1, 4, 7), np.nan, np.float32)
    rows[0, 0, :3] = [[0, -1, -1, -1, -1, -1, -1], [1, 2, 0.5, *LEFT], [1, 1, 0.75, *RIGHT]]
    found = run.detections(np.zeros((5, 3, 2, 2), np.float32), 2, lambda _: rows)
    assert [some.labels.tolist() for some in found] == [[], [2, 1], [], [2, 1], []]
    np.testing.assert_array_equal(found[1].boxes, [LEFT, RIGHT])


def test_alike() -> None:
    one, two = (1, 0.5, LEFT), (2, 0.5, RIGHT)
    both = detections(one, two)
    assert run.alike(both, detections((2, 0.5001, RIGHT), one))
    assert run.alike(detections(), detections())
    for other in ((one,), (), (one, one), (one, (1, 0.5, RIGHT)), (one, (2, 0.51, RIGHT)),
                  (one, (2, 0.5, NOWHERE))):  # fmt: skip
        assert not run.alike(both, detections(*other))
        assert not run.alike(detections(*other), both)
