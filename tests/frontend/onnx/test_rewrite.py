"""Normalisations that exporters write in parts become one layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend import load_network
from tests.frontend.onnx.graphs import Array, Net, check, kinds, loaded, node, numbers

NUMBERS = {"two": np.array(2, np.float32), "eps": np.array(1e-5, np.float32),
           "one": np.array(1, np.float32), "half": np.array(-0.5, np.float32)}


def layer_norm(axes: list[int], shape: tuple[int, ...], w: Array, b: Array, square: str = "Pow",
               casts: bool = False) -> Net:
    """As PyTorch wrote it before operator set 17."""
    squared = node("Pow", "d two", "p") if square == "Pow" else node("Mul", "d d", "p")
    nodes = [
        *([node("Cast", "x", "f", to=1)] if casts else [node("Identity", "x", "f")]),
        node("ReduceMean", "f", "m", axes=axes), node("Sub", "x m", "d"), squared,
        node("ReduceMean", "p", "v", axes=axes), node("Add", "eps v", "a"), node("Sqrt", "a", "s"),
        node("Div", "d s", "n"), node("Mul", "n w", "k"), node("Add", "k b", "y"),
    ]  # fmt: skip
    return Net(nodes, {**NUMBERS, "w": w, "b": b}, {"x": shape})


def root_mean_square(shape: tuple[int, ...], axis: int, w: Array, *inverse: NodeProto) -> Net:
    """``inverse`` are the nodes from "a" to "r", the inverse of the root."""
    nodes = [
        node("Mul", "x x", "p"), node("ReduceMean", "p", "v", axes=[axis]),
        node("Add", "v eps", "a"), *inverse, node("Mul", "x r", "n"), node("Mul", "w n", "y"),
    ]  # fmt: skip
    return Net(nodes, {**NUMBERS, "w": w}, {"x": shape})


def unit(shape: tuple[int, ...], axis: int, *, expand: bool) -> Net:
    """torch.nn.functional.normalize."""
    nodes = [node("ReduceL2", "x", "n", axes=[axis]), node("Clip", "n least", "c")]
    if expand:
        nodes += [node("Shape", "x", "s"), node("Expand", "c s", "e")]
    nodes.append(node("Div", "x e" if expand else "x c", "y"))
    return Net(nodes, {"least": np.array(1e-12, np.float32)}, {"x": shape})


def groups(
    view: list[int], whole: list[int] | None, factor: Array | None = None,
    addend: Array | None = None, scale: int = 4,
) -> Net:
    """As PyTorch writes a normalisation of groups; without ``whole`` the shape of x comes back."""
    back = {"whole": np.array(whole)} if whole else {}
    nodes = [
        node("Reshape", "x view", "r"), node("InstanceNormalization", "r scale bias", "i"),
        *([] if whole else [node("Shape", "x", "whole")]), node("Reshape", "i whole", "b"),
        *([] if factor is None else [node("Mul", "b w", "m")]),
        *([] if addend is None else [node("Add", "b a" if factor is None else "m a", "p")]),
    ]  # fmt: skip
    nodes.append(node("Relu", nodes[-1].output[0], "y"))
    given = {"view": np.array(view), "scale": numbers(scale), "bias": numbers(scale) - 2, **back}
    given |= {} if factor is None else {"w": factor}
    return Net(nodes, given | ({} if addend is None else {"a": addend}), {"x": (2, 8, 3, 5)})


RECIPROCAL = (node("Sqrt", "a", "s"), node("Reciprocal", "s", "r"))
DIVISION = (node("Sqrt", "a", "s"), node("Div", "one s", "r"))
POWER = (node("Pow", "a half", "r"),)
TURNED = "Permute LayerNorm Permute"
NETS: dict[str, tuple[Net, str]] = {
    "layer": (layer_norm([-1], (2, 5, 8), numbers(8), numbers(8)), "LayerNorm"),
    "by a product": (layer_norm([2], (2, 5, 8), numbers(8), numbers(8), "Mul"), "LayerNorm"),
    "with casts": (layer_norm([-1], (2, 5, 8), numbers(8), numbers(8), casts=True), "LayerNorm"),
    "of channels": (
        layer_norm([1], (2, 8, 3, 4), numbers(8, 1, 1), numbers(1, 8, 1, 1)), TURNED
    ),
    "of more axes": (layer_norm([1, 2], (2, 5, 8), numbers(5, 8), numbers(8)), "LayerNorm"),
    "factors of other axes": (
        layer_norm([-1], (2, 5, 8), numbers(5, 1), numbers(8)), "LayerNorm Scale Bias"
    ),
    "addends of other axes": (
        layer_norm([1], (2, 8, 3, 4), numbers(8, 1, 1), numbers(4)), f"{TURNED} Bias"
    ),
    "rms": (root_mean_square((2, 5, 8), -1, numbers(8), *RECIPROCAL), "Reshape Normalize Reshape"),
    "rms by a division": (
        root_mean_square((2, 5, 8), 2, numbers(8), *DIVISION), "Reshape Normalize Reshape"
    ),
    "rms of channels": (
        root_mean_square((2, 8, 3, 4), 1, numbers(8, 1, 1), *POWER),
        "Permute Reshape Normalize Reshape Permute",
    ),
    "groups": (groups([0, 4, -1], None, numbers(8, 1, 1), numbers(1, 8, 1, 1)), "GroupNorm ReLU"),
    "groups alone": (groups([2, 4, 30, 1], [2, 8, 3, 5]), "GroupNorm ReLU"),
    "groups with addends": (groups([0, 4, -1], None, None, numbers(8, 1, 1)), "GroupNorm ReLU"),
    "groups with factors of other axes": (
        groups([0, 4, -1], None, numbers(5), numbers(8, 1, 1)), "GroupNorm Scale Bias ReLU"
    ),
    "groups under another shape": (groups([0, 4, -1], [2, 8, 15]), "Reshape GroupNorm ReLU"),
    "no groups of channels": (
        groups([0, 4, -1], [2, 30, 4], numbers(4)), "Reshape InstanceNorm Reshape Scale ReLU"
    ),
    "other images": (groups([1, 4, -1], None), "Reshape InstanceNorm Reshape ReLU"),
    "unit rows": (unit((2, 5, 8), -1, expand=True), "Reshape Normalize Reshape"),
    "unit channels": (
        unit((2, 8, 3, 4), 1, expand=False), "Permute Reshape Normalize Reshape Permute"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_it_is_one_layer(name: str, tmp_path: Path) -> None:
    net, expected = NETS[name]
    found = kinds(check(tmp_path, net))
    assert " ".join(kind for kind in found if kind != "Split") == expected


ALMOST: dict[str, Net] = {
    "other axes": Net(
        [node("ReduceMean", "x", "m", axes=[1]), node("Sub", "x m", "d"), node("Mul", "d d", "p"),
         node("ReduceMean", "p", "v", axes=[2]), node("Add", "v eps", "a"), node("Sqrt", "a", "s"),
         node("Div", "d s", "y")], NUMBERS, {"x": (2, 5, 8)}),
    "another tensor": Net(
        [node("ReduceMean", "z", "m", axes=[1]), node("Sub", "x m", "d"), node("Mul", "d d", "p"),
         node("ReduceMean", "p", "v", axes=[1]), node("Add", "v eps", "a"), node("Sqrt", "a", "s"),
         node("Div", "d s", "y")], NUMBERS, {"x": (2, 5, 8), "z": (2, 5, 8)}),
    "another power": Net(
        [node("Pow", "x eps", "p"), node("ReduceMean", "p", "v", axes=[2]),
         node("Add", "v eps", "a"), node("Sqrt", "a", "s"), node("Div", "x s", "y")],
        {**NUMBERS, "eps": np.array(4, np.float32)}, {"x": (2, 5, 8)}),
    "an upper bound": Net(
        [node("ReduceL2", "x", "n", axes=[2]), node("Clip", "n least most", "c"),
         node("Div", "x c", "y")],
        {"least": np.array(1e-12, np.float32), "most": np.array(1, np.float32)}, {"x": (2, 5, 8)}),
    "a maximum of three": Net(
        [node("ReduceL2", "x", "n", axes=[2]), node("Max", "n least most", "c"),
         node("Div", "x c", "y")],
        {"least": np.array(1e-12, np.float32), "most": np.array(9, np.float32)}, {"x": (2, 5, 8)}),
    "a large bound": Net(
        [node("ReduceL2", "x", "n", axes=[2]), node("Clip", "n least", "c"),
         node("Div", "x c", "y")], {"least": np.array(2, np.float32)}, {"x": (2, 5, 8)}),
}  # fmt: skip


@pytest.mark.parametrize("name", ALMOST)
def test_what_only_looks_like_one_stays(name: str, tmp_path: Path) -> None:
    found = kinds(check(tmp_path, ALMOST[name]))
    assert not {*found} & {"LayerNorm"}
    assert {*found} & {"Reduce", "Pooling"}


def test_a_norm_that_is_repeated_to_more_is_refused(tmp_path: Path) -> None:
    nodes = [node("ReduceL2", "x", "n", axes=[1]), node("Expand", "n s", "e"),
             node("Div", "x e", "y")]  # fmt: skip
    for shape, good in (([3, 5], True), ([2, 3, 5], False)):
        net = Net(nodes, {"s": np.array(shape)}, {"x": (3, 5)})
        assert isinstance(loaded(tmp_path, net), str) is not good


def test_whole_numbers_that_are_normalised(tmp_path: Path) -> None:
    net = layer_norm([-1], (2, 5, 8), numbers(8), numbers(8), casts=True)
    net.nodes = [node("Cast", "u", "x", to=7), node("Cast", "x", "f", to=1), *net.nodes[1:]]
    net.nodes[3] = node("Sub", "f m", "d")
    net.inputs = {"u": (2, 5, 8)}
    assert "LayerNorm" in kinds(check(tmp_path, net))


def test_factors_that_are_read_elsewhere_stay_apart(tmp_path: Path) -> None:
    net = layer_norm([-1], (2, 5, 8), numbers(8), numbers(8))
    net.nodes = [*net.nodes, node("Relu", "k", "z")]
    net.outputs = ["y", "z"]
    assert kinds(check(tmp_path, net)) == ["LayerNorm", "Bias", "ReLU"]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Div", "x", "y")], [node("Pow", "x", "p"), node("Mul", "x p", "y")],
        [node("Identity", "", "i"), node("Div", "x i", "y")],
        [node("Sqrt", "", "s"), node("Div", "x s", "y")],
        [node("Sub", "x", "d"), node("Sqrt", "x", "s"), node("Div", "d s", "y")],
    ],
)
def test_nodes_with_too_few_inputs_are_told(nodes: list[NodeProto], tmp_path: Path) -> None:
    for each in nodes:
        kept = [name for name in each.input if name]
        del each.input[:]
        each.input.extend(kept)
    with pytest.raises((InputFileError, UnsupportedError), match=r"net\.onnx"):
        load_network(Net(nodes).write(tmp_path), None)
