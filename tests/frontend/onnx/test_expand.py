"""Operators that stand for a graph: functions of the file, and what ONNX defines by others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import AttributeProto, FunctionProto, ModelProto, helper

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend import load_network
from tests.frontend.onnx.graphs import Net, by_bmnetu, check, node, numbers


@pytest.mark.parametrize("op", ["Celu", "ThresholdedRelu", "Shrink"])
def test_operators_that_onnx_defines(op: str, tmp_path: Path) -> None:
    check(tmp_path, Net([node(op, "x", "y")]))


def test_one_with_axes(tmp_path: Path) -> None:
    check(tmp_path, Net([node("MeanVarianceNormalization", "x", "y", axes=[0, 2])]), tolerance=1e-4)


def test_further_outputs(tmp_path: Path) -> None:
    """The mean of a LayerNormalization."""
    net = Net([node("LayerNormalization", "x w", "y m", axis=-1)], {"w": numbers(7)},
              outputs=["y", "m"])  # fmt: skip
    check(tmp_path, net)


def scaled(factor_name: str = "factor") -> FunctionProto:
    """``x * factor + x`` with an attribute."""
    constant = helper.make_node("Constant", [], ["f"])
    reference = AttributeProto(name="value_float", type=AttributeProto.FLOAT)
    reference.ref_attr_name = factor_name
    constant.attribute.append(reference)
    nodes = [constant, helper.make_node("Mul", ["x", "f"], ["m"]),
             helper.make_node("Add", ["m", "x"], ["y"]),
             helper.make_node("Relu", ["x"], ["unread"])]  # fmt: skip
    default = helper.make_attribute("factor", 3.0)
    return helper.make_function("own", "Scaled", ["x"], ["y"], nodes,
                                [helper.make_opsetid("", 17)], [], [default])  # fmt: skip


def with_functions(net: Net, *functions: FunctionProto) -> ModelProto:
    model = net.model()
    model.functions.extend(functions)
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


def written(model: ModelProto, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_functions_of_the_file(tmp_path: Path) -> None:
    net = Net([node("Scaled", "x", "a", domain="own", factor=2.0),
               node("Scaled", "a", "y", domain="own")])  # fmt: skip
    network = load_network(written(with_functions(net, scaled()), tmp_path), None)
    x = numbers(2, 3, 6, 7)
    np.testing.assert_allclose(by_bmnetu(network, {"x": x})["y"], 3 * 4 * x, rtol=1e-6)
    names = [layer.name for layer in network.net.layer]
    assert "Scaled_a/Mul_2" in names
    assert len(names) == len({*names})


def test_a_function_of_constants(tmp_path: Path) -> None:
    net = Net([node("Scaled", "c", "a", domain="own"), node("Mul", "x a", "y")],
              {"c": numbers(7)})  # fmt: skip
    network = load_network(written(with_functions(net, scaled()), tmp_path), None)
    x = numbers(2, 3, 6, 7)
    expected = x * 4 * numbers(7)
    np.testing.assert_allclose(by_bmnetu(network, {"x": x})["y"], expected, rtol=1e-5)


def test_a_node_inside_that_cannot_be_compiled_is_named(tmp_path: Path) -> None:
    function = helper.make_function(
        "own", "Odd", ["x"], ["y"], [helper.make_node("Tan", ["x"], ["y"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    path = written(with_functions(Net([node("Odd", "x", "y", domain="own")]), function), tmp_path)
    with pytest.raises(UnsupportedError, match=r'node "Odd_y/Tan_1" \(Tan\)'):
        load_network(path, None)


def test_a_function_that_calls_itself(tmp_path: Path) -> None:
    function = helper.make_function(
        "own", "Loop", ["x"], ["y"], [helper.make_node("Loop", ["x"], ["y"], domain="own")],
        [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
    )  # fmt: skip
    path = written(with_functions(Net([node("Loop", "x", "y", domain="own")]), function), tmp_path)
    with pytest.raises(UnsupportedError, match="it is a function that calls itself"):
        load_network(path, None)


def test_functions_that_double_each_time(tmp_path: Path) -> None:
    """2^16 nodes at most come out of functions."""
    functions = [
        helper.make_function(
            "own", f"F{i}", ["x"], ["y"],
            [helper.make_node(f"F{i + 1}" if i < 10 else "Relu", ["x"], ["a"],
                              domain="own" if i < 10 else ""),
             *[helper.make_node(f"F{i + 1}" if i < 10 else "Relu", [f"{'a' * n}"], ["a" * (n + 1)],
                                domain="own" if i < 10 else "") for n in range(1, 5)],
             helper.make_node("Relu", ["aaaaa"], ["y"])],
            [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)])
        for i in range(11)
    ]  # fmt: skip
    model = with_functions(Net([node("F0", "x", "y", domain="own")], inputs={"x": (1, 1)}),
                           *functions)  # fmt: skip
    with pytest.raises(UnsupportedError, match="functions make more than 65536 nodes"):
        load_network(written(model, tmp_path), None)


def test_more_inputs_than_the_function_has(tmp_path: Path) -> None:
    net = Net([node("Scaled", "x x", "y", domain="own")])
    with pytest.raises(InputFileError, match="more inputs or outputs than its function"):
        load_network(written(with_functions(net, scaled()), tmp_path), None)
