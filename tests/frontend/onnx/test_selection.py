"""Operators that pick numbers on the host, on the NPU model beside onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.frontend import load_network
from tests.frontend.onnx.graphs import Array, Net, assert_refused, kinds, loaded, node, numbers
from tests.frontend.onnx.on_npu import by_runtime, check_on_npu, on_npu

SHAPE = (2, 3, 6, 7)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def top_k(k: int, outputs: str = "y z", **attributes: int) -> Net:
    nodes = [node("TopK", "x k", "y z", **attributes)]
    return Net(nodes, {"k": ints(k)}, {"x": SHAPE}, outputs.split())


ROWS = {"x": (1, 20, 4), "s": (1, 20, 3)}


def yolo_head(k: int = 6) -> Net:
    """Boxes and scores as an NMS-free detector picks them: by class, then over all."""
    nodes = [
        node("ReduceMax", "s axes", "best", keepdims=0),
        node("TopK", "best k", "greatest first", axis=-1), node("Unsqueeze", "first last", "rows"),
        node("Tile", "rows fours", "of_boxes"), node("GatherElements", "x of_boxes", "b", axis=1),
        node("Tile", "rows threes", "of_scores"),
        node("GatherElements", "s of_scores", "t", axis=1),
        node("Flatten", "t", "flat"), node("TopK", "flat k", "scores place", axis=-1),
        node("Mod", "place classes", "label"), node("Div", "place classes", "row"),
        node("Unsqueeze", "row last", "row3"), node("Tile", "row3 fours", "row4"),
        node("GatherElements", "b row4", "boxes", axis=1),
        node("Unsqueeze", "scores last", "scores3"), node("Cast", "label", "labelf", to=1),
        node("Unsqueeze", "labelf last", "label3"),
        node("Concat", "boxes scores3 label3", "y", axis=-1),
    ]  # fmt: skip
    constants = {
        "axes": ints(2), "k": ints(k), "last": ints(-1), "fours": ints(1, 1, 4),
        "threes": ints(1, 1, 3), "classes": np.array(3),
    }  # fmt: skip
    return Net(nodes, constants, ROWS, opset=18)


NETS = {
    "top k": top_k(3, axis=2),
    "top k of the last axis": top_k(7),
    "top k of the first axis": top_k(1, axis=0),
    "the smallest": top_k(2, axis=-3, largest=0),
    "values alone": top_k(2, "y"),
    "the smallest values alone": top_k(2, "y", largest=0),
    "indices alone": top_k(4, "z"),
    "top k of old": Net([node("TopK", "x", "y z", axis=1, k=2)], {}, {"x": SHAPE}, ["y", "z"], 9),
    "indices that are read": Net(
        [node("TopK", "x k", "y z"), node("Cast", "z", "f", to=1), node("Mul", "f y", "p"),
         node("Identity", "z", "w")],
        {"k": ints(3)}, {"x": SHAPE}, ["p", "w"]),
    "indices and what is computed of them": Net(
        [node("TopK", "x k", "y z"), node("Add", "z one", "w")],
        {"k": ints(3), "one": np.array(1)}, {"x": SHAPE}, ["z", "w"]),
    "elements at the places of a top k": Net(
        [node("TopK", "x k", "y i", axis=1), node("GatherElements", "v i", "z", axis=1)],
        {"k": ints(2)}, {"x": (2, 5, 3), "v": (2, 5, 4)}, ["z"]),
    "elements at known places": Net(
        [node("GatherElements", "x i", "y", axis=2)],
        {"i": np.random.default_rng(1).integers(-6, 6, (2, 3, 9, 7))}),
    "elements of a constant": Net(
        [node("ArgMax", "x", "i", axis=1), node("GatherElements", "c i", "y", axis=1)],
        {"c": numbers(2, 5, 6, 7)}),
    "rows at the places of a top k": Net(
        [node("TopK", "s k", "v i", axis=0), node("Gather", "x i", "y", axis=0)],
        {"k": ints(3)}, {"s": (5,), "x": (5, 4)}),
    "rows of one image": Net(
        [node("TopK", "s k", "v i", axis=1), node("Gather", "x i", "y", axis=1)],
        {"k": ints(3)}, {"s": (2, 5), "x": (1, 5, 4)}),
    "rows of some images": Net(
        [node("TopK", "s k", "v i", axis=1), node("Gather", "x i", "y", axis=2)],
        {"k": ints(3)}, {"s": (2, 5), "x": (2, 3, 5, 2)}),
    "rows of a constant": Net(
        [node("ArgMax", "x", "i", axis=1, keepdims=0), node("Gather", "c i", "y")],
        {"c": numbers(3, 9)}),
    "places that count from the end": Net(
        [node("ArgMax", "x", "i", axis=1), node("Sub", "i three", "j"),
         node("GatherElements", "x j", "y", axis=1)],
        {"three": np.array(3)}),
    "many known rows": Net(
        [node("Gather", "x i", "y", axis=1)],
        {"i": np.random.default_rng(2).integers(-40, 40, (20, 30))}, {"x": (2, 40, 3)}),
    "known elements of two dimensions": Net(
        [node("GatherND", "x i", "y")], {"i": np.random.default_rng(2).integers(-2, 2, (4, 5, 2))},
        {"x": (2, 3, 4)}),
    "elements of two dimensions": Net(
        [node("ArgMax", "x", "i", axis=1), node("Sub", "i five", "j"),
         node("Concat", "i j", "both", axis=1), node("Transpose", "both", "places", perm=[0, 2, 1]),
         node("GatherND", "v places", "y")],
        {"five": np.array(5)}, {"x": (2, 5, 3), "v": (5, 7, 2)}),
    "rows of each image": Net(
        [node("TopK", "s k", "_v i", axis=1), node("Unsqueeze", "i last", "places"),
         node("GatherND", "x places", "y", batch_dims=1)],
        {"k": ints(3), "last": ints(-1)}, {"s": (2, 5), "x": (2, 5, 4)}),
    "numbers of each row of each image": Net(
        [node("TopK", "s k", "_v i", axis=2), node("Unsqueeze", "i last", "places"),
         node("GatherND", "x places", "y", batch_dims=2)],
        {"k": ints(3), "last": ints(-1)}, {"s": (2, 4, 5), "x": (2, 4, 5)}),
    "a head without suppression": yolo_head(),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_a_net(name: str, tmp_path: Path) -> None:
    check_on_npu(tmp_path, NETS[name])


def test_indices_pass_from_host_to_host(tmp_path: Path) -> None:
    network = loaded(tmp_path, NETS["rows at the places of a top k"])
    assert not isinstance(network, str)
    assert kinds(network) == ["TopK", "Silence", "Gather"]


@pytest.mark.parametrize("seed", range(8))
def test_equal_numbers_come_in_the_order_of_their_places(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 9, rng.integers(1, 5)))
    axis = int(rng.integers(0, len(shape)))
    k, largest = int(rng.integers(1, shape[axis] + 1)), int(rng.integers(0, 2))
    nodes = [node("TopK", "x k", "y z", axis=axis, largest=largest)]
    net = Net(nodes, {"k": ints(k)}, {"x": shape}, ["y", "z"])
    check_on_npu(tmp_path, net, inputs={"x": np.round(numbers(*shape, seed=seed) * 2)})


# -- boxes that do not overlap ---------------------------------------------------------------------


def suppression(most: int, thresholds: str = "t u", boxes: int = 12, **attributes: int) -> Net:
    constants = {"m": ints(most), "t": np.array([0.3], np.float32), "u": np.array([0.2])}
    constants["u"] = constants["u"].astype(np.float32)
    used = {name: array for name, array in constants.items() if name in ["m", *thresholds.split()]}
    nodes = [node("NonMaxSuppression", f"b s m {thresholds}", "y", **attributes)]
    return Net(nodes, used, {"b": (2, boxes, 4), "s": (2, 3, boxes)})


SUPPRESSIONS = {
    "thresholds": suppression(5), "centres": suppression(4, center_point_box=1),
    "no threshold of the score": suppression(3, "t"), "no threshold": suppression(2, ""),
    "more than there are": suppression(1000),
}  # fmt: skip


def boxes_and_scores() -> dict[str, Array]:
    """Numbers for these nets."""
    rng = np.random.default_rng(3)
    corners = np.sort(rng.random((2, 12, 2, 2)), axis=2).reshape(2, 12, 4)
    inputs = {"b": corners, "s": rng.random((2, 3, 12)) - 0.2}
    return {key: array.astype(np.float32) for key, array in inputs.items()}


@pytest.mark.parametrize("name", SUPPRESSIONS)
def test_suppression(name: str, tmp_path: Path) -> None:
    net, given = SUPPRESSIONS[name], boxes_and_scores()
    wanted = by_runtime(net.model(), given)["y"]
    found = on_npu(tmp_path, net.model(), given)["y"]
    assert found.dtype == np.int32
    assert len(wanted) > 0
    np.testing.assert_array_equal(found, wanted)


def test_nothing_stands_behind_a_suppression(tmp_path: Path) -> None:
    net = suppression(5)
    nodes = [*net.nodes, node("Gather", "y two", "z", axis=1), node("Shape", "y", "w")]
    said = loaded(tmp_path, Net(nodes, {**net.constants, "two": ints(2)}, net.inputs, ["z", "w"]))
    assert isinstance(said, str)
    assert '(NonMaxSuppression): it finds as many boxes as there are' in said
    assert 'end the net with "y"' in said


REFUSED = {
    "k is no constant": (
        Net([node("ReduceMax", "x", "m"), node("Reshape", "m one", "r"),
             node("Cast", "r", "k", to=7), node("TopK", "x k", "y z")], {"one": ints(1)}),
        'its input "k" is not a constant'),
    "k is too large": (top_k(8), "k is 8 of 7 numbers"),
    "no boxes": (suppression(0), "max_output_boxes_per_class is 0"),
    "elements of five dimensions": (
        Net([node("ArgMax", "x", "i", axis=1), node("GatherElements", "x i", "y", axis=1)],
            {}, {"x": (2, 3, 2, 2, 2)}),
        "1 to 4 dimensions"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal(name: str, tmp_path: Path) -> None:
    assert_refused(tmp_path, *REFUSED[name])


# -- whole numbers ---------------------------------------------------------------------------------


def whole(op: str, divisor: int, **attributes: int) -> Net:
    """A whole number, plus and minus 40, by another one."""
    nodes = [node("Cast", "x", "w", to=7), node(op, "w c", "y", **attributes)]
    return Net(nodes, {"c": np.array(divisor)}, {"x": (81, 5)})


@pytest.mark.parametrize("divisor", [1, 3, -7, 16, 80, 1000])
@pytest.mark.parametrize(("op", "attributes"), [("Div", {}), ("Mod", {}), ("Mod", {"fmod": 1})])
def test_whole_numbers_by_a_constant(
    op: str, attributes: dict[str, int], divisor: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(abs(divisor))
    columns = [np.arange(-40, 41), *(rng.integers(-most, most, 81) for most in (9999, 2**21))]
    columns += [columns[0] * divisor, columns[0] * divisor - 1]
    given = {"x": np.stack(columns, axis=1).astype(np.float32)}
    net = whole(op, divisor, **attributes)
    check_on_npu(tmp_path, net, inputs=given, tolerance=0)


def test_whole_numbers_by_others(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "w", to=7), node("Cast", "z", "v", to=7), node("Div", "w v", "y")]
    said = loaded(tmp_path, Net(nodes, inputs={"x": (2, 3), "z": (2, 3)}))
    assert isinstance(said, str)
    assert "it divides whole numbers by other than one constant" in said


# -- in 8 bits -------------------------------------------------------------------------------------


def calibrated(net: Net, data: Array, folder: Path) -> Int8Net:
    np.save(folder / "data.npy", data)
    path = net.write(folder)
    int8 = bmnetu.calibrate(path, None, folder / "data.npy", folder / "int8", th_method="MAX")
    return Int8Net(load_network(int8.prototxt, int8.umodel).module)


def test_a_head_of_an_int8_net(tmp_path: Path) -> None:
    """Rows and classes are exact: the boxes are those of the places, of which there are 400."""
    head = yolo_head(40)
    nodes = [
        node("Conv", "image w", "maps"), node("Reshape", "maps shape", "channels"),
        node("Transpose", "channels", "cells", perm=[0, 2, 1]),
        node("Split", "cells parts", "x raw", axis=2), node("Sigmoid", "raw", "s"), *head.nodes,
    ]  # fmt: skip
    constants = {
        **head.constants, "w": numbers(7, 3, 1, 1), "shape": ints(1, 7, 400), "parts": ints(4, 3)
    }  # fmt: skip
    net = Net(nodes, constants, {"image": (1, 3, 20, 20)}, ["y", "x", "s"], 18)
    image = numbers(6, 3, 20, 20, seed=3)
    found = calibrated(net, image, tmp_path).run({"image": image[:1]})
    scores = found["s"][0]
    best = np.argsort(-scores.max(axis=1), kind="stable")[:40]
    order = np.argsort(-scores[best].ravel(), kind="stable")[:40]
    boxes = found["x"][0][best][order // 3]
    np.testing.assert_array_equal(found["y"][0, :, :4], boxes)
    np.testing.assert_array_equal(found["y"][0, :, 5], order % 3)


def test_words_of_an_int8_net(tmp_path: Path) -> None:
    """An input of INT64 that picks rows of a constant stays float."""
    nodes = [node("Gather", "table x", "rows"), node("MatMul", "rows w", "y")]
    net = Net(nodes, {"table": numbers(3000, 8), "w": numbers(8, 4)}, {"x": (2, 5)})
    words = np.random.default_rng(0).integers(0, 3000, (12, 5)).astype(np.float32)
    found = calibrated(net, words, tmp_path).run({"x": words[:2]})["y"]
    expected = net.constants["table"][words[:2].astype(int)] @ net.constants["w"]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.999
