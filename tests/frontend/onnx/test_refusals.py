"""What is no UFW layer is refused by the name of its node, all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from bmnetu.errors import InputFileError, UnsupportedError, UsageError
from bmnetu.frontend import load_network
from tests.frontend.onnx.graphs import Net, node, numbers

REFUSED: dict[str, tuple[Net, str]] = {
    "operator": (Net([node("Hardmax", "x", "y")]), "this operator cannot be compiled"),
    "domain": (
        Net([node("Relu", "x", "y", domain="com.microsoft")]),
        r'node "Relu_y" \(com.microsoft.Relu\): this operator',
    ),
    "constants only": (Net([node("Asin", "x", "y")]), "this operator cannot be compiled"),
    "an empty input": (
        Net([node("Relu", "x", "y")], inputs={"x": (1, 0, 4)}),
        'input "x" is 1x0x4, which has no numbers; give sizes with -shapes',
    ),
    "an empty piece": (
        Net([node("Split", "x s", "y z", axis=1)], {"s": np.array([3, 0])}, outputs=["y", "z"]),
        'output "z" is a constant',
    ),
    "a constant output": (
        Net([node("Asin", "c", "y"), node("Relu", "x", "z")], {"c": numbers(3)},
            outputs=["y", "z"]),
        'output "y" is a constant',
    ),
    "no dilation": (
        Net([node("Conv", "x w", "y", dilations=[0, 0])], {"w": numbers(4, 3, 2, 2)}),
        r"dilations is \[0, 0\]; it must be at least 1",
    ),
    "four axes": (
        Net([node("Conv", "x w", "y")], {"w": numbers(4, 3, 1, 1, 1, 1)},
            {"x": (1, 3, 2, 2, 2, 2)}),
        "its input is 1x3x2x2x2x2; 1 to 3 axes behind the channels",
    ),
    "weights": (
        Net([node("Conv", "x w", "y")], inputs={"x": (1, 3, 8, 8), "w": (4, 3, 3, 3)}),
        'its input "w" is not a constant',
    ),
    "all cut off": (
        Net([node("Conv", "x w", "y", pads=[-6, 0, 1, 0])], {"w": numbers(4, 3, 1, 2)}),
        "its pads leave nothing of its input",
    ),
    "all of the result cut off": (
        Net([node("ConvTranspose", "x w", "y", pads=[3, 0, 4, 0])], {"w": numbers(3, 4, 2, 2)}),
        "its pads leave nothing of its result",
    ),
    "weights of the transposed": (
        Net([node("ConvTranspose", "x w", "y")], inputs={"x": (1, 3, 8, 8), "w": (3, 4, 3, 3)}),
        'its input "w" is not a constant',
    ),
    "auto_pad that takes away": (
        Net([node("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=[3, 3])],
            {"w": numbers(4, 3, 1, 1)}),
        "runtimes do not agree where windows of auto_pad SAME_UPPER then begin",
    ),
    "large windows": (
        Net([node("MaxPool", "x", "y", kernel_shape=[2, 8])]), "a window of 8 is larger than"
    ),
    "indices": (
        Net([node("MaxPool", "x", "y i", kernel_shape=[2, 2])], outputs=["y", "i"]),
        'its output "i" is used',
    ),
    "indices of columns": (
        Net([node("MaxPool", "x", "p i", kernel_shape=[2, 2], storage_order=1),
             node("Cast", "i", "y", to=1)]),
        'its output "i" is used',
    ),
    "indices elsewhere": (
        Net([node("MaxPool", "x", "p i", kernel_shape=[2, 2]), node("Cast", "i", "y", to=1)]),
        'reads the indices "i" of a MaxPool; only a MaxUnpool can',
    ),
    "other indices": (
        Net([node("MaxUnpool", "x i", "y", kernel_shape=[2, 2])], inputs={
            "x": (1, 1, 2, 2), "i": (1, 1, 2, 2)}),
        'its input "i" is not the indices of a MaxPool',
    ),
    "another size": (
        Net([node("MaxPool", "x", "p i", kernel_shape=[2, 2], strides=[2, 2]),
             node("MaxUnpool", "p i", "y", kernel_shape=[2, 2], strides=[2, 2])]),
        "its result is 2x3x6x6, the input of the MaxPool 2x3x6x7",
    ),
    "pads": (
        Net([node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=[2, 0, 2, 0])]),
        "its pads are not smaller than its window of 2",
    ),
    "negative pads": (
        Net([node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=[-1, 0, 0, 0])]),
        "its pads are negative",
    ),
    "a window of nothing": (
        Net([node("MaxPool", "x", "y", kernel_shape=[2], pads=[1, 2], dilations=[3])],
            inputs={"x": (1, 1, 2)}),
        "a window has no element of the input",
    ),
    "norm": (Net([node("LpPool", "x", "y", kernel_shape=[2, 2], p=0)]), "p is 0"),
    "corners by scales": (
        Net([node("Resize", "x - s", "y", mode="linear",
                  coordinate_transformation_mode="align_corners")],
            {"s": np.array([1, 1, 1.2, 1], np.float32)}),
        "scale 1.2 makes no whole number of elements of 6",
    ),
    "a resize of nothing": (
        Net([node("Resize", "x - s", "y")], {"s": np.array([1, 1, 0.1, 1], np.float32)}),
        "it makes 0 elements of 6",
    ),
    "a resize that keeps the size": (
        Net([node("Resize", "x - s", "y", mode="linear")],
            {"s": np.array([1, 1, 1.1, 1], np.float32)}),
        "do not agree whether half_pixel changes axes that keep their size",
    ),
    "mode": (
        Net([node("Resize", "x - s", "y", mode="area")], {"s": np.ones(4, np.float32)}),
        "mode 'area' is not known",
    ),
    "scales": (
        Net([node("Resize", "x - s", "y")], inputs={"x": (1, 1, 2, 2), "s": (4,)}),
        'its input "s" is not a constant',
    ),
    "a scalar": (Net([node("ReduceMean", "x", "y", keepdims=0)]), "its result has no dimension"),
    "exponents": (
        Net([node("Pow", "x e", "y")], inputs={"x": (2, 3), "e": (2, 3)}),
        "its exponent is no constant",
    ),
    "whole and other exponents": (
        Net([node("Pow", "x e", "y")], {"e": np.array([2, 0.5, 3], np.float32)}, {"x": (2, 3)}),
        "some of its exponents are whole numbers, others are not",
    ),
    "narrow integers": (
        Net([node("Cast", "x", "i", to=TensorProto.UINT8), node("Add", "i i", "y")]),
        "it computes with UINT8, which wraps around; cast to float before it",
    ),
    "whole numbers": (
        Net([node("Cast", "x", "i", to=TensorProto.INT64), node("Softmax", "i", "y")]),
        "it computes with INT64; cast to float before it",
    ),
    "strings": (
        Net([node("Cast", "x", "y", to=TensorProto.STRING)]), "a type that cannot be compiled"
    ),
    "a diagonal": (
        Net([node("Einsum", "x", "y", equation="ii->i")], inputs={"x": (3, 3)}), "a diagonal"
    ),
    "three products": (
        Net([node("Einsum", "a b c", "y", equation="ij,jk,kl->il")],
            inputs=dict.fromkeys("abc", (3, 3))), "multiplies 3 tensors; two can be compiled"
    ),
    "a norm": (Net([node("LpNormalization", "x", "y", p=3)]), "p is 3; 1 and 2 can be compiled"),
    "training": (
        Net([node("BatchNormalization", "x c c c c", "y", training_mode=1)],
            {"c": np.ones(3, np.float32)}),
        "training_mode",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal(tmp_path: Path, name: str) -> None:
    net, sentence = REFUSED[name]
    with pytest.raises(UnsupportedError, match=sentence) as caught:
        load_network(net.write(tmp_path), None)
    assert "net.onnx" in caught.value.message
    assert "\n" not in caught.value.message


def refused(folder: Path, net: Net) -> list[str]:
    """The lines of the refusal."""
    with pytest.raises(UnsupportedError) as caught:
        load_network(net.write(folder), None)
    return caught.value.message.splitlines()


def test_all_are_listed_also_behind_each_other_with_a_sum_and_what_to_do(tmp_path: Path) -> None:
    net = Net(
        [
            node("Hardmax", "x", "a"), node("Relu", "a", "b"), node("Hardmax", "b", "c"),
            node("Asinh", "x", "d"), node("Concat", "c d", "e", axis=1),
            node("Det", "e", "f"), node("Conv", "e w", "g"), node("Tan", "g", "y"),
        ],
        {"w": numbers(4, 6, 3, 3)}, outputs=["f", "y"],
    )  # fmt: skip
    first, *lines = refused(tmp_path, net)
    assert first.endswith("net.onnx: 5 nodes cannot be compiled:")
    assert [line.split('"')[1] for line in lines[:5]] == [
        "Hardmax_a", "Hardmax_c", "Asinh_d", "Det_f", "Tan_y"
    ]  # fmt: skip
    assert lines[5] == "in sum, and what to do in the export:"
    assert [line.split()[:2] for line in lines[6:]] == [
        ["2", "Hardmax:"], ["1", "Asinh:"], ["1", "Det:"], ["1", "Tan:"]
    ]  # fmt: skip


def test_what_is_behind_is_looked_at_with_its_shape(tmp_path: Path) -> None:
    """A Conv behind a MaxRoiPool fits its weights, a Reshape its numbers."""
    nodes = [
        node("MaxRoiPool", "x rois", "a", pooled_shape=[12, 14]), node("Conv", "a w", "b"),
        node("Shape", "b", "s"), node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n zeros", "m"), node("Concat", "m rest", "t", axis=0),
        node("Reshape", "b t", "c"), node("Gemm", "c v", "y"),
    ]  # fmt: skip
    constants = {
        "rois": numbers(2, 5), "w": numbers(4, 3, 3, 3), "zero": np.array(0),
        "zeros": np.array([0]), "rest": np.array([-1]), "v": numbers(480, 5),
    }  # fmt: skip
    (line,) = refused(tmp_path, Net(nodes, constants))
    assert 'node "MaxRoiPool_a"' in line
    wrong = refused(tmp_path, Net(nodes, {**constants, "w": numbers(4, 5, 3, 3)}))
    assert [line.split('"')[1] for line in wrong[1:3]] == ["MaxRoiPool_a", "Conv_b"]


def test_behind_an_unknown_shape_operators_are_still_listed(tmp_path: Path) -> None:
    """What may be a constant, as it comes from a shape, is not."""
    nodes = [
        node("NonZero", "x", "a"), node("Cast", "a", "b", to=1), node("Tan", "b", "c"),
        node("Shape", "c", "s"), node("Mod", "s two", "t"), node("Range", "zero one step", "r"),
        node("Det", "c", "d"), node("Expand", "d t", "e"), node("Hardmax", "e", "y"),
    ]  # fmt: skip
    constants = {
        "two": np.array(2), "zero": np.array(0), "one": np.array(1), "step": np.array(1)
    }  # fmt: skip
    found = refused(tmp_path, Net(nodes, constants))
    named = [line.split('"')[1] for line in found if line.startswith("  ") and '"' in line]
    assert named == ["NonZero_a", "Tan_c", "Det_d", "Hardmax_y"]


def test_operators_of_other_domains_have_their_own_advice(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, Net([node("FusedConv", "x", "y", domain="com.microsoft")]))
    assert "export with ONNX's own operators only" in line


def test_scalars_and_other_types_are_told_as_such_all_at_once(tmp_path: Path) -> None:
    model = Net(
        [node("Mul", "x s", "a"), node("Gather", "a i", "b", axis=0), node("Tan", "b", "y")],
        inputs={"x": (2, 3), "s": (), "i": (2,)},
    ).model()
    model.graph.input[2].type.tensor_type.elem_type = TensorProto.STRING
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedError) as caught:
        load_network(path, None)
    first, *lines = caught.value.message.splitlines()
    assert first.endswith("3 nodes and tensors cannot be compiled:")
    assert 'input "s" is a scalar, a tensor without a dimension; export the net with' in lines[0]
    assert 'input "i" is STRING; numbers can be compiled' in lines[1]
    assert 'node "Tan_y"' in lines[2]


def test_shapes_of_another_rank_are_to_blame(tmp_path: Path) -> None:
    path = Net([node("Conv", "x w", "y")], {"w": numbers(4, 3, 2, 2)}).write(tmp_path)
    for shape, sentence in (((1, 3, 7), "its weights are 4x3x2x2"), ((2, 3), "its input is 2x3")):
        given = "x".join(map(str, shape))
        said = f'-shapes: input "x" is {given}, the model has 2x3x6x7 there; .*{sentence}'
        with pytest.raises(UsageError, match=said):
            load_network(path, None, shapes=[shape])


def test_what_takes_no_part_is_not_looked_at(tmp_path: Path) -> None:
    net = Net([node("Relu", "x", "y"), node("Celu", "z", "a")], inputs={"x": (1, 3), "z": ("N", 4)})
    network = load_network(net.write(tmp_path), None)
    assert [layer.name for layer in network.net.layer] == ["x", "Relu_y"]
    assert [note.split(": ", 1)[1] for note in network.notes] == [
        'input "z" is left out: no node reads it'
    ]


def test_inputs_that_are_no_floats(tmp_path: Path) -> None:
    model = Net([node("Cast", "x", "f", to=1), node("Relu", "f", "y")]).model()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 3]))
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    network = load_network(path, None)
    assert [note.split(": ", 1)[1] for note in network.notes] == [
        'input "x" is UINT8; the bmodel takes the same numbers as FLOAT'
    ]


def test_sizes_that_are_not_known(tmp_path: Path) -> None:
    path = Net([node("Relu", "x", "y")], inputs={"x": ("N", 3, "H", "W")}).write(tmp_path)
    with pytest.raises(InputFileError, match='input "x" is Nx3xHxW; give all its sizes with -'):
        load_network(path, None)
    shape = load_network(path, None, shapes=[[2, 3, 5, 5]]).net.layer[0].input_param.shape[0]
    assert list(shape.dim) == [2, 3, 5, 5]
