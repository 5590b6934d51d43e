"""What a net says of its integers: QuantizeLinear, DequantizeLinear, and operators of integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from onnx import FunctionProto, NodeProto, TensorProto, helper

from bmnetu.frontend.onnx.nodes.node import Node
from bmnetu.note import Note
from dialects.constant import Array

KEEPERS = {
    "Concat", "DequantizeLinear", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Reshape",
    "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operators that only move integers, or pick the largest: right for what they stand for, too."""
FULL_SCALE = 127
Body = Callable[[Node], FunctionProto]
Scale = tuple[tuple[float, ...], tuple[float, ...]]
"""The scales of integers, and their zero points."""


@dataclass
class Quantised:
    """What a net says of its integers. ``real``: ONNX tensors that hold what their integers stand
    for; ``thresholds``: by blob; ``losses``: of the weights, by name."""

    real: dict[str, Scale] = field(default_factory=dict[str, "Scale"])
    thresholds: dict[str, float] = field(default_factory=dict[str, float])
    losses: dict[str, float] = field(default_factory=dict[str, float])
    shifted: int = 0

    def notes(self) -> list[Note]:
        """What the chip holds otherwise, a sentence each."""
        found: list[Note] = []
        if self.thresholds:
            found.append(Note(
                "own-scales",
                f"{len(self.thresholds)} tensor(s) have scales of their own: bmnetu-calibrate takes"
                " them as thresholds; in FP32 nothing is rounded",
            ))  # fmt: skip
        if self.shifted:
            found.append(Note(
                "zero-point",
                f"{self.shifted} of them have a zero point, which the chip does not have: they are"
                " held from -127 to 127",
            ))  # fmt: skip
        if self.losses:
            worst = max(self.losses, key=lambda name: self.losses[name])
            mean = sum(self.losses.values()) / len(self.losses)
            found.append(Note(
                "scale-a-channel",
                f"the weights of {len(self.losses)} layer(s) have a scale a channel, or a zero"
                " point; INT8 has one scale a layer: by that alone they change by"
                f" {mean:.2%}, at most {self.losses[worst]:.2%} ({worst})",
            ))  # fmt: skip
        return found

    def add_weights(self, name: str, array: Array, scale: Array, zero: Array | None) -> None:
        """Weights, and the scales and zero points of their integers."""
        simple = scale.size == 1 and (zero is None or not zero.any())
        largest = float(np.abs(array).max(initial=0))
        if simple or array.ndim < 2 or largest == 0:
            return
        step = largest / FULL_SCALE
        change = np.linalg.norm(np.round(array / step) * step - array)
        self.losses[name] = float(change / np.linalg.norm(array))


def scale_of(scale: Array, zero: Array | None) -> Scale:
    """What a QuantizeLinear or a DequantizeLinear says of its integers."""
    found = tuple(float(number) for number in scale.ravel())
    at = np.zeros(len(found)) if zero is None else np.asarray(zero, np.float64).ravel()
    return found, tuple(float(number) for number in at)


# -- operators of integers -------------------------------------------------------------------------


def body_of_quantised(node: Node) -> FunctionProto | None:
    """An operator of integers as the operator of floats, between DequantizeLinear and
    QuantizeLinear; None for any other node."""
    build = BODIES.get(node.op)
    return None if build is None else build(node)


def _function(node: Node, inputs: list[str], nodes: list[NodeProto]) -> FunctionProto:
    opsets = [helper.make_opsetid("", max(node.opset, 13))]
    return helper.make_function("", node.op, inputs, ["y"], nodes, opsets)


def _quantised(name: str) -> NodeProto:
    return helper.make_node("QuantizeLinear", [name, "y_scale", "y_zero"], ["y"])


def _real(name: str) -> NodeProto:
    inputs = [name, f"{name}_scale", f"{name}_zero"]
    return helper.make_node("DequantizeLinear", inputs, [f"{name}_real"])


def _names(*tensors: str) -> list[str]:
    """Each with its scale and its zero point behind it."""
    return [name for each in tensors for name in (each, f"{each}_scale", f"{each}_zero")]


def _conv(node: Node) -> FunctionProto:
    """QLinearConv: w may have a scale an output; the bias has that of the products."""
    weights = _real("w")
    weights.attribute.append(helper.make_attribute("axis", 0))
    product = helper.make_node("Conv", ["x_real", "w_real"], ["p"])
    product.attribute.extend(node.proto.attribute)
    nodes = [_real("x"), weights, product, _quantised("p")]
    if len(node.inputs) > 8:
        product.input.append("bias")
        nodes[2:2] = [
            helper.make_node("Mul", ["x_scale", "w_scale"], ["both"]),
            helper.make_node("Cast", ["B"], ["b"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["b", "both"], ["bias"]),
        ]
    inputs = [*_names("x", "w"), "y_scale", "y_zero", "B"]
    return _function(node, inputs, nodes)


def _matmul(node: Node) -> FunctionProto:
    product = helper.make_node("MatMul", ["a_real", "b_real"], ["p"])
    nodes = [_real("a"), _real("b"), product, _quantised("p")]
    return _function(node, [*_names("a", "b"), "y_scale", "y_zero"], nodes)


def _of_two(op: str) -> Body:
    def build(node: Node) -> FunctionProto:
        both = helper.make_node(op, ["a_real", "b_real"], ["p"])
        nodes = [_real("a"), _real("b"), both, _quantised("p")]
        return _function(node, [*_names("a", "b"), "y_scale", "y_zero"], nodes)

    return build


def _of_one(op: str) -> Body:
    def build(node: Node) -> FunctionProto:
        one = helper.make_node(op, ["x_real"], ["p"])
        one.attribute.extend(each for each in node.proto.attribute if each.name != "channels_last")
        nodes = [_real("x"), one, _quantised("p")]
        return _function(node, [*_names("x"), "y_scale", "y_zero"], nodes)

    return build


def _gemm(node: Node) -> FunctionProto:
    """QGemm: the addend has the scale of the products; without a scale the result is real."""
    product = helper.make_node("Gemm", ["a_real", "b_real"], ["p"])
    product.attribute.extend(node.proto.attribute)
    weights = _real("b")
    axis = 0 if node.integer("transB", 0) else 1
    weights.attribute.append(helper.make_attribute("axis", axis))
    nodes = [_real("a"), weights, product]
    if len(node.inputs) > 6 and node.inputs[6]:
        product.input.append("bias")
        nodes[2:2] = [
            helper.make_node("Mul", ["a_scale", "b_scale"], ["both"]),
            helper.make_node("Cast", ["C"], ["c"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["c", "both"], ["bias"]),
        ]
    if len(node.inputs) > 7 and node.inputs[7]:
        nodes.append(_quantised("p"))
    else:
        product.output[0] = "y"
    return _function(node, [*_names("a", "b"), "C", "y_scale", "y_zero"], nodes)


def _concat(node: Node) -> FunctionProto:
    """QLinearConcat: the result's scale comes first."""
    parts = [f"x{i}" for i in range((len(node.inputs) - 2) // 3)]
    joined = helper.make_node("Concat", [f"{part}_real" for part in parts], ["p"])
    joined.attribute.extend(node.proto.attribute)
    nodes = [*map(_real, parts), joined, _quantised("p")]
    return _function(node, ["y_scale", "y_zero", *_names(*parts)], nodes)


MICROSOFT = "com.microsoft"
BODIES: dict[str, Body] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    f"{MICROSOFT}.QGemm": _gemm,
    f"{MICROSOFT}.QLinearConcat": _concat,
    f"{MICROSOFT}.QLinearAdd": _of_two("Add"),
    f"{MICROSOFT}.QLinearMul": _of_two("Mul"),
    f"{MICROSOFT}.QLinearSigmoid": _of_one("Sigmoid"),
    f"{MICROSOFT}.QLinearLeakyRelu": _of_one("LeakyRelu"),
    f"{MICROSOFT}.QLinearGlobalAveragePool": _of_one("GlobalAveragePool"),
    f"{MICROSOFT}.QLinearAveragePool": _of_one("AveragePool"),
}
"""Those of ONNX, and of ONNX Runtime's own domain."""
