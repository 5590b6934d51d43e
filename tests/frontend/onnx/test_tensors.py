"""Arithmetic, comparisons and products of tensors and constants, as the onnx package computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from bmnetu.frontend import load_network
from tests.frontend.onnx.graphs import Array, Net, by_bmnetu, by_onnx, check, kinds, node, numbers


def two(op: str, a: tuple[int, ...], b: tuple[int, ...], **attributes: Any) -> Net:
    return Net([node(op, "a b", "y", **attributes)], inputs={"a": a, "b": b})


def with_constant(op: str, constant: Array, shape: tuple[int, ...], *, first: bool = False,
                  **attributes: Any) -> Net:
    return Net([node(op, "c x" if first else "x c", "y", **attributes)], {"c": constant},
               {"x": shape})


def truth(op: str) -> Net:
    """Of what is positive."""
    return Net([node("Greater", "a z", "p"), node("Greater", "b z", "q"), node(op, "p q", "r"),
                node("Cast", "r", "y", to=1)],
               {"z": np.array(0, np.float32)}, {"a": (2, 3, 4), "b": (3, 4)})  # fmt: skip


def compared(op: str) -> Net:
    return Net([node(op, "a b", "p"), node("Cast", "p", "y", to=1)],
               inputs={"a": (2, 3, 4), "b": (3, 1)})


INT64, FLOAT16 = TensorProto.INT64, TensorProto.FLOAT16
NETS: dict[str, tuple[Net, str]] = {
    "sum that grows": (with_constant("Add", numbers(4, 1, 1), (3, 5)), "Parameter BroadcastBinary"),
    "sum with zeros that grows": (
        with_constant("Add", np.zeros((4, 1, 1), np.float32), (3, 5)), "Parameter BroadcastBinary"
    ),
    "product that grows": (
        with_constant("Mul", numbers(3, 1), (5,)), "Parameter BroadcastBinary"
    ),
    "difference that grows": (
        with_constant("Sub", numbers(3, 1), (5,), first=True), "Power Parameter BroadcastBinary"
    ),
    "division that grows": (two("Div", (3, 1), (1, 4)), "BroadcastBinary"),
    "sum of shapes": (
        Net([node("Sum", "a b c", "y")], inputs={"a": (3, 1), "b": (1, 4), "c": (2, 1, 1)}),
        "BroadcastBinary BroadcastBinary",
    ),
    "mean of shapes": (
        Net([node("Mean", "a b", "y")], inputs={"a": (3, 4), "b": (4,)}), "BroadcastBinary Power"
    ),
    "max of a constant": (
        with_constant("Max", numbers(3, 1), (2, 3, 4)), "Parameter BroadcastBinary"
    ),
    "min of shapes": (two("Min", (3, 1), (2, 1, 4)), "BroadcastBinary"),
    "powers": (
        with_constant("Pow", np.array([1, 2, 3, 0], np.float32), (3, 4)),
        "Abs Parameter BroadcastBinary ComposedFunction Parameter BroadcastBinary Parameter "
        "BroadcastBinary BroadcastBinary",
    ),
    "even powers": (
        with_constant("Pow", np.array([2, 4], np.float32), (3, 2)), "Abs Parameter BroadcastBinary"
    ),
    "sign": (Net([node("Sign", "x", "y")]), "ComposedFunction"),
    "swish": (Net([node("Swish", "x", "y", alpha=1.5)], opset=24), "Swish"),
    "slopes of rows": (
        Net([node("PRelu", "x c", "y")], {"c": numbers(6, 7)}),
        "ReLU Clip Parameter BroadcastBinary Eltwise",
    ),
    "equal": (compared("Equal"), "BroadcastBinary"),
    "greater": (compared("Greater"), "BroadcastBinary"),
    "not less": (compared("GreaterOrEqual"), "BroadcastBinary"),
    "less": (compared("Less"), "BroadcastBinary"),
    "not greater": (compared("LessOrEqual"), "BroadcastBinary"),
    "compared with a number": (
        Net([node("Less", "c x", "p"), node("Cast", "p", "y", to=1)],
            {"c": np.array(0.5, np.float32)}), "ConstBinary"
    ),
    "and": (truth("And"), "ConstBinary ConstBinary BroadcastBinary"),
    "or": (truth("Or"), "ConstBinary ConstBinary BroadcastBinary"),
    "either": (truth("Xor"), "ConstBinary ConstBinary BroadcastBinary"),
    "not": (
        Net([node("Greater", "x z", "p"), node("Not", "p", "q"), node("Cast", "q", "y", to=1)],
            {"z": np.array(0, np.float32)}), "ConstBinary Power"
    ),
    "choice": (
        Net([node("Greater", "a b", "p"), node("Where", "p a c", "y")], {"c": numbers(3, 1)},
            {"a": (2, 3, 4), "b": (4,)}), "BroadcastBinary Parameter Select"
    ),
    "choice of all": (
        Net([node("Where", "p x c", "y")], {"p": np.ones(1, bool), "c": numbers(1)}), ""
    ),
    "mask": (
        Net([node("Greater", "a b", "p"), node("Where", "p a c", "q"),
             node("Softmax", "q", "y")], {"c": np.array(-np.inf, np.float32)},
            {"a": (2, 3, 16), "b": (1,)}), "BroadcastBinary Parameter Select Softmax"
    ),
    "mask that is added": (
        Net([node("Add", "x c", "q"), node("Softmax", "q", "y")],
            {"c": np.array([0, -np.inf, 0, 0], np.float32)}, {"x": (2, 3, 4)}), "Bias Softmax"
    ),
    "no number at all": (
        Net([node("IsNaN", "x", "p"), node("Where", "p c x", "y")],
            {"c": np.array(0, np.float32)}), ""
    ),
    "towards zero": (
        Net([node("Mul", "x c", "a"), node("Cast", "a", "i", to=INT64),
             node("Cast", "i", "y", to=1)], {"c": np.array(3, np.float32)}),
        "Power ComposedFunction",
    ),
    "truth": (
        Net([node("Cast", "x", "p", to=TensorProto.BOOL), node("Cast", "p", "y", to=1)]),
        "ConstBinary",
    ),
    "like": (
        Net([node("CastLike", "c x", "d"), node("Mul", "x d", "y")], {"c": np.array(3)}), "Power"
    ),
    "products of tensors": (two("MatMul", (2, 3, 4, 5), (2, 1, 5, 6)), "MatMul"),
    "product with a vector": (two("MatMul", (2, 4, 5), (5,)), "Reshape MatMul Flatten"),
    "vector by a matrix": (two("MatMul", (5,), (2, 5, 3)), "Reshape MatMul Flatten"),
    "weights by a tensor": (
        with_constant("MatMul", numbers(4, 5), (2, 5, 3), first=True), "Parameter MatMul"
    ),
    "a batch of weights": (
        with_constant("MatMul", numbers(2, 5, 3), (2, 4, 5)), "Parameter MatMul"
    ),
    "one of a batch of weights": (
        with_constant("MatMul", numbers(1, 5, 3), (2, 4, 5)), "InnerProduct"
    ),
    "gemm of tensors": (
        Net([node("Gemm", "a b c", "y", alpha=0.5, beta=2.0, transA=1)],
            inputs={"a": (4, 3), "b": (4, 5), "c": (3, 5)}), "MatMul Power Power Eltwise"
    ),
    "gemm of a turned input": (
        Net([node("Gemm", "x w b", "y", transA=1, transB=1)],
            {"w": numbers(5, 4), "b": numbers(5)}, {"x": (4, 3)}), "Permute InnerProduct"
    ),
    "gemm with an addend a row": (
        Net([node("Gemm", "x w b", "y", beta=3.0)], {"w": numbers(4, 5), "b": numbers(3, 1)},
            {"x": (3, 4)}), "InnerProduct Bias"
    ),
    "gemm with an addend of a tensor": (
        Net([node("Gemm", "x w b", "y")], {"w": numbers(4, 5)}, {"x": (3, 4), "b": (5,)}),
        "InnerProduct Bias",
    ),
    "einsum, matmul": (two("Einsum", (2, 3), (3, 4), equation="ij,jk"), "Reshape Reshape MatMul "
                       "Reshape"),
    "einsum, attention": (
        two("Einsum", (2, 5, 3, 4), (2, 6, 3, 4), equation="bqhd,bkhd->bhqk"),
        "Permute Permute Reshape Reshape MatMul Reshape",
    ),
    "einsum, dots": (
        two("Einsum", (2, 3, 4), (2, 4, 5), equation="...ij, ...jk -> ...ki"), "MatMul Permute"
    ),
    "einsum, sums": (
        two("Einsum", (2, 3, 4), (5, 4), equation="abc,dc->ad"),
        "Reduce Flatten Permute Reshape Reshape MatMul Reshape",
    ),
    "einsum, order": (
        Net([node("Einsum", "x", "y", equation="abcd->dab")], inputs={"x": (2, 3, 4, 5)}),
        "Reduce Reshape Permute",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_an_operator(name: str, tmp_path: Path) -> None:
    net, expected = NETS[name]
    found = [kind for kind in kinds(check(tmp_path, net)) if kind != "Split"]
    assert " ".join(found) == expected


def test_half_precision_is_computed_as_float32(tmp_path: Path) -> None:
    weight = numbers(4, 5).astype(np.float16)
    net = Net([node("MatMul", "x w", "y")], {"w": weight}, {"x": (3, 4)})
    model = net.model()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = FLOAT16
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    network = load_network(path, None)
    x = numbers(3, 4)
    expected = x @ weight.astype(np.float32)
    np.testing.assert_allclose(by_bmnetu(network, {"x": x})["y"], expected, rtol=1e-6)
    notes = [note.split(": ", 1)[1] for note in network.notes]
    assert notes == ['input "x" is FLOAT16; the bmodel takes the same numbers as FLOAT']


def test_places_are_given_as_floats(tmp_path: Path) -> None:
    model = Net([node("ArgMax", "x", "y", axis=1)]).model()
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", INT64, None))
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    network, x = load_network(path, None), {"x": numbers(2, 3, 6, 7)}
    found = by_bmnetu(network, x)["y"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, by_onnx(model, x)["y"])
    notes = [note.split(": ", 1)[1] for note in network.notes]
    assert notes == ['output "y" is INT64; the bmodel gives the same numbers as FLOAT']


@pytest.mark.parametrize(("first", "second"), [("Add", "Sub"), ("Mul", "Div"), ("Sub", "Add")])
def test_a_constant_that_two_nodes_read_in_different_ways(
    first: str, second: str, tmp_path: Path
) -> None:
    """One takes it as it is, the other negated or inverted."""
    net = Net([node(first, "a c", "y"), node(second, "b c", "z")], {"c": numbers(3, 1)},
              {"a": (5,), "b": (5,)}, outputs=["y", "z"])  # fmt: skip
    assert kinds(check(tmp_path, net)).count("Parameter") == 2


def test_a_constant_in_two_shapes(tmp_path: Path) -> None:
    """Slopes that were padded with ones, and the same numbers joined with others."""
    net = Net([node("PRelu", "x c", "y"), node("Concat", "u c", "z", axis=0)],
              {"c": numbers(6, 7)}, {"x": (2, 3, 6, 7), "u": (2, 7)},
              outputs=["y", "z"])  # fmt: skip
    check(tmp_path, net)


def test_equal_constants_are_one_layer(tmp_path: Path) -> None:
    net = Net([node("Concat", "x c", "a", axis=0), node("Concat", "a d", "y", axis=0)],
              {"c": numbers(2, 7), "d": numbers(2, 7)}, {"x": (2, 7)})  # fmt: skip
    assert kinds(check(tmp_path, net)) == ["Parameter", "Concat", "Concat"]
